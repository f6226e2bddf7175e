//! What the ledger knows of keys, from its own entries and from nothing else.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::draft::{Draft, IssuanceDraft, KeyName};
use crate::entries::ReadError;
use crate::entry::{
    Denial, Denied, Entry, Issuance, KeyAnnouncement, KeyStateCode, KeyTransition, RealmFence,
    WAYPOINT_EVERY, Waypoint,
};
use crate::queue::AppendError;

/// A moment in the life of a key and of its realm. Whoever signs reads it before, and the ledger compares it when the
/// issuance gets its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The ledger's size right after the key's last announcement or transition.
    pub key: u64,
    /// The ledger's size right after the realm's last fence; 0 when there was none.
    pub realm: u64,
}

/// What the ledger says of a key at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStanding {
    /// Index of its announcement: its name in every other entry.
    pub index: u64,
    /// Its name outside the ledger.
    pub name: KeyName,
    /// [`realm_id`](crate::entry::realm_id) of its realm.
    pub realm: [u8; 32],
    /// Its state.
    pub state: KeyStateCode,
    /// When it was announced or last changed, in unix seconds.
    pub at: u64,
    /// Start of the signing window, unix seconds.
    pub sign_from: u64,
    /// Last second of the signing window; none while it is open.
    pub sign_until: Option<u64>,
    /// To sign under, if it is active.
    pub epoch: Epoch,
}

/// Every key that was ever announced, and where the chains end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registry {
    /// By index of announcement. The realm's epoch is kept apart and filled in when asked for.
    keys: BTreeMap<u64, KeyStanding>,
    names: HashMap<KeyName, u64>,
    realms: HashMap<[u8; 32], u64>,
    last_key_entry: Option<u64>,
    last_denial: Option<u64>,
}

/// The keys that an issuance depends on, by index of announcement, each with the epoch its caller saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tickets {
    pub(crate) signer: (u64, Epoch),
    pub(crate) parent: Option<(u64, Epoch)>,
}

