//! The command as its users meet it: real processes, real files, real sockets.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected must fail, and say on what"
)]

mod corpus;
mod crash;
mod drill;
mod help;
mod ledger;
mod process;
mod refusals;
mod secrets;
mod verify;
