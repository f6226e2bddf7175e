//! Hunts: one file each, a question to the normal form.

pub mod reconcile;
