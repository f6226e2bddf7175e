//! Rows that arrive more than once, as log shippers and overlapping files make them.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::normal_form::Use;

/// How many uses are remembered, about 30 MB. A copy further back counts as a use of its own: it adds to counts and
/// cannot make a finding that the first did not make.
pub(crate) const WINDOW_USES: usize = 1 << 18;

/// Tells whether a use was there before, within the last [`WINDOW_USES`].
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    seen: HashSet<Identity>,
    order: VecDeque<Identity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    time_ms: u64,
    fingerprint: [u8; 32],
    /// Of gate, resource and decision, none of which a caller of the gate can choose freely.
    rest: u64,
}

impl Duplicates {
    /// Whether the same gate decided the same about the same token and resource in the same millisecond. Uses
    /// without a token are never duplicates: nothing tells two of them apart.
    pub(crate) fn is_duplicate(&mut self, used: &Use<'_>) -> bool {
        let Some(fingerprint) = used.fingerprint else {
            return false;
        };
        let mut hasher = DefaultHasher::new();
        (&used.gate, &used.resource, used.is_admitted).hash(&mut hasher);
        let identity = Identity {
            time_ms: used.time_ms,
            fingerprint,
            rest: hasher.finish(),
        };
        if !self.seen.insert(identity) {
            return true;
        }
        self.order.push_back(identity);
        if self.order.len() > WINDOW_USES
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::used;

    #[test]
    fn the_same_decision_is_counted_once() {
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.is_duplicate(&used()));
        assert!(duplicates.is_duplicate(&used()));
        for other in [
            Use { time_ms: 1, ..used() },
            Use {
                gate: "back".into(),
                ..used()
            },
            Use {
                fingerprint: Some([1; 32]),
                ..used()
            },
            Use {
                is_admitted: false,
                ..used()
            },
            Use {
                resource: Some("mail".into()),
                ..used()
            },
        ] {
            assert!(!duplicates.is_duplicate(&other), "{other:?}");
        }
        assert!(duplicates.is_duplicate(&Use {
            subject: Some("x".into()),
            ..used()
        }));
        let without = Use {
            fingerprint: None,
            ..used()
        };
        assert!(!duplicates.is_duplicate(&without) && !duplicates.is_duplicate(&without));
    }

    #[test]
    fn memory_is_bounded() {
        let mut duplicates = Duplicates::default();
        for time_ms in 0..=u64::try_from(WINDOW_USES).unwrap() {
            duplicates.is_duplicate(&Use { time_ms, ..used() });
        }
        assert_eq!(
            (duplicates.seen.len(), duplicates.order.len()),
            (WINDOW_USES, WINDOW_USES)
        );
        assert!(
            !duplicates.is_duplicate(&Use { time_ms: 0, ..used() }),
            "forgotten"
        );
        assert!(
            duplicates.is_duplicate(&Use { time_ms: 9, ..used() }),
            "remembered"
        );
    }
}
