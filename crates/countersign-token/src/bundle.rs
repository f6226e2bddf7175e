//! The trust bundle: what gates follow.

use crate::issuer::IssuerRecord;

/// A numbered statement of all issuers, their realms, keys and states. A higher number replaces a lower one.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerRecord, Registry, TrustBundle};
///
/// # let (issuer, keys) = (given::issuer(), given::key_set());
/// let held = TrustBundle::default();
/// let bundle = TrustBundle::new(7, vec![IssuerRecord::new(issuer, "enterprise", 3_600, keys)]);
/// if bundle.number > held.number {
///     let registry = Registry::new(bundle.issuers)?;
///     assert_eq!(registry.issuers().len(), 1);
/// }
/// # Ok(())
/// # }
/// ```
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
