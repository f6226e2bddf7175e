//! The keys that the page shows: plain rows, so that the console needs to know nothing about tokens.

use std::sync::Arc;

use serde::Serialize;

/// Gives the keys in force, asked anew for each look at the page.
pub type KeySource = Arc<dyn Fn() -> KeyTable + Send + Sync>;

/// The keys in force.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeyTable {
    /// The number of the trust bundle they come from, if they come from one.
    pub bundle: Option<u64>,
    /// The keys, in any order.
    pub keys: Vec<KeyRow>,
}

/// One key of one issuer.
#[derive(Clone, Debug, Serialize)]
pub struct KeyRow {
    /// The exact name of the issuer, or its template.
    pub issuer: String,
    /// The issuer's realm.
    pub realm: String,
    /// The tenant, where the issuer is a tenant's.
    pub tenant: Option<String>,
    /// `kid`.
    pub key_id: String,
    /// `ES256`, `RS256`, `EdDSA`.
    pub algorithm: String,
    /// `staged`, `active`, `retired`, `expired`, `suspect`, `revoked`.
    pub state: String,
    /// The second from which it may sign.
    pub sign_from: u64,
    /// The last second in which it may sign; none while that is open.
    pub sign_until: Option<u64>,
}

/// What a state means, and its place among the others: trouble first, then what is in use.
pub(crate) struct StateWord {
    pub(crate) rank: usize,
    pub(crate) word: &'static str,
    pub(crate) meaning: &'static str,
}

/// The states of a key.
const STATES: &[(&str, &str)] = &[
    ("revoked", "nothing it signed is admitted"),
    ("suspect", "only tokens found in the ledger are admitted"),
    ("active", "signs"),
    ("staged", "announced, may not sign yet"),
    ("retired", "signs no more, its tokens run out"),
    ("expired", "nothing it signed counts any more"),
];

/// What `state` means; a word that this version does not know is said to be so.
pub(crate) fn state_word(state: &str) -> StateWord {
    let known = STATES.iter().enumerate().find(|(_, (word, _))| *word == state);
    known.map_or(
        StateWord {
            rank: STATES.len(),
            word: "unknown",
            meaning: "not a state this console knows",
        },
        |(rank, (word, meaning))| StateWord { rank, word, meaning },
    )
}

impl KeyTable {
    /// The keys by issuer, issuers in order of realm and name, their keys by state and window.
    pub(crate) fn by_issuer(&self) -> Vec<(&KeyRow, Vec<&KeyRow>)> {
        let mut rows: Vec<&KeyRow> = self.keys.iter().collect();
        rows.sort_by_key(|row| {
            (
                &row.realm,
                &row.issuer,
                &row.tenant,
                state_word(&row.state).rank,
                row.sign_from,
                &row.key_id,
            )
        });
        let groups =
            rows.chunk_by(|a, b| (&a.realm, &a.issuer, &a.tenant) == (&b.realm, &b.issuer, &b.tenant));
        groups
            .filter_map(|group| Some((*group.first()?, group.to_vec())))
            .collect()
    }

    /// How many keys are in `state`.
    pub(crate) fn count(&self, state: &str) -> usize {
        self.keys.iter().filter(|row| row.state == state).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(issuer: &str, state: &str) -> KeyRow {
        KeyRow {
            issuer: issuer.into(),
            realm: "r".into(),
            tenant: None,
            key_id: format!("{issuer}-{state}"),
            algorithm: "ES256".into(),
            state: state.into(),
            sign_from: 0,
            sign_until: None,
        }
    }

    #[test]
    fn keys_stand_under_their_issuer_trouble_first() {
        let table = KeyTable {
            bundle: None,
            keys: vec![
                row("b", "active"),
                row("a", "odd"),
                row("a", "staged"),
                row("a", "active"),
                row("a", "suspect"),
            ],
        };
        let groups = table.by_issuer();
        let seen: Vec<Vec<&str>> = groups
            .iter()
            .map(|(_, keys)| keys.iter().map(|key| key.key_id.as_str()).collect())
            .collect();
        assert_eq!(
            seen,
            [
                vec!["a-suspect", "a-active", "a-staged", "a-odd"],
                vec!["b-active"]
            ]
        );
        assert_eq!(table.count("active"), 2);
    }
}
