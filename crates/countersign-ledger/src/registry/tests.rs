use super::*;
use crate::draft::{AnnouncementDraft, DenialDraft, FenceDraft, TransitionDraft};
use crate::entry::{IssuanceKind, ReasonCode};

fn name(key: u64) -> KeyName {
    let mut thumbprint = [7; 32];
    thumbprint[..8].copy_from_slice(&key.to_be_bytes());
    KeyName {
        issuer: [1; 32],
        key: thumbprint,
    }
}

fn announcement(key: u64) -> Draft {
    AnnouncementDraft {
        key: name(key),
        realm: [u8::try_from(key % 3).unwrap(); 32],
        at: key,
        sign_from: key,
        sign_until: None,
    }
    .into()
}

fn transition(key: u64, state: KeyStateCode) -> Draft {
    TransitionDraft {
        key: name(key),
        state,
        reason: ReasonCode::Routine,
        at: key + 1,
        sign_from: key,
        sign_until: None,
    }
    .into()
}

fn fence(realm: u8) -> Draft {
    FenceDraft {
        realm: [realm; 32],
        reason: ReasonCode::Suspicion,
        at: 1,
    }
    .into()
}

fn denial(denied: Denied) -> Draft {
    DenialDraft {
        denied,
        reason: ReasonCode::Compromise,
        at: 1,
    }
    .into()
}

fn issuance(key: u64, epoch: Epoch) -> Draft {
    Draft::Issuance(IssuanceDraft {
        kind: IssuanceKind::Access,
        fingerprint: [9; 32],
        key: name(key),
        epoch,
        parent_key: None,
        issued_at: 1,
        expires_at: 2,
        lineage: None,
    })
}

/// A log in memory, its registry kept as it grows.
#[derive(Default)]
struct Log {
    entries: Vec<Vec<u8>>,
    registry: Registry,
}

impl Log {
    fn add(&mut self, draft: &Draft) -> Result<u64, AppendError> {
        let entry = self.registry.complete(draft)?;
        Ok(self.put(&entry))
    }

    fn put(&mut self, entry: &Entry) -> u64 {
        let index = self.entries.len() as u64;
        if index > 0 && index.is_multiple_of(WAYPOINT_EVERY) && !matches!(entry, Entry::Waypoint(_)) {
            self.put(&Entry::Waypoint(self.registry.waypoint()));
            return self.put(entry);
        }
        self.registry.apply(index, entry);
        self.entries.push(entry.encode().unwrap());
        index
    }

    /// Fills up with issuances that need no key here, to the given size.
    fn fill(&mut self, size: u64) {
        let entry = Entry::Response(crate::simulation::action(1));
        while (self.entries.len() as u64) < size {
            self.put(&entry);
        }
    }

    fn standing(&self, key: u64) -> KeyStanding {
        let index = self.registry.reference(&name(key)).unwrap();
        self.registry.standing(index).unwrap()
    }

    /// What a reader of the first `size` entries knows, and how many entries it read for that.
    fn rebuilt(&self, size: u64) -> (Result<Registry, RebuildError>, u64) {
        let count = std::cell::Cell::new(0);
        let rebuilt = Registry::rebuild(size, &|from, to, visit| {
            for index in from..to {
                count.set(count.get() + 1);
                visit(index, &self.entries[usize::try_from(index).unwrap()])?;
            }
            Ok(())
        });
        (rebuilt, count.get())
    }
}

#[test]
fn a_key_is_announced_once_and_named_by_its_index() {
    let mut log = Log::default();
    log.fill(5);
    assert_eq!(
        log.add(&transition(1, KeyStateCode::Active)),
        Err(AppendError::KeyNotAnnounced)
    );
    assert_eq!(log.add(&announcement(1)), Ok(5));
    assert_eq!(log.add(&announcement(1)), Err(AppendError::KeyAlreadyAnnounced));
    assert_eq!(
        (log.standing(1).index, log.standing(1).state),
        (5, KeyStateCode::Staged)
    );
    let span = |key| {
        denial(Denied::KeySpan {
            key,
            from: 0,
            until: None,
        })
    };
    assert_eq!(log.add(&span(4)), Err(AppendError::KeyNotAnnounced));
    assert_eq!(log.add(&span(5)), Ok(6));
}

