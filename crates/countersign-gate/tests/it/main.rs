//! The gate over HTTP, with tokens signed here, a real ledger and small hostile providers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should stop, in its fixture too"
)]

mod corpus;
mod fixture;
mod foreign;
mod identity;
mod ledger;
mod log;
mod provenance;
mod provider;
mod smuggling;
