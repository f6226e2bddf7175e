//! What the entries say: decoded one by one, and counted.

use std::collections::BTreeMap;

use crate::entry::{Entry, EntryError, IssuanceKind, KeyStateCode};

/// What was seen of the entries so far. An interrupted audit keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) issuances: BTreeMap<IssuanceKind, u64>,
    pub(super) key_events: BTreeMap<KeyStateCode, u64>,
}

impl Content {
    /// Takes the next entry: it must decode.
    pub(super) fn see(&mut self, entry: &[u8]) -> Result<(), EntryError> {
        let count = match Entry::decode(entry)? {
            Entry::Issuance(issuance) => self.issuances.entry(issuance.kind).or_default(),
            Entry::Key(event) => self.key_events.entry(event.state).or_default(),
        };
        *count = count.saturating_add(1);
        Ok(())
    }

    /// One line each, to be read back by [`Content::read`].
    pub(super) fn write(&self, lines: &mut String) {
        for (kind, count) in &self.issuances {
            lines.extend(["issuances ", kind.as_str(), " ", &count.to_string(), "\n"]);
        }
        for (state, count) in &self.key_events {
            lines.extend(["key_events ", state.as_str(), " ", &count.to_string(), "\n"]);
        }
    }

    /// Reads one line; `None` if it is none of ours.
    pub(super) fn read(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (what, name, count) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        match what {
            "issuances" => {
                let kind = IssuanceKind::ALL.into_iter().find(|it| it.as_str() == name)?;
                self.issuances.insert(kind, count);
            }
            "key_events" => {
                let state = KeyStateCode::ALL.into_iter().find(|it| it.as_str() == name)?;
                self.key_events.insert(state, count);
            }
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}
