//! What the entries say: decoded one by one, held against those before them, and counted.

use std::collections::BTreeMap;

use super::AuditError;
use super::keys::{Fault, Keys};
use crate::entry::{Entry, IssuanceKind, KeyStateCode};

/// What was seen of the entries so far. An interrupted audit keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) issuances: BTreeMap<IssuanceKind, u64>,
    pub(super) key_events: BTreeMap<KeyStateCode, u64>,
    pub(super) fences: u64,
    pub(super) denials: u64,
    pub(super) response_actions: u64,
    pub(super) waypoints: u64,
    keys: Keys,
}

impl Content {
    /// Takes the next entry: it must decode. The inner error is about its place, and means something only when the
    /// entry is the one that was signed.
    pub(super) fn see(
        &mut self,
        path: &str,
        index: u64,
        bytes: &[u8],
    ) -> Result<Result<(), AuditError>, AuditError> {
        let entry = Entry::decode(bytes).map_err(|error| AuditError::EntryMalformed {
            path: path.to_owned(),
            index,
            error,
        })?;
        self.count(&entry);
        let placed = self.keys.check(index, &entry);
        Ok(placed.map_err(|fault| misplaced(path, index, fault)))
    }

    fn count(&mut self, entry: &Entry) {
        let count = match entry {
            Entry::Issuance(issuance) => self.issuances.entry(issuance.kind).or_default(),
            Entry::KeyAnnouncement(_) => self.key_events.entry(KeyStateCode::Staged).or_default(),
            Entry::KeyTransition(transition) => self.key_events.entry(transition.state).or_default(),
            Entry::RealmFence(_) => &mut self.fences,
            Entry::Denial(_) => &mut self.denials,
            Entry::Response(_) => &mut self.response_actions,
            Entry::Waypoint(_) => &mut self.waypoints,
        };
        *count = count.saturating_add(1);
    }

    /// One line each, to be read back by [`Content::read`].
    pub(super) fn write(&self, lines: &mut String) {
        for (kind, count) in &self.issuances {
            lines.extend(["issuances ", kind.as_str(), " ", &count.to_string(), "\n"]);
        }
        for (state, count) in &self.key_events {
            lines.extend(["key_events ", state.as_str(), " ", &count.to_string(), "\n"]);
        }
        let others = [self.fences, self.denials, self.response_actions, self.waypoints];
        lines.extend(["others ", &others.map(|it| it.to_string()).join(" "), "\n"]);
        self.keys.write(lines);
    }

    /// Reads one line; `None` if it is none of ours.
    pub(super) fn read(&mut self, line: &str) -> Option<()> {
        let (what, rest) = line.split_once(' ')?;
        match what {
            "issuances" => {
                let (name, count) = rest.split_once(' ')?;
                let kind = IssuanceKind::ALL.iter().find(|it| it.as_str() == name)?;
                self.issuances.insert(*kind, count.parse().ok()?);
            }
            "key_events" => {
                let (name, count) = rest.split_once(' ')?;
                let state = KeyStateCode::ALL.iter().find(|it| it.as_str() == name)?;
                self.key_events.insert(*state, count.parse().ok()?);
            }
            "others" => {
                let counts: Result<Vec<u64>, _> = rest.split(' ').map(str::parse).collect();
                let [fences, denials, response_actions, waypoints] = counts.ok()?.try_into().ok()?;
                (self.fences, self.denials) = (fences, denials);
                (self.response_actions, self.waypoints) = (response_actions, waypoints);
            }
            _ => self.keys.read(what, rest)?,
        }
        Some(())
    }
}

/// An entry that is well formed and must not stand where it stands.
fn misplaced(path: &str, index: u64, fault: Fault) -> AuditError {
    let path = path.to_owned();
    match fault {
        Fault::NotAnnounced(key) => AuditError::KeyNotAnnounced { path, index, key },
        Fault::NotActive(state) => AuditError::KeyNotActive { path, index, state },
        Fault::Transition => AuditError::KeyTransitionInvalid { path, index },
        Fault::Chain => AuditError::ChainBroken { path, index },
    }
}
