//! Coverage: for which uses the ledger's silence means "never issued".

use std::collections::HashMap;

use countersign_ledger::{Entry, KeyStateCode, issuer_id};
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
/// they could sign; for others it begins with the first entry about them, plus the clock skew.
#[derive(Debug)]
pub struct Coverage {
    clock_skew_seconds: u64,
    began: Option<u64>,
    newest_issuance: Option<u64>,
    issuers: HashMap<[u8; 32], u64>,
    keys: HashMap<[u8; 32], KeyCoverage>,
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
        }
    }

    /// Takes in one entry. Entries come in the ledger's order.
    pub fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Issuance(issuance) => {
                self.began.get_or_insert(issuance.issued_at);
                self.newest_issuance = self.newest_issuance.max(Some(issuance.issued_at));
                self.note_signer(issuance.issuer, issuance.key, issuance.issued_at, false);
            }
            Entry::Key(event) => {
                // Its time does not extend the coverage: a change may be announced for later.
                let began = *self.began.get_or_insert(event.at);
                let is_whole = event.state == KeyStateCode::Staged || event.sign_from >= began;
                self.note_signer(event.issuer, event.key, event.at, is_whole);
            }
        }
    }

    fn note_signer(&mut self, issuer: [u8; 32], key: [u8; 32], since: u64, is_whole: bool) {
        self.issuers.entry(issuer).or_insert(since);
        self.keys.entry(key).or_insert(KeyCoverage { since, is_whole });
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
    use countersign_ledger::{Issuance, IssuanceKind, KeyEvent};

    use super::*;
    use crate::verdict::tests::used;

    const ISSUER: &str = "https://a.example";

    fn issuance(key: u8, issued_at: u64) -> Entry {
        Entry::Issuance(Issuance {
            kind: IssuanceKind::Access,
            fingerprint: [9; 32],
            issuer: issuer_id(ISSUER),
            key: [key; 32],
            issued_at,
            expires_at: issued_at + 300,
            lineage: None,
        })
    }

    fn key_event(key: u8, state: KeyStateCode, at: u64, sign_from: u64) -> Entry {
        let issuer = issuer_id("https://{tenantid}.example");
        Entry::Key(KeyEvent {
            key: [key; 32],
            issuer,
            state,
            at,
            sign_from,
            sign_until: 0,
        })
    }

    fn coverage() -> Coverage {
        let mut coverage = Coverage::new(10);
        for entry in [
            key_event(1, KeyStateCode::Active, 1000, 1000),
            key_event(2, KeyStateCode::Active, 1000, 500),
            key_event(3, KeyStateCode::Staged, 1100, 0),
            issuance(4, 1200),
            issuance(1, 2000),
            issuance(1, 1999),
            key_event(1, KeyStateCode::Retired, 9000, 1000),
        ] {
            coverage.note(&entry);
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
        keys_only.note(&key_event(1, KeyStateCode::Active, 1, 1));
        let mut used = used();
        used.key_thumbprint = Some([1; 32]);
        assert_eq!(keys_only.gap(&used), Some(Gap::AfterLedger));
    }
}
