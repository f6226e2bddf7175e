//! What an audit knows of keys: from the entries before, kept apart from the writer's own registry.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Denied, Entry, KeyStateCode, WAYPOINT_EVERY};

/// Keys and chains as the entries so far tell them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// State by index of announcement.
    states: BTreeMap<u64, KeyStateCode>,
    /// Issuer and thumbprint of every key announced.
    announced: BTreeSet<[[u8; 32]; 2]>,
    newest_key_entry: Option<u64>,
    newest_denial: Option<u64>,
}

/// What is wrong with an entry in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It names a key, but there is no announcement at that index.
    NotAnnounced(u64),
    /// An issuance under a key that was not active then.
    NotActive(KeyStateCode),
    /// A key announced twice, or becoming what it may not become.
    Transition,
    /// A link does not name the entry before, or a waypoint is missing, misplaced or wrong.
    Chain,
}

impl Keys {
    /// Checks the entry at `index` against those before it, and takes it in.
    pub(super) fn check(&mut self, index: u64, entry: &Entry) -> Result<(), Fault> {
        let is_waypoint = matches!(entry, Entry::Waypoint(_));
        if is_waypoint != (index > 0 && index.is_multiple_of(WAYPOINT_EVERY)) {
            return Err(Fault::Chain);
        }
        match entry {
            Entry::Issuance(issuance) => match self.state(issuance.key)? {
                KeyStateCode::Active => Ok(()),
                state => Err(Fault::NotActive(state)),
            },
            Entry::KeyAnnouncement(announcement) => {
                self.link(announcement.previous, index)?;
                if !self.announced.insert([announcement.issuer, announcement.key]) {
                    return Err(Fault::Transition);
                }
                self.states.insert(index, KeyStateCode::Staged);
                Ok(())
            }
            Entry::KeyTransition(transition) => {
                self.link(transition.previous, index)?;
                if !leads_to(self.state(transition.key)?, transition.state) {
                    return Err(Fault::Transition);
                }
                self.states.insert(transition.key, transition.state);
                Ok(())
            }
            Entry::RealmFence(fence) => self.link(fence.previous, index),
            Entry::Denial(denial) => {
                if denial.previous != self.newest_denial.replace(index) {
                    return Err(Fault::Chain);
                }
                match denial.denied {
                    Denied::KeySpan { key, .. } => self.state(key).map(drop),
                    Denied::Token(_) | Denied::Lineage(_) | Denied::Session(_) => Ok(()),
                }
            }
            Entry::Waypoint(waypoint) => {
                let heads = (waypoint.last_key_entry, waypoint.last_denial);
                if heads == (self.newest_key_entry, self.newest_denial) {
                    Ok(())
                } else {
                    Err(Fault::Chain)
                }
            }
            Entry::Response(_) => Ok(()),
        }
    }

    /// One line each, to be read back by [`Keys::read`].
    pub(super) fn write(&self, lines: &mut String) {
        for (index, state) in &self.states {
            lines.extend(["state ", &index.to_string(), " ", state.as_str(), "\n"]);
        }
        for [issuer, key] in &self.announced {
            lines.extend(["announced ", &hex::encode(issuer), " ", &hex::encode(key), "\n"]);
        }
        let heads = [
            ("key_entry ", self.newest_key_entry),
            ("denial ", self.newest_denial),
        ];
        for (name, head) in heads {
            if let Some(index) = head {
                lines.extend([name, &index.to_string(), "\n"]);
            }
        }
    }

    /// Reads one line; `None` if it is none of ours.
    pub(super) fn read(&mut self, what: &str, rest: &str) -> Option<()> {
        match what {
            "state" => {
                let (index, name) = rest.split_once(' ')?;
                let state = KeyStateCode::ALL.iter().find(|it| it.as_str() == name)?;
                self.states.insert(index.parse().ok()?, *state);
            }
            "announced" => {
                let (issuer, key) = rest.split_once(' ')?;
                let hash = |text| hex::decode(text).ok()?.try_into().ok();
                self.announced.insert([hash(issuer)?, hash(key)?]);
            }
            "key_entry" => self.newest_key_entry = Some(rest.parse().ok()?),
            "denial" => self.newest_denial = Some(rest.parse().ok()?),
            _ => return None,
        }
        Some(())
    }

    fn state(&self, key: u64) -> Result<KeyStateCode, Fault> {
        self.states.get(&key).copied().ok_or(Fault::NotAnnounced(key))
    }

    fn link(&mut self, previous: Option<u64>, index: u64) -> Result<(), Fault> {
        if previous == self.newest_key_entry.replace(index) {
            Ok(())
        } else {
            Err(Fault::Chain)
        }
    }
}

/// The life of a key, arrow by arrow.
fn leads_to(from: KeyStateCode, to: KeyStateCode) -> bool {
    use KeyStateCode::{Active, Expired, Retired, Revoked, Staged, Suspect};
    match from {
        Staged => matches!(to, Active | Retired | Expired | Suspect | Revoked),
        Active => matches!(to, Retired | Expired | Suspect | Revoked),
        Retired => matches!(to, Expired | Suspect | Revoked),
        Expired | Suspect => matches!(to, Revoked),
        Revoked => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_key_is_the_writers() {
        for from in KeyStateCode::ALL {
            for to in KeyStateCode::ALL {
                assert_eq!(leads_to(*from, *to), from.may_become(*to), "{from:?} to {to:?}");
            }
        }
    }
}
