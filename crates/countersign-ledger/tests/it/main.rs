//! The ledger as its users see it: through the public API, on a real disk.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod audit;
mod audit_keys;
mod corpus;
mod fence;
mod follow;
mod foreign;
mod freshness;
#[cfg(feature = "http")]
mod http;
mod lifecycle;
mod model;
#[cfg(all(feature = "http", feature = "remote"))]
mod remote;
mod resume;
mod split_view;
mod support;
mod vectors;
mod witness;
