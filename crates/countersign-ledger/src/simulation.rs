//! The real code on a simulated disk: power cuts and failing operations everywhere.

mod clock;
mod disk;
mod faults;
mod histories;

pub(crate) use histories::action;
