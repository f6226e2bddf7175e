//! x
pub(super) fn complete(_: &crate::workspace::Workspace) -> Vec<super::Finding> {
    Vec::new()
}
