//! Tokens are signed here, with keys made here; the crate itself cannot sign.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod algorithms;
mod allocations;
mod assertions;
mod corpus;
mod corpus_claims;
mod corpus_keys;
mod dpop;
mod email;
mod explanations;
mod front_page;
mod key_sets;
mod keysets_absence;
mod keysets_published;
mod mtls;
mod principal;
mod properties;
mod published;
mod reasons_page;
mod registries;
mod rules;
mod vectors;
mod vectors_jws;
mod vectors_signatures;
mod world;
