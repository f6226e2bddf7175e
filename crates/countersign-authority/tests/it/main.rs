//! The authority as its clients and operators see it: a real router over a socket, a temporary directory, the real
//! ledger.

mod client;
mod discovery;
mod exchange;
mod keys;
mod start;
mod token;
mod world;
