//! The trust bundle: what gates follow.

use crate::issuer::IssuerRecord;

/// A numbered statement of all issuers, their realms, keys and states. A higher number replaces a lower one.
#[derive(Clone, Debug, Default)]
pub struct TrustBundle {
    /// Counts up with every change.
    pub number: u64,
    /// The issuers.
    pub issuers: Vec<IssuerRecord>,
}
