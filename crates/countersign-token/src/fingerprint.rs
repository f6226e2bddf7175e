//! The two hashes things are named by: a token's fingerprint and a key's thumbprint.

use std::fmt;

use aws_lc_rs::digest::{Digest, SHA256, digest};

use crate::base64url;

/// Names a token: SHA-256 of the JWS signing input, `header.payload` as sent.
///
/// Never of the whole token: an ECDSA signature `(r, s)` has a valid twin `(r, n-s)`, so a name that covers the
/// signature could be changed by anyone who holds the token.
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

/// Names a key: the JWK thumbprint of RFC 7638 with SHA-256. Our own key ids are its base64url form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Hashes the canonical JSON of a key's required members.
    pub(crate) fn of_canonical_jwk(json: &[u8]) -> Self {
        Self(to_bytes(&digest(&SHA256, json)))
    }

    /// Takes over a hash that was computed elsewhere, for example read from the ledger.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
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

fn to_bytes(digest: &Digest) -> [u8; 32] {
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
