//! An append-only Merkle log of issued tokens, durable before release, in C2SP tlog-tiles form.
#![warn(clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, as it should"
    )
)]

pub mod audit;
mod bytes;
pub mod checkpoint;
mod disk;
pub mod entry;
pub mod follow;
#[cfg(feature = "http")]
pub mod http;
mod issued;
mod journal;
mod ledger;
pub mod note;
mod open;
pub mod proof;
mod publish;
mod queue;
pub mod record;
mod recover;
#[cfg(test)]
mod simulation;
pub mod tile;
mod tiler;
pub mod tree;

pub use entry::{Entry, EntryError, Issuance, IssuanceKind, KeyEvent, KeyStateCode, Lineage, issuer_id};
pub use follow::{Clock, Follower, Provenance};
pub use issued::Issued;
pub use journal::ReadError;
pub use ledger::Ledger;
pub use note::{NoteSigner, Verifier};
pub use open::{OpenError, Options};
pub use queue::AppendError;
