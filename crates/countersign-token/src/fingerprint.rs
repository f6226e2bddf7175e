//! The hashes things are named by: a token's fingerprint and digest, a key's and a certificate's thumbprint. Each is a
//! type of its own, and none turns into another.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

use crate::base64url;

/// Names a token in the ledger and on deny lists: SHA-256 of the JWS signing input, `header.payload` as sent.
///
/// Never of the whole token: an ECDSA signature `(r, s)` has a valid twin `(r, n-s)`, so a name that covers the
/// signature could be changed by anyone who holds the token. What a cache needs is [`TokenDigest`].
///
/// ```
/// use countersign_token::Fingerprint;
///
/// let print = Fingerprint::of_signing_input(b"header.payload");
/// assert_eq!(Fingerprint::from_bytes(*print.as_bytes()), print);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Hashes a signing input (`header.payload`, without the second dot).
    pub fn of_signing_input(signing_input: &[u8]) -> Self {
        Self::of_digest(&digest(&SHA256, signing_input))
    }

    /// From a SHA-256 of the signing input.
    pub(crate) fn of_digest(digest: &Digest) -> Self {
        Self(to_bytes(digest))
    }

    /// Takes over a hash that was computed elsewhere, for example read from the ledger.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// Names one text of a token: SHA-256 of the whole compact token, signature included.
///
/// For caches of verified tokens: a token with another signature must miss, which a [`Fingerprint`] does not see to. For
/// the ledger and for deny lists it is the wrong name. The two do not turn into each other:
///
/// ```compile_fail
/// use countersign_token::{Fingerprint, TokenDigest};
///
/// let digest: TokenDigest = Fingerprint::of_signing_input(b"header.payload").into();
/// ```
///
/// DPoP proofs carry the same hash as `ath` (RFC 9449 §4.2):
///
/// ```
/// use countersign_token::TokenDigest;
///
/// let digest = TokenDigest::of("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
/// assert_eq!(digest.to_base64url(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Hashes a token as it was sent.
    pub fn of(token: &str) -> Self {
        Self(to_bytes(&digest(&SHA256, token.as_bytes())))
    }

    /// Hashes a token that lies in two pieces.
    pub(crate) fn of_parts(signing_input: &str, signature: &[u8]) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(signing_input.as_bytes());
        hash.update(b".");
        hash.update(base64url::encode(signature).as_bytes());
        Self(to_bytes(&hash.finish()))
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The form used as `ath`: 43 characters of base64url.
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(")?;
        write_hex(f, &self.0)?;
        f.write_str(")")
    }
}

/// Names a certificate: SHA-256 of its DER encoding (RFC 8705 §3.1).
///
/// ```
/// use countersign_token::CertificateThumbprint;
///
/// let shown = CertificateThumbprint::of_der(b"the certificate of the connection");
/// let bound = CertificateThumbprint::from_base64url(&shown.to_base64url());
/// assert!(bound.is_some_and(|bound| bound.is_of(b"the certificate of the connection")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateThumbprint([u8; 32]);

impl CertificateThumbprint {
    /// Hashes a certificate. The caller turns PEM into DER.
    pub fn of_der(der: &[u8]) -> Self {
        Self(to_bytes(&digest(&SHA256, der)))
    }

    /// From the form used as `x5t#S256`; `None` unless it is 32 bytes of canonical base64url.
    pub fn from_base64url(text: &str) -> Option<Self> {
        from_base64url(text).map(Self)
    }

    /// Whether this certificate is the one. Compared in constant time.
    #[must_use]
    pub fn is_of(&self, der: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, &Self::of_der(der).0).is_ok()
    }

    /// Whether both name one certificate. Compared in constant time.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// The form used as `x5t#S256`: 43 characters of base64url.
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64url())
    }
}

/// Names a key: the JWK thumbprint of RFC 7638 with SHA-256. Our own key ids are its base64url form.
///
/// ```
/// use countersign_token::Thumbprint;
///
/// let print = Thumbprint::from_base64url("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
/// assert!(print.is_some());
/// assert_eq!(Thumbprint::from_base64url("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I="), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Hashes the canonical JSON of a key's required members.
    pub(crate) fn of_canonical_jwk(json: &[u8]) -> Self {
        Self(to_bytes(&digest(&SHA256, json)))
    }

    /// Takes over a hash that was computed elsewhere, for example read from the ledger.
    ///
    /// ```
    /// use countersign_token::Thumbprint;
    ///
    /// let print = Thumbprint::from_bytes([0; 32]);
    /// assert_eq!(print.to_base64url(), "A".repeat(43));
    /// ```
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the form used as `kid` and `jkt`; `None` unless it is 32 bytes of canonical base64url.
    pub fn from_base64url(text: &str) -> Option<Self> {
        from_base64url(text).map(Self)
    }

    /// The form used as `kid` and `jkt`: 43 characters of base64url.
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64url())
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn from_base64url(text: &str) -> Option<[u8; 32]> {
    base64url::decode(text)?.try_into().ok()
}

pub(crate) fn to_bytes(digest: &Digest) -> [u8; 32] {
    let mut hash = [0; 32];
    // SHA-256 is 32 bytes by definition; the copy is written so that it cannot fail.
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_print_as_hex() {
        let print = Fingerprint::of_signing_input(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(print.to_string(), hex);
        assert_eq!(format!("{print:?}"), hex);
        assert_eq!(Fingerprint::from_bytes(*print.as_bytes()), print);
    }
}
