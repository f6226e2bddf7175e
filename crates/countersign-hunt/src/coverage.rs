//! Coverage: for which uses the ledger's silence means "never issued".

use std::collections::HashMap;

use countersign_ledger::{Entry, KeyName, issuer_id};
use serde::Serialize;

use crate::normal_form::Use;

/// How far the clocks of gates and issuers may be apart, in seconds, unless the caller knows better: the skew
/// that the token rules allow.
pub const CLOCK_SKEW_SECONDS: u64 = 30;

/// What a ledger covers, measured from its entries.
///
/// A token is recorded before it is released, so a token that is missing from the checkpoint was released after the
/// last entry in it, and every use of it is later than each issuance there. Hence a use no later than the newest
/// issuance is conclusive, less the clock skew. Towards the past the ledger is complete for keys that it saw before
/// they could sign; for others it begins with their announcement, plus the clock skew.
#[derive(Debug)]
pub struct Coverage {
    clock_skew_seconds: u64,
    began: Option<u64>,
    newest_issuance: Option<u64>,
    issuers: HashMap<[u8; 32], u64>,
    keys: HashMap<[u8; 32], KeyCoverage>,
    /// By index of announcement, as issuances name them.
    announced: HashMap<u64, KeyName>,
}

#[derive(Clone, Copy, Debug)]
struct KeyCoverage {
    since: u64,
    /// The ledger announced the key before it could sign, so it holds everything the key ever signed.
    is_whole: bool,
}

/// Why the ledger's silence about a use means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// The ledger names neither the token's issuer nor its key.
    IssuerNotRecorded,
    /// The use is older than the first entry about its issuer or key, and the key may be older too.
    BeforeLedger,
    /// The use is later than what the checkpoint covers.
    AfterLedger,
    /// The token says that it was issued before the ledger knew its issuer, by a key that is older too.
    IssuedBeforeLedger,
}

impl Coverage {
    /// The coverage of a ledger without entries.
    pub fn new(clock_skew_seconds: u64) -> Self {
        Self {
            clock_skew_seconds,
            began: None,
            newest_issuance: None,
            issuers: HashMap::new(),
            keys: HashMap::new(),
            announced: HashMap::new(),
        }
    }

    /// Takes in the entry at `index`. Entries come in the ledger's order.
    pub fn note(&mut self, index: u64, entry: &Entry) {
        match entry {
            Entry::Issuance(issuance) => {
                self.began.get_or_insert(issuance.issued_at);
                self.newest_issuance = self.newest_issuance.max(Some(issuance.issued_at));
            }
            Entry::KeyAnnouncement(announced) => {
                // Its time does not extend the coverage: a key may be announced for later.
                self.began.get_or_insert(announced.at);
                let (issuer, key, since) = (announced.issuer, announced.key, announced.at);
                let is_whole = announced.sign_from >= since;
                self.announced.insert(index, KeyName { issuer, key });
                self.issuers.entry(issuer).or_insert(since);
                self.keys.entry(key).or_insert(KeyCoverage { since, is_whole });
            }
            Entry::KeyTransition(_)
            | Entry::RealmFence(_)
            | Entry::Waypoint(_)
            | Entry::Denial(_)
            | Entry::Response(_) => {}
        }
    }

    /// The key that was announced at `index`, if it was noted.
    pub fn announced(&self, index: u64) -> Option<KeyName> {
        self.announced.get(&index).copied()
    }

    /// Why the ledger cannot be expected to know this token, or none where its silence is conclusive.
    pub fn gap(&self, used: &Use<'_>) -> Option<Gap> {
        let key = used.key_thumbprint.and_then(|key| self.keys.get(&key));
        let issuer = used
            .issuer
            .as_deref()
            .and_then(|iss| self.issuers.get(&issuer_id(iss)));
        let Some(since) = key.map(|key| key.since).into_iter().chain(issuer.copied()).min() else {
            return Some(Gap::IssuerNotRecorded);
        };
        let Some(newest) = self.newest_issuance else {
            return Some(Gap::AfterLedger);
        };
        let skew_ms = self.clock_skew_seconds.saturating_mul(1000);
        if used.time_ms.saturating_add(skew_ms) > newest.saturating_mul(1000) {
            return Some(Gap::AfterLedger);
        }
        if key.is_some_and(|key| key.is_whole) {
            return None;
        }
        if used.time_ms < since.saturating_mul(1000).saturating_add(skew_ms) {
            return Some(Gap::BeforeLedger);
        }
        used.issued_at
            .is_some_and(|issued_at| issued_at < since)
            .then_some(Gap::IssuedBeforeLedger)
    }

    /// When the ledger began, seconds since 1970.
    pub fn began(&self) -> Option<u64> {
        self.began
    }

    /// The newest issuance, seconds since 1970: uses up to it, less the clock skew, are covered.
    pub fn newest_issuance(&self) -> Option<u64> {
        self.newest_issuance
    }

