//! The ledger's names for things outside it: hashes, each in a domain of its own, so that none can stand for another.

use aws_lc_rs::digest;

/// The ledger's name for an issuer: SHA-256 of `countersign/issuer/v1`, a zero byte and the exact `iss`.
pub fn issuer_id(iss: &str) -> [u8; 32] {
    hash(b"countersign/issuer/v1\0", &[iss.as_bytes()])
}

/// The ledger's name for a realm: SHA-256 of `countersign/realm/v1`, a zero byte and the realm's name.
pub fn realm_id(realm: &str) -> [u8; 32] {
    hash(b"countersign/realm/v1\0", &[realm.as_bytes()])
}

/// The ledger's name for a session: SHA-256 of `countersign/session/v1`, a zero byte, the 32 bytes of the issuer's
/// [`issuer_id`] and the exact `sid`.
pub fn session_id(issuer: &[u8; 32], sid: &str) -> [u8; 32] {
    hash(b"countersign/session/v1\0", &[issuer, sid.as_bytes()])
}

/// What is announced in place of a thumbprint for an issuer's opaque tokens, which no key signs: SHA-256 of
/// `countersign/opaque/v1`, a zero byte and the 32 bytes of the issuer's [`issuer_id`].
pub fn opaque_key(issuer: &[u8; 32]) -> [u8; 32] {
    hash(b"countersign/opaque/v1\0", &[issuer])
}

fn hash(domain: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(domain);
    for part in parts {
        context.update(part);
    }
    let mut id = [0; 32];
    id.copy_from_slice(context.finish().as_ref());
    id
}
