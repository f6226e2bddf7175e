//! Sources: one file each, from what somebody's system wrote to the normal form.

pub mod decisions;
pub mod ledger;