#[test]
fn an_issuance_needs_an_active_key_and_its_newest_epoch() {
    let mut log = Log::default();
    let try_with = |log: &mut Log, epoch| log.add(&issuance(1, epoch)).err();
    assert_eq!(
        try_with(&mut log, Epoch::default()),
        Some(AppendError::KeyNotAnnounced)
    );
    log.add(&announcement(1)).unwrap();
    let staged = log.standing(1).epoch;
    assert_eq!(staged, Epoch { key: 1, realm: 0 });
    assert_eq!(try_with(&mut log, staged), Some(AppendError::KeyNotActive));
    log.add(&transition(1, KeyStateCode::Active)).unwrap();
    let active = log.standing(1).epoch;
    assert_eq!(try_with(&mut log, staged), Some(AppendError::EpochFenced));
    assert_eq!(try_with(&mut log, active), None);
    // Another key and another realm are nothing to it.
    log.add(&announcement(2)).unwrap();
    log.add(&fence(2)).unwrap();
    assert_eq!(try_with(&mut log, active), None);
    log.add(&fence(1)).unwrap();
    assert_eq!(try_with(&mut log, active), Some(AppendError::EpochFenced));
    let fenced = log.standing(1).epoch;
    assert_eq!(fenced, Epoch { key: 2, realm: 6 + 1 });
    assert_eq!(try_with(&mut log, fenced), None);
    // An epoch that nobody was told of is no better than an old one.
    let invented = Epoch { key: 99, ..fenced };
    assert_eq!(try_with(&mut log, invented), Some(AppendError::EpochFenced));
    log.add(&transition(1, KeyStateCode::Retired)).unwrap();
    assert_eq!(try_with(&mut log, fenced), Some(AppendError::EpochFenced));
    let retired = log.standing(1).epoch;
    assert_eq!(try_with(&mut log, retired), Some(AppendError::KeyNotActive));
    assert_eq!(
        log.add(&transition(1, KeyStateCode::Active)),
        Err(AppendError::TransitionNotAllowed)
    );
}

#[test]
fn a_change_of_the_parents_key_fences_the_child() {
    let mut log = Log::default();
    for key in [1, 2] {
        log.add(&announcement(key)).unwrap();
        log.add(&transition(key, KeyStateCode::Active)).unwrap();
    }
    log.add(&transition(2, KeyStateCode::Retired)).unwrap();
    let child = |epoch, parent_epoch| {
        let Draft::Issuance(draft) = issuance(1, epoch) else {
            unreachable!()
        };
        Draft::Issuance(IssuanceDraft {
            parent_key: Some((name(2), parent_epoch)),
            ..draft
        })
    };
    let draft = child(log.standing(1).epoch, log.standing(2).epoch);
    log.add(&draft).unwrap();
    log.add(&transition(2, KeyStateCode::Suspect)).unwrap();
    assert_eq!(log.add(&draft), Err(AppendError::EpochFenced));
    let draft = child(log.standing(1).epoch, log.standing(2).epoch);
    log.add(&draft).unwrap();
}

/// Key entries before, at and after two waypoints.
fn long_log() -> Log {
    let mut log = Log::default();
    for key in 0..20 {
        log.add(&announcement(key)).unwrap();
        log.fill(log.entries.len() as u64 + 100 * key);
        log.add(&transition(key, KeyStateCode::Active)).unwrap();
        log.add(&denial(Denied::Token([1; 32]))).unwrap();
    }
    log.fill(WAYPOINT_EVERY - 1);
    log.add(&fence(1)).unwrap();
    log.add(&transition(3, KeyStateCode::Suspect)).unwrap();
    log.fill(2 * WAYPOINT_EVERY + 50);
    log.add(&transition(4, KeyStateCode::Revoked)).unwrap();
    log
}

#[test]
fn the_registry_is_rebuilt_without_reading_all() {
    let log = long_log();
    let size = log.entries.len() as u64;
    let (rebuilt, read) = log.rebuilt(size);
    assert_eq!(rebuilt.unwrap(), log.registry);
    // 51 since the waypoint and the waypoint twice, 42 key entries before it.
    assert!(read < 120, "{read} of {size} entries read");
}

#[test]
fn a_rebuilt_registry_is_the_one_kept_at_every_size() {
    let whole = long_log();
    let mut growing = Registry::default();
    for size in 0..whole.entries.len() as u64 {
        let interesting = size < 50 || size % 9_973 == 0 || size.abs_diff(WAYPOINT_EVERY) < 4;
        if interesting {
            assert_eq!(whole.rebuilt(size).0.unwrap(), growing, "size {size}");
        }
        let entry = Entry::decode(&whole.entries[usize::try_from(size).unwrap()]).unwrap();
        growing.take_in(size, &entry).unwrap();
    }
}

#[test]
fn what_does_not_hang_together_is_not_believed() {
    let check = |change: &dyn Fn(&mut Log), name: &str| {
        let mut log = long_log();
        change(&mut log);
        let (rebuilt, _) = log.rebuilt(log.entries.len() as u64);
        assert!(matches!(rebuilt, Err(RebuildError::Broken { .. })), "{name}");
    };
    let waypoint = usize::try_from(2 * WAYPOINT_EVERY).unwrap();
    let other = |last_key_entry, last_denial| {
        let waypoint = Waypoint {
            last_key_entry,
            last_denial,
        };
        Entry::Waypoint(waypoint).encode().unwrap()
    };
    check(
        &|log| log.entries[waypoint] = log.entries[waypoint - 1].clone(),
        "no waypoint",
    );
    check(
        &|log| log.entries[waypoint] = other(None, None),
        "a waypoint that forgets",
    );
    check(
        &|log| log.entries[waypoint] = other(Some(2), None),
        "a waypoint to what is no key entry",
    );
    check(
        &|log| log.entries[waypoint] = other(Some(2 * WAYPOINT_EVERY), None),
        "a waypoint to itself",
    );
    check(
        &|log| log.entries[0] = log.entries[waypoint - 1].clone(),
        "no first announcement",
    );
    check(
        &|log| {
            let last = log.entries.len() - 1;
            log.entries[last] = log.entries[0].clone();
        },
        "a link that skips",
    );
}