    /// How many issuers the ledger names.
    pub fn issuers(&self) -> usize {
        self.issuers.len()
    }

    /// How many keys the ledger names.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The clock skew taken off, seconds.
    pub fn clock_skew_seconds(&self) -> u64 {
        self.clock_skew_seconds
    }
}

#[cfg(test)]
mod tests {
    use countersign_ledger::entry::KeyAnnouncement;
    use countersign_ledger::{Issuance, IssuanceKind};

    use super::*;
    use crate::verdict::tests::used;

    const ISSUER: &str = "https://a.example";

    fn issuance(key: u64, issued_at: u64) -> Entry {
        Entry::Issuance(Issuance {
            kind: IssuanceKind::Access,
            fingerprint: [9; 32],
            key,
            issued_at,
            expires_at: issued_at + 300,
            lineage: None,
        })
    }

    fn announcement(iss: &str, key: u8, at: u64, sign_from: u64) -> Entry {
        Entry::KeyAnnouncement(KeyAnnouncement {
            previous: None,
            at,
            sign_from,
            sign_until: None,
            realm: [0; 32],
            issuer: issuer_id(iss),
            key: [key; 32],
        })
    }

    fn coverage() -> Coverage {
        let mut coverage = Coverage::new(10);
        let tenants = "https://{tenantid}.example";
        let entries = [
            announcement(tenants, 1, 1000, 1000),
            announcement(tenants, 2, 1000, 500),
            announcement(tenants, 3, 1100, 1400),
            announcement(ISSUER, 4, 1200, 0),
            issuance(3, 1200),
            issuance(0, 2000),
            issuance(0, 1999),
            announcement(tenants, 1, 9000, 1000),
        ];
        for (index, entry) in (0..).zip(&entries) {
            coverage.note(index, entry);
        }
        coverage
    }

    #[test]
    fn the_span_is_measured_and_the_skew_taken_off() {
        let coverage = coverage();
        assert_eq!(
            (coverage.began(), coverage.newest_issuance()),
            (Some(1000), Some(2000))
        );
        assert_eq!((coverage.issuers(), coverage.keys()), (2, 4));
        for (seconds, key, expect) in [
            (0, 4, Some(Gap::BeforeLedger)),
            (1209, 4, Some(Gap::BeforeLedger)),
            (1210, 4, None),
            (1990, 4, None),
            (1991, 4, Some(Gap::AfterLedger)),
            (0, 1, None),
            (1990, 1, None),
            (1991, 1, Some(Gap::AfterLedger)),
            (u64::MAX / 1000, 1, Some(Gap::AfterLedger)),
        ] {
            let mut used = used();
            (used.time_ms, used.key_thumbprint) = (seconds * 1000, Some([key; 32]));
            assert_eq!(coverage.gap(&used), expect, "{seconds}, key {key}");
        }
    }

    #[test]
    fn issuer_or_key_must_be_named() {
        let coverage = coverage();
        let check = |issuer: Option<&'static str>, key: Option<u8>, expect| {
            let mut used = used();
            (used.time_ms, used.issuer) = (1_500_000, issuer.map(Into::into));
            used.key_thumbprint = key.map(|key| [key; 32]);
            assert_eq!(coverage.gap(&used), expect, "{issuer:?} {key:?}");
        };
        check(Some(ISSUER), None, None);
        check(Some("https://a.example/"), None, Some(Gap::IssuerNotRecorded));
        check(None, None, Some(Gap::IssuerNotRecorded));
        check(Some("https://never-named-tenant.example"), Some(1), None);
        check(None, Some(8), Some(Gap::IssuerNotRecorded));
    }

    #[test]
    fn an_old_date_excuses_only_tokens_of_an_older_key() {
        let coverage = coverage();
        for (key, expect) in [
            (1, None),
            (2, Some(Gap::IssuedBeforeLedger)),
            (3, None),
            (4, Some(Gap::IssuedBeforeLedger)),
        ] {
            let mut used = used();
            (used.time_ms, used.issued_at) = (1_500_000, Some(900));
            (used.issuer, used.key_thumbprint) = (None, Some([key; 32]));
            assert_eq!(coverage.gap(&used), expect, "key {key}");
        }
    }

    #[test]
    fn an_empty_ledger_covers_nothing() {
        assert_eq!(Coverage::new(0).gap(&used()), Some(Gap::IssuerNotRecorded));
        let mut keys_only = Coverage::new(0);
        keys_only.note(0, &announcement(ISSUER, 1, 1, 1));
        assert_eq!(keys_only.announced(0).unwrap().key, [1; 32]);
        let mut used = used();
        used.key_thumbprint = Some([1; 32]);
        assert_eq!(keys_only.gap(&used), Some(Gap::AfterLedger));
    }
}
