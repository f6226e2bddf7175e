//! The command, run on real ledgers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it is"
)]

mod command;
mod ledger;
mod reconcile;
