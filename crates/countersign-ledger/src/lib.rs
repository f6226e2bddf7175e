//! An append-only Merkle log of issued tokens, durable before release, in C2SP tlog-tiles form.
//!
//! A signature proves which key signed. The ledger proves that a token was *issued*: its fingerprint is recorded, and
//! the record synced to disk, before the token leaves. A token that the ledger does not show was forged, however good
//! its signature is.
//!
//! # What it does
//!
//! - [`Ledger`]: takes entries from any number of callers, makes them durable in shared batches, publishes tiles and
//!   signed checkpoints, and proves at every start that it is still the ledger it was, or refuses to open.
//! - [`Follower`]: holds the issued set and answers `recorded`, `not recorded` or `cannot tell` for a fingerprint.
//! - [`audit`]: checks all of a ledger without trusting, or sharing code with, the one who wrote it.
//! - [`proof`]: receipts that anybody can check offline. `http` (a feature) serves the published files.
//!
//! # What it deliberately does not do
//!
//! - It knows nothing about tokens: it stores hashes, times and codes, nothing personal.
//! - It never overwrites, deletes or reorders an entry, and it never runs on after a disk error.
//! - It does not excuse a miss by the times inside a token: whoever forges the token writes those too.
//! - On disks it keeps to local ones: a network file system does not keep the promises it relies on. Servers that do are
//!   stores of their own ([`store`]).
//!
//! # How it works
//!
//! ```text
//!  append ──▶ queue ──▶ writer ──▶ journal (batch = one write + one fdatasync) ──▶ reply
//!                                     │
//!                       ┌─────────────┼─────────────────────┐
//!                       ▼             ▼                     ▼
//!                   publisher      follower              audit
//!            tiles, checkpoint     issued set      recomputes everything
//! ```
//!
//! Numbered, immutable batches *are* the ledger; everything else is a function of them. An old batch is removed when full
//! bundles hold its entries.
//! Formats, byte by byte: `docs/ledger-format.md`.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use countersign_ledger::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let seed = NoteSigner::generate_seed()?;
//! let signer = NoteSigner::from_seed("ledger.example/1", &seed)?;
//! let ledger = Ledger::open(Options::new(directory.path(), "ledger.example/1"), signer)?;
//! let follower = Follower::start(ledger.clone(), Arc::new(|| 1_000)).await;
//!
//! // A key signs only after it was announced, and made active, in the ledger itself.
//! let key = KeyName { issuer: issuer_id("https://login.example"), key: [1; 32] };
//! ledger.append_together(draft::active_key(key, realm_id("enterprise"), 1_000)).await?;
//!
//! let epoch = ledger.key(&key).ok_or("never announced")?.epoch;
//! let fingerprint = [7; 32]; // of the token that is signed here, after the epoch was read
//! let issuance = IssuanceDraft {
//!     kind: IssuanceKind::Access,
//!     fingerprint,
//!     key,
//!     epoch,
//!     parent_key: None,
//!     issued_at: 1_000,
//!     expires_at: 1_300,
//!     lineage: None,
//! };
//! let index = ledger.append(issuance).await?; // durable from here on: now the token may be released
//!
//! let recorded = Provenance::Recorded { index: Some(index), kind: IssuanceKind::Access };
//! assert_eq!(follower.provenance(&fingerprint, 1_300).await, recorded);
//! assert_eq!(follower.provenance(&[8; 32], 1_300).await, Provenance::NotRecorded);
//! ledger.close();
//! # Ok(())
//! # }
//! ```
#![warn(clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, as it should"
    )
)]

pub mod audit;
mod background;
mod bytes;
pub mod checkpoint;
pub mod cosignature;
mod disk;
pub mod draft;
mod edge;
mod entries;
pub mod entry;
pub mod follow;
pub mod frame;
mod freshness;
pub mod head;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
mod hub;
mod issued;
mod journal;
mod keeper;
mod keys;
mod ledger;
mod local;
pub mod monitor;
pub mod note;
mod open;
mod place;
pub mod policy;
pub mod proof;
mod publish;
mod queue;
pub mod record;
mod recover;
mod registry;
#[cfg(feature = "remote")]
pub mod remote;
pub mod replica;
mod resume;
mod rules;
mod segment;
mod sequencer;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod tile;
mod tiler;
mod time;
pub mod tree;
pub mod view;
pub mod witness;
mod writer;

pub use cosignature::Cosigner;
pub use draft::{Draft, IssuanceDraft, KeyName};
pub use entries::ReadError;
pub use entry::{Entry, EntryError, Issuance, IssuanceKind, KeyStateCode, Lineage, issuer_id, realm_id};
pub use follow::{Clock, FollowOptions, Follower, Provenance, Shown};
pub use freshness::SignedFreshness;
pub use issued::{Issued, Keep};
pub use ledger::{BarrierError, Ledger};
pub use note::{NoteSigner, Verifier};
pub use open::{OpenError, Options, RETENTION_MIN};
pub use queue::AppendError;
pub use registry::{Epoch, KeyStanding};
pub use store::Store;
