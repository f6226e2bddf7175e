//! The authority as its clients and operators see it: a real router over a socket, a temporary directory, the real
//! ledger.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it is"
)]

mod client;
mod discovery;
mod exchange;
mod hostile;
mod keys;
mod start;
mod token;
mod world;