/// Reads the entries `from..to` and hands each to the last argument, as the journal's reader does.
pub(crate) type Read<'a> =
    dyn Fn(u64, u64, &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> Result<(), ReadError> + 'a;

impl Registry {
    /// What the first `size` entries say. Reads the entries since the last waypoint, and before it key entries only.
    pub(crate) fn rebuild(size: u64, read: &Read<'_>) -> Result<Self, RebuildError> {
        let mut registry = Self::default();
        let Some(last) = size.checked_sub(1) else {
            return Ok(registry);
        };
        let waypoint = last.saturating_sub(last.checked_rem(WAYPOINT_EVERY).unwrap_or(0));
        if waypoint > 0 {
            let Entry::Waypoint(found) = read_one(read, waypoint)? else {
                return Err(RebuildError::Broken { index: waypoint });
            };
            for (index, entry) in key_chain(read, waypoint, found.last_key_entry)? {
                registry.take_in(index, &entry)?;
            }
            registry.last_denial = found.last_denial;
        }
        let mut broken = None;
        read(waypoint, size, &mut |index, bytes| {
            let taken = Entry::decode(bytes)
                .map_err(|_| RebuildError::Broken { index })
                .and_then(|entry| registry.take_in(index, &entry));
            if let Err(error) = taken {
                broken.get_or_insert(error);
            }
            Ok(())
        })?;
        broken.map_or(Ok(registry), Err)
    }

    /// Takes in an entry that is in the ledger.
    pub(crate) fn take_in(&mut self, index: u64, entry: &Entry) -> Result<(), RebuildError> {
        let broken = RebuildError::Broken { index };
        let (link, expect) = match entry {
            Entry::Issuance(_) | Entry::Response(_) => return Ok(()),
            Entry::Waypoint(waypoint) => {
                return if *waypoint == self.waypoint() {
                    Ok(())
                } else {
                    Err(broken)
                };
            }
            Entry::KeyAnnouncement(announcement) => (announcement.previous, self.last_key_entry),
            Entry::KeyTransition(transition) => (transition.previous, self.last_key_entry),
            Entry::RealmFence(fence) => (fence.previous, self.last_key_entry),
            Entry::Denial(denial) => (denial.previous, self.last_denial),
        };
        if link != expect {
            return Err(broken);
        }
        self.apply(index, entry);
        Ok(())
    }

    /// The entry that a draft becomes at the next place, or why it may not.
    pub(crate) fn complete(&self, draft: &Draft) -> Result<Entry, AppendError> {
        let previous = self.last_key_entry;
        Ok(match draft {
            Draft::Issuance(draft) => {
                let key = self.reference(&draft.key)?;
                self.admit(&self.tickets(draft)?)?;
                Entry::Issuance(issuance(draft, key))
            }
            Draft::Announcement(draft) => {
                if self.names.contains_key(&draft.key) {
                    return Err(AppendError::KeyAlreadyAnnounced);
                }
                Entry::KeyAnnouncement(KeyAnnouncement {
                    previous,
                    at: draft.at,
                    sign_from: draft.sign_from,
                    sign_until: draft.sign_until,
                    realm: draft.realm,
                    issuer: draft.key.issuer,
                    key: draft.key.key,
                })
            }
            Draft::Transition(draft) => {
                let key = self.reference(&draft.key)?;
                let allowed = self
                    .keys
                    .get(&key)
                    .map(|standing| standing.state.may_become(draft.state));
                if allowed != Some(true) {
                    return Err(AppendError::TransitionNotAllowed);
                }
                Entry::KeyTransition(KeyTransition {
                    state: draft.state,
                    reason: draft.reason,
                    previous,
                    key,
                    at: draft.at,
                    sign_from: draft.sign_from,
                    sign_until: draft.sign_until,
                })
            }
            Draft::Fence(draft) => Entry::RealmFence(RealmFence {
                reason: draft.reason,
                previous,
                at: draft.at,
                realm: draft.realm,
            }),
            Draft::Denial(draft) => {
                if let Denied::KeySpan { key, .. } = draft.denied
                    && !self.keys.contains_key(&key)
                {
                    return Err(AppendError::KeyNotAnnounced);
                }
                Entry::Denial(Denial {
                    denied: draft.denied,
                    reason: draft.reason,
                    previous: self.last_denial,
                    at: draft.at,
                })
            }
            Draft::Response(action) => Entry::Response(action.clone()),
        })
    }

    /// What an issuance has to show when it gets its place.
    pub(crate) fn tickets(&self, draft: &IssuanceDraft) -> Result<Tickets, AppendError> {
        let parent = draft.parent_key;
        let parent = parent.map(|(name, epoch)| Ok::<_, AppendError>((self.reference(&name)?, epoch)));
        Ok(Tickets {
            signer: (self.reference(&draft.key)?, draft.epoch),
            parent: parent.transpose()?,
        })
    }

    /// Whether an issuance with these tickets may be recorded now.
    pub(crate) fn admit(&self, tickets: &Tickets) -> Result<(), AppendError> {
        let signer = self.in_epoch(tickets.signer)?;
        if let Some(parent) = tickets.parent {
            self.in_epoch(parent)?;
        }
        if signer.state == KeyStateCode::Active {
            Ok(())
        } else {
            Err(AppendError::KeyNotActive)
        }
    }

    /// The key, if neither it nor its realm has moved on since the epoch was read.
    fn in_epoch(&self, (key, epoch): (u64, Epoch)) -> Result<&KeyStanding, AppendError> {
        let standing = self.keys.get(&key).ok_or(AppendError::KeyNotAnnounced)?;
        let realm = self.realms.get(&standing.realm).copied().unwrap_or(0);
        if (epoch.key, epoch.realm) == (standing.epoch.key, realm) {
            Ok(standing)
        } else {
            Err(AppendError::EpochFenced)
        }
    }

    /// Index of a key's announcement.
    pub(crate) fn reference(&self, name: &KeyName) -> Result<u64, AppendError> {
        self.names.get(name).copied().ok_or(AppendError::KeyNotAnnounced)
    }

    /// What is said of the key that was announced at `index`.
    pub(crate) fn standing(&self, index: u64) -> Option<KeyStanding> {
        let mut standing = self.keys.get(&index)?.clone();
        standing.epoch.realm = self.realms.get(&standing.realm).copied().unwrap_or(0);
        Some(standing)
    }

    /// Every key, in the order of announcement.
    pub(crate) fn standings(&self) -> Vec<KeyStanding> {
        self.keys
            .keys()
            .filter_map(|index| self.standing(*index))
            .collect()
    }

    /// The waypoint that would stand at the next place.
    pub(crate) fn waypoint(&self) -> Waypoint {
        Waypoint {
            last_key_entry: self.last_key_entry,
            last_denial: self.last_denial,
        }
    }

    /// Moves on by an entry that this registry has completed or checked.
    pub(crate) fn apply(&mut self, index: u64, entry: &Entry) {
        let after = index.saturating_add(1);
        match entry {
            Entry::Issuance(_) | Entry::Response(_) | Entry::Waypoint(_) => return,
            Entry::Denial(_) => {
                self.last_denial = Some(index);
                return;
            }
            Entry::KeyAnnouncement(announcement) => {
                let standing = announced(index, announcement);
                self.names.entry(standing.name).or_insert(index);
                self.keys.insert(index, standing);
            }
            Entry::KeyTransition(transition) => {
                if let Some(standing) = self.keys.get_mut(&transition.key) {
                    standing.state = transition.state;
                    standing.at = transition.at;
                    standing.sign_from = transition.sign_from;
                    standing.sign_until = transition.sign_until;
                    standing.epoch.key = after;
                }
            }
            Entry::RealmFence(fence) => {
                self.realms.insert(fence.realm, after);
            }
        }
        self.last_key_entry = Some(index);
    }
}

/// The entry of an issuance under the key announced at `key`.
pub(crate) fn issuance(draft: &IssuanceDraft, key: u64) -> Issuance {
    Issuance {
        kind: draft.kind,
        fingerprint: draft.fingerprint,
        key,
        issued_at: draft.issued_at,
        expires_at: draft.expires_at,
        lineage: draft.lineage.clone(),
    }
}

fn announced(index: u64, announcement: &KeyAnnouncement) -> KeyStanding {
    KeyStanding {
        index,
        name: KeyName {
            issuer: announcement.issuer,
            key: announcement.key,
        },
        realm: announcement.realm,
        state: KeyStateCode::Staged,
        at: announcement.at,
        sign_from: announcement.sign_from,
        sign_until: announcement.sign_until,
        epoch: Epoch {
            key: index.saturating_add(1),
            realm: 0,
        },
    }
}

/// The key entries before `end`, oldest first.
fn key_chain(read: &Read<'_>, end: u64, last: Option<u64>) -> Result<Vec<(u64, Entry)>, RebuildError> {
    let mut chain = Vec::new();
    let (mut next, mut after) = (last, end);
    while let Some(index) = next {
        // Towards the start only: a chain of damaged links would otherwise have no end.
        if index >= after {
            return Err(RebuildError::Broken { index: after });
        }
        let entry = read_one(read, index)?;
        next = match &entry {
            Entry::KeyAnnouncement(announcement) => announcement.previous,
            Entry::KeyTransition(transition) => transition.previous,
            Entry::RealmFence(fence) => fence.previous,
            Entry::Issuance(_) | Entry::Waypoint(_) | Entry::Denial(_) | Entry::Response(_) => {
                return Err(RebuildError::Broken { index });
            }
        };
        after = index;
        chain.push((index, entry));
    }
    chain.reverse();
    Ok(chain)
}

fn read_one(read: &Read<'_>, index: u64) -> Result<Entry, RebuildError> {
    let mut found = None;
    read(index, index.saturating_add(1), &mut |_, bytes| {
        found = Entry::decode(bytes).ok();
        Ok(())
    })?;
    found.ok_or(RebuildError::Broken { index })
}

/// Why the keys could not be read from the entries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the chain of key entries is broken at entry {index}")]
    Broken { index: u64 },
}

#[cfg(test)]
mod tests;
