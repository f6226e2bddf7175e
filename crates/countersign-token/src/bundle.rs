//! The trust bundle: what gates follow.

use crate::issuer::IssuerRecord;

/// A numbered statement of all issuers, their realms, keys and states. A higher number replaces a lower one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustBundle {
    /// Counts up with every change.
    pub number: u64,
    /// The issuers.
    pub issuers: Vec<IssuerRecord>,
}

impl TrustBundle {
    /// The statement of this number.
    pub const fn new(number: u64, issuers: Vec<IssuerRecord>) -> Self {
        Self { number, issuers }
    }
}
