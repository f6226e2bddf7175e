//! What the `countersign` command reads: its configuration, and the policy of `countersign verify`.
//!
//! ```text
//!  file ──▶ document: TOML, every problem with its line ──▶ Config   what this process runs
//!                                                     └───▶ Policy   whom `verify` trusts
//! ```
//!
//! Apart from the program so that both can be read by tests and by the fuzzer. It starts nothing, and prints nothing.

pub mod config;
pub mod failure;
pub mod policy;
