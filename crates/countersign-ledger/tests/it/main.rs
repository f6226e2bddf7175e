//! The ledger as its users see it: through the public API, on a real disk.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

mod lifecycle;
mod support;
