//! What an entry says, in one line for people and one object for machines.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_ledger::entry::{Denial, Denied};
use countersign_ledger::tree::leaf_hash;
use countersign_ledger::{Entry, Issuance, KeyName};
use serde_json::{Map, Value, json};

/// An entry that is told.
pub(super) struct Told<'a> {
    pub(super) index: u64,
    pub(super) bytes: &'a [u8],
    /// The key that the entry names by index, if the announcement is at hand.
    pub(super) key: Option<KeyName>,
}

impl Told<'_> {
    /// One line; entries of other logs are told by their leaf hash.
    pub(super) fn text(&self) -> String {
        let Value::Object(mut fields) = self.document() else {
            return String::new();
        };
        let mut line = self.index.to_string();
        fields.remove("index");
        for name in ["entry", "kind", "state", "denied", "action", "stage"] {
            if let Some(Value::String(word)) = fields.remove(name) {
                line.push(' ');
                line.push_str(&word);
            }
        }
        for (name, value) in fields {
            // Writing to a string cannot fail.
            let _ = match value {
                Value::Null => Ok(()),
                Value::String(text) => write!(line, " {name}={text}"),
                value => write!(line, " {name}={value}"),
            };
        }
        line
    }

    /// One object with the same content.
    pub(super) fn document(&self) -> Value {
        let mut value = match Entry::decode(self.bytes) {
            Ok(entry) => fields(&entry),
            Err(_) => json!({
                "entry": "opaque",
                "leaf": hex::encode(leaf_hash(self.bytes)),
                "bytes": self.bytes.len(),
            }),
        };
        if let Value::Object(fields) = &mut value {
            fields.insert("index".to_owned(), self.index.into());
            if let Some(key) = &self.key {
                insert_key(fields, key);
            }
        }
        value
    }
}

fn insert_key(fields: &mut Map<String, Value>, key: &KeyName) {
    fields.insert("issuer".to_owned(), hex::encode(key.issuer).into());
    fields.insert(
        "key_thumbprint".to_owned(),
        URL_SAFE_NO_PAD.encode(key.key).into(),
    );
}

fn fields(entry: &Entry) -> Value {
    match entry {
        Entry::Issuance(issuance) => issuance_fields(issuance),
        Entry::KeyAnnouncement(key) => json!({
            "entry": "key_announcement",
            "issuer": hex::encode(key.issuer),
            "key_thumbprint": URL_SAFE_NO_PAD.encode(key.key),
            "realm": hex::encode(key.realm),
            "at": key.at,
            "sign_from": key.sign_from,
            "sign_until": key.sign_until,
        }),
        Entry::KeyTransition(key) => json!({
            "entry": "key_transition",
            "state": key.state.as_str(),
            "reason": key.reason.as_str(),
            "key_index": key.key,
            "at": key.at,
            "sign_from": key.sign_from,
            "sign_until": key.sign_until,
        }),
        Entry::RealmFence(fence) => json!({
            "entry": "realm_fence",
            "reason": fence.reason.as_str(),
            "realm": hex::encode(fence.realm),
            "at": fence.at,
        }),
        Entry::Waypoint(waypoint) => json!({
            "entry": "waypoint",
            "last_key_entry": waypoint.last_key_entry,
            "last_denial": waypoint.last_denial,
        }),
        Entry::Denial(denial) => denial_fields(denial),
        Entry::Response(response) => json!({
            "entry": "response",
            "action": response.action.as_str(),
            "stage": response.stage.as_str(),
            "at": response.at,
            "case": hex::encode(response.case),
            "target": hex::encode(response.target),
        }),
    }
}

fn issuance_fields(issuance: &Issuance) -> Value {
    json!({
        "entry": "issuance",
        "kind": issuance.kind.as_str(),
        "fingerprint": hex::encode(issuance.fingerprint),
        "key_index": issuance.key,
        "issued_at": issuance.issued_at,
        "expires_at": issuance.expires_at,
        "parent": issuance.lineage.as_ref().map(|lineage| hex::encode(lineage.parent)),
        "root": issuance.lineage.as_ref().map(|lineage| hex::encode(lineage.root)),
    })
}

fn denial_fields(denial: &Denial) -> Value {
    let mut value = json!({
        "entry": "denial",
        "denied": denial.denied.as_str(),
        "reason": denial.reason.as_str(),
        "at": denial.at,
    });
    if let Value::Object(fields) = &mut value {
        match denial.denied {
            Denied::Token(hash) | Denied::Lineage(hash) => {
                fields.insert("fingerprint".to_owned(), hex::encode(hash).into());
            }
            Denied::Session(hash) => {
                fields.insert("session".to_owned(), hex::encode(hash).into());
            }
            Denied::KeySpan { key, from, until } => {
                fields.insert("key_index".to_owned(), key.into());
                fields.insert("from".to_owned(), from.into());
                fields.insert("until".to_owned(), until.into());
            }
        }
    }
    value
}

/// The key that an entry names by the index of its announcement.
pub(super) fn key_index(entry: &Entry) -> Option<u64> {
    match entry {
        Entry::Issuance(issuance) => Some(issuance.key),
        Entry::KeyTransition(transition) => Some(transition.key),
        Entry::Denial(Denial {
            denied: Denied::KeySpan { key, .. },
            ..
        }) => Some(*key),
        Entry::KeyAnnouncement(_)
        | Entry::RealmFence(_)
        | Entry::Waypoint(_)
        | Entry::Denial(_)
        | Entry::Response(_) => None,
    }
}

/// The key that an announcement announces.
pub(super) fn announced(entry: &Entry) -> Option<KeyName> {
    match entry {
        Entry::KeyAnnouncement(key) => Some(KeyName {
            issuer: key.issuer,
            key: key.key,
        }),
        _ => None,
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

    /// `key` is the key that the entry names, as far as it is known. What names none may be about anybody, and passes.
    pub(super) fn look(self, entry: &[u8], key: Option<KeyName>) -> Match {
        let Ok(entry) = Entry::decode(entry) else {
            return Match::Unreadable;
        };
        let Some(name) = announced(&entry).or(key) else {
            return match (key_index(&entry), &entry) {
                (Some(_), _) => Match::Unreadable,
                (None, Entry::Waypoint(_)) if !self.is_open() => Match::No,
                (None, _) => Match::Yes,
            };
        };
        let passes = self.issuer.is_none_or(|wanted| wanted == name.issuer)
            && self.key.is_none_or(|wanted| wanted == name.key);
        if passes { Match::Yes } else { Match::No }
    }
}
