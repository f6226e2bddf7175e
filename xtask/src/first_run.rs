//! x
pub(crate) fn run(_: &mut crate::run::Run) {}
