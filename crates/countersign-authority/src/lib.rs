//! Issues OAuth 2.0 access tokens, and releases none before the ledger holds its record.
//!
//! It owns the realms, their issuers and tenants, the life of the signing keys, the clients, the token endpoint, and the
//! exchange policy that cannot renew a token. It is the only crate that can hold a signing key.
//!
//! It does not: sign users in, keep the ledger (it appends to one), decide about tokens at resources (that is the
//! gate's), or release a token whose record it could not make durable. No private key leaves it but sealed; the one
//! exception is [`dangerous`], which is a thief for drills.
//!
//! ```text
//!  request ─▶ client authenticated ─▶ policy: a Grant ─▶ claims ─▶ active key signs
//!                 (oauth)          (oauth, exchange)    (issue)       (issuer)
//!                                                                        │ fingerprint
//!  response ◀───────────── released only after ◀───────── ledger.append ◀┘ durable
//!
//!  activate / suspect / revoke ─▶ ledger events ─▶ state ─▶ signer and trust bundle ─▶ old private part destroyed
//! ```
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use countersign_authority::{Authority, Config, Grant, OpenOptions};
//! use countersign_ledger::{Follower, Ledger};
//!
//! # async fn example(ledger: Ledger, clock: countersign_authority::Clock) -> Result<(), Box<dyn std::error::Error>> {
//! let follower = Follower::start(ledger.clone(), Arc::clone(&clock)).await;
//! let authority = Authority::open(OpenOptions {
//!     directory: "countersign-data".into(),
//!     base_url: "http://127.0.0.1:8420".to_owned(),
//!     config: Config::first_run(),
//!     ledger,
//!     follower,
//!     clock,
//! })
//! .await?;
//! let router = authority.router(); // the endpoints of every issuer
//! let trust = authority.trust(); // what gates follow
//! let grant = Grant::new("http://127.0.0.1:8420/consumer", "alice", "consumer-app", "https://outlook.example");
//! let issued = authority.issue(grant).await?; // recorded before it is here
//! # drop((router, trust, issued));
//! # Ok(())
//! # }
//! ```
//!
//! Files on disk: `docs/state.md`, `docs/sealed-keys.md`. Endpoints: `docs/endpoints.md`.

mod authority;
mod client;
pub mod config;
pub mod dangerous;
mod durable;
pub mod exchange;
mod grant;
mod issue;
mod issuer;
mod keyring;
mod layout;
mod ledger_key;
mod oauth;
mod open;
mod private_key;
mod publish;
mod recorded;
mod seal;
mod state;
mod transition;

use std::sync::Arc;

pub use authority::Authority;
pub use client::ClientError;
pub use config::{Config, Problem};
pub use durable::FileError;
pub use grant::{Grant, SubjectClaims};
pub use issue::{IssueError, IssuedToken};
pub use keyring::KeyringError;
pub use ledger_key::{ledger_seed, witness_seed};
pub use open::{OpenError, OpenOptions};
pub use private_key::KeyError;
pub use publish::{KeySummary, PublishError};
pub use recorded::{Recorded, recorded};
pub use seal::{SealError, SealingKey};
pub use state::StateError;
pub use transition::{STAGE_SECONDS, TransitionError};

/// Tells the time in unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
