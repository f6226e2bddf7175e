//! Issues OAuth 2.0 access tokens, and releases none before the ledger holds its record.
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
pub use ledger_key::ledger_seed;
pub use open::{OpenError, OpenOptions};
pub use private_key::KeyError;
pub use publish::{KeySummary, PublishError};
pub use recorded::{Recorded, recorded};
pub use seal::{SealError, SealingKey};
pub use state::StateError;
pub use transition::{STAGE_SECONDS, TransitionError};

/// Tells the time in unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
