//! What an entry says, in one line for people and one object for machines.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_ledger::Entry;
use countersign_ledger::tree::leaf_hash;
use serde_json::{Value, json};

/// One line; entries of other logs are told by their leaf hash.
pub(super) fn text(index: u64, entry: &[u8]) -> String {
    match Entry::decode(entry) {
        Ok(Entry::Issuance(issuance)) => format!(
            "{index} issuance {} fingerprint={} issuer={} key={} issued_at={} expires_at={}",
            issuance.kind.as_str(),
            hex::encode(issuance.fingerprint),
            hex::encode(issuance.issuer),
            URL_SAFE_NO_PAD.encode(issuance.key),
            issuance.issued_at,
            issuance.expires_at
        ),
        Ok(Entry::Key(event)) => format!(
            "{index} key {} key={} issuer={} at={} sign_from={} sign_until={}",
            event.state.as_str(),
            URL_SAFE_NO_PAD.encode(event.key),
            hex::encode(event.issuer),
            event.at,
            event.sign_from,
            event.sign_until
        ),
        Err(_) => format!(
            "{index} opaque leaf={} bytes={}",
            hex::encode(leaf_hash(entry)),
            entry.len()
        ),
    }
}

/// One object with the same content.
pub(super) fn document(index: u64, entry: &[u8]) -> Value {
    match Entry::decode(entry) {
        Ok(Entry::Issuance(issuance)) => json!({
            "index": index,
            "entry": "issuance",
            "kind": issuance.kind.as_str(),
            "fingerprint": hex::encode(issuance.fingerprint),
            "issuer": hex::encode(issuance.issuer),
            "key_thumbprint": URL_SAFE_NO_PAD.encode(issuance.key),
            "issued_at": issuance.issued_at,
            "expires_at": issuance.expires_at,
            "parent": issuance.lineage.as_ref().map(|lineage| hex::encode(lineage.parent)),
            "root": issuance.lineage.as_ref().map(|lineage| hex::encode(lineage.root)),
        }),
        Ok(Entry::Key(event)) => json!({
            "index": index,
            "entry": "key",
            "state": event.state.as_str(),
            "issuer": hex::encode(event.issuer),
            "key_thumbprint": URL_SAFE_NO_PAD.encode(event.key),
            "at": event.at,
            "sign_from": event.sign_from,
            "sign_until": event.sign_until,
        }),
        Err(_) => json!({
            "index": index,
            "entry": "opaque",
            "leaf": hex::encode(leaf_hash(entry)),
            "bytes": entry.len(),
        }),
    }
}

/// Whom an entry is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filter {
    /// The ledger's name for an issuer.
    pub(super) issuer: Option<[u8; 32]>,
    /// Thumbprint of a signing key.
    pub(super) key: Option<[u8; 32]>,
}

/// Whether an entry passes a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    /// It cannot be read, so nobody knows whom it is about.
    Unreadable,
}

impl Filter {
    pub(super) fn is_open(self) -> bool {
        self.issuer.is_none() && self.key.is_none()
    }

    pub(super) fn look(self, entry: &[u8]) -> Match {
        let (issuer, key) = match Entry::decode(entry) {
            Ok(Entry::Issuance(issuance)) => (issuance.issuer, issuance.key),
            Ok(Entry::Key(event)) => (event.issuer, event.key),
            Err(_) => return Match::Unreadable,
        };
        let passes =
            self.issuer.is_none_or(|wanted| wanted == issuer) && self.key.is_none_or(|wanted| wanted == key);
        if passes { Match::Yes } else { Match::No }
    }
}
