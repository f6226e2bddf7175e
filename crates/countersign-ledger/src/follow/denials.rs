//! Denials of tokens by what they say instead of by fingerprint: sessions, and spans of a key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::draft::KeyName;
use crate::entry::{Denied, KeyAnnouncement, issuer_id, session_id};

/// What a verified token says of itself, as far as denials are about it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// `iss`, exactly.
    pub issuer: &'a str,
    /// RFC 7638 thumbprint of the key that signed it.
    pub key: [u8; 32],
    /// `sid`.
    pub session: Option<&'a str>,
    /// `iat`, unix seconds.
    pub issued_at: u64,
}

/// One writer, many readers. Denials are rare and kept for as long as the follower lives; readers take no lock before
/// the first.
#[derive(Default)]
pub(super) struct Denials {
    any: AtomicBool,
    lists: RwLock<Lists>,
}

#[derive(Default)]
struct Lists {
    sessions: BTreeSet<[u8; 32]>,
    spans: BTreeMap<KeyName, Vec<Span>>,
    /// Every key by the index of its announcement.
    keys: BTreeMap<u64, KeyName>,
}

/// First and last second of issue.
type Span = (u64, u64);

impl Denials {
    pub(super) fn announce(&self, index: u64, key: &KeyAnnouncement) {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        let name = KeyName {
            issuer: key.issuer,
            key: key.key,
        };
        lists.keys.insert(index, name);
    }

    /// Takes in a denial; those by fingerprint are the issued set's business.
    pub(super) fn deny(&self, denied: &Denied) {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        match denied {
            Denied::Token(_) | Denied::Lineage(_) => return,
            Denied::Session(session) => {
                lists.sessions.insert(*session);
            }
            Denied::KeySpan { key, from, until } => {
                // The ledger takes no denial of a key that was not announced.
                let Some(name) = lists.keys.get(key).copied() else {
                    return;
                };
                let span = (*from, until.unwrap_or(u64::MAX));
                lists.spans.entry(name).or_default().push(span);
            }
        }
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn is_denied(&self, shown: &Shown<'_>) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let issuer = issuer_id(shown.issuer);
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        let key = shown.key;
        let spans = lists.spans.get(&KeyName { issuer, key });
        let in_span = |(from, until): &Span| (*from..=*until).contains(&shown.issued_at);
        let in_session = |sid| lists.sessions.contains(&session_id(&issuer, sid));
        spans.is_some_and(|spans| spans.iter().any(in_span)) || shown.session.is_some_and(in_session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISS: &str = "https://a.example";

    fn shown(issued_at: u64, session: Option<&'static str>) -> Shown<'static> {
        Shown {
            issuer: ISS,
            key: [2; 32],
            session,
            issued_at,
        }
    }

    #[test]
    fn sessions_and_spans_are_denied_and_nothing_else() {
        let denials = Denials::default();
        let key = KeyAnnouncement {
            previous: None,
            at: 0,
            sign_from: 0,
            sign_until: None,
            realm: [0; 32],
            issuer: issuer_id(ISS),
            key: [2; 32],
        };
        denials.announce(7, &key);
        assert!(!denials.is_denied(&shown(15, Some("s"))));
        denials.deny(&Denied::KeySpan {
            key: 7,
            from: 10,
            until: Some(20),
        });
        for (issued_at, expect) in [(9, false), (10, true), (20, true), (21, false)] {
            assert_eq!(denials.is_denied(&shown(issued_at, None)), expect, "{issued_at}");
        }
        let other_key = Shown {
            key: [3; 32],
            ..shown(15, None)
        };
        assert!(!denials.is_denied(&other_key));
        let other_issuer = Shown {
            issuer: "https://b.example",
            ..shown(15, Some("s"))
        };
        denials.deny(&Denied::Session(session_id(&issuer_id(ISS), "s")));
        assert!(denials.is_denied(&shown(30, Some("s"))));
        assert!(!denials.is_denied(&shown(30, Some("t"))));
        assert!(!denials.is_denied(&other_issuer));
        denials.deny(&Denied::KeySpan {
            key: 7,
            from: 100,
            until: None,
        });
        assert!(denials.is_denied(&shown(u64::MAX, None)));
    }
}
