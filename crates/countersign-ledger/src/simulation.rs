//! The real code on a simulated disk: power cuts and failing operations everywhere.

mod clock;
mod disk;
mod faults;
mod growth;
mod histories;
mod rivals;
mod rules;
mod seeds;
mod store;

pub(crate) use histories::action;
