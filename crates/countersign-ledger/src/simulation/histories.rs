//! Histories of appends, publications, faults and power cuts; after each crash every acknowledged entry must be there.

use std::sync::Arc;

use super::clock::SimClock;
use super::disk::{Fault, Lies, Random, SimDisk};
use crate::audit::audit;
use crate::entries::ReadError;
use crate::entry::{ActionCode, Entry, ResponseAction, StageCode};
use crate::keeper::Keeper;
use crate::local::LocalStore;
use crate::note::NoteSigner;
use crate::open::{OpenError, Opened, Options, RETENTION_MIN, open, open_local};
use crate::sequencer::SequenceError;

const ORIGIN: &str = "sim.example/ledger";

pub(super) fn signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[5; 32]).unwrap()
}

pub(super) fn options() -> Options {
    Options {
        segment_bytes: 1 << 12,
        ..Options::new("", ORIGIN)
    }
}

/// An entry that refers to no other, so that it may stand anywhere.
pub(crate) fn action(number: u64) -> ResponseAction {
    let mut target = [0xa5; 32];
    target[..8].copy_from_slice(&number.to_be_bytes());
    ResponseAction {
        action: ActionCode::DenyTokens,
        stage: StageCode::Executed,
        at: 10,
        case: [1; 16],
        target,
    }
}

pub(super) fn entry(number: u64) -> Vec<u8> {
    Entry::Response(action(number)).encode().unwrap()
}

pub(super) fn open_sim(disk: &SimDisk, clock: &SimClock) -> Result<(Opened, Arc<LocalStore>), OpenError> {
    let store = Arc::new(open_local(Arc::new(disk.clone()), &options(), &signer(), 1)?);
    let opened = open(store.clone(), &options(), signer(), Arc::new(clock.clone()))?;
    Ok((opened, store))
}

pub(super) fn contents(opened: &Opened) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut entries = Vec::new();
    opened.entries.visit(0, u64::MAX, &mut |_, entry| {
        entries.push(entry.to_vec());
        Ok(())
    })?;
    Ok(entries)
}

/// What has happened in one history.
struct History {
    disk: SimDisk,
    clock: SimClock,
    random: Random,
    /// Entries whose append returned well, and those found durable after a crash.
    acknowledged: Vec<Vec<u8>>,
    /// The batch whose append failed last: it may be there or not.
    unknown: Vec<Vec<u8>>,
    /// Size of the largest checkpoint that was served.
    signed: usize,
    next: u64,
}

impl History {
    fn new(seed: u64, lies: Lies) -> Self {
        let disk = SimDisk::new(seed);
        disk.tell_lies(lies);
        Self {
            disk,
            clock: SimClock::default(),
            random: Random(!seed),
            acknowledged: Vec::new(),
            unknown: Vec::new(),
            signed: 0,
            next: 0,
        }
    }

    /// One life of the process, under whatever fault is planned.
    fn live(&mut self, steps: u64) {
        let Ok((mut opened, store)) = open_sim(&self.disk, &self.clock) else {
            return;
        };
        let mut keeper = Keeper::new(store, Arc::new(self.clock.clone()), RETENTION_MIN);
        for _ in 0..steps {
            match self.random.below(12) {
                0..4 => {
                    match opened.publisher.publish() {
                        Ok(()) => self.signed = usize::try_from(opened.publisher.published()).unwrap(),
                        Err(error) if error.is_temporary() => {}
                        Err(_) => return,
                    }
                    continue;
                }
                4 => match keeper.keep(opened.publisher.published()) {
                    Err(error) if !error.is_temporary() => return,
                    _ => continue,
                },
                5 => {
                    self.clock.advance(RETENTION_MIN);
                    continue;
                }
                6 => {
                    self.clock.set(self.random.below(1 << 40));
                    let full = self.random.below(3) == 0;
                    self.disk.set_full(full);
                    continue;
                }
                _ => {}
            }
            let count = 1 + self.random.below(5) * self.random.below(20);
            let batch: Vec<_> = (self.next..self.next + count).map(entry).collect();
            self.next += count;
            let first = match opened.sequencer.append(batch.iter().map(Vec::as_slice)) {
                Ok(first) => first,
                // Certainly not stored.
                Err(SequenceError::StorageFull) => continue,
                Err(_) => {
                    self.unknown = batch;
                    return;
                }
            };
            assert_eq!(first, self.acknowledged.len() as u64);
            self.acknowledged.extend(batch);
        }
    }

    /// Opens after a crash and compares with what was promised.
    fn check(&mut self) -> Result<(), String> {
        self.disk.set_full(false);
        let (mut opened, _store) = open_sim(&self.disk, &self.clock)
            .map_err(|error| format!("does not open: {} {error}", error.code()))?;
        let entries = contents(&opened).map_err(|error| format!("does not read: {error}"))?;
        if !entries.starts_with(&self.acknowledged) {
            return Err(format!(
                "{} acknowledged, {} found",
                self.acknowledged.len(),
                entries.len()
            ));
        }
        let beyond = &entries[self.acknowledged.len()..];
        if !beyond.is_empty() && beyond != self.unknown {
            return Err("entries that nobody appended".into());
        }
        if entries.len() < self.signed {
            return Err("fewer entries than were signed for".into());
        }
        self.acknowledged = entries;
        opened
            .publisher
            .publish()
            .map_err(|error| format!("does not publish: {error}"))?;
        self.signed = self.acknowledged.len();
        let report =
            audit(&self.disk, &signer().verifier_key()).map_err(|error| format!("audit: {error}"))?;
        if report.size == self.acknowledged.len() as u64 {
            Ok(())
        } else {
            Err("audited another size".into())
        }
    }
}

/// One seeded history of several lives; the first broken promise, if any.
pub(super) fn run(seed: u64, lies: Lies) -> Result<u64, String> {
    let mut history = History::new(seed, lies);
    for _ in 0..4 {
        let fault = [Fault::PowerCut, Fault::PowerCut, Fault::Fails, Fault::FailsAfter];
        let fault = fault[usize::try_from(history.random.below(4)).unwrap()];
        let operations = 1 + history.random.below(120);
        history.disk.plan(operations, fault);
        let steps = 1 + history.random.below(30);
        history.live(steps);
        // After a failure the process may also just be started again, on what the page cache shows.
        if fault == Fault::PowerCut || history.random.below(2) == 0 {
            history.disk.crash();
        } else {
            history.disk.plan(u64::MAX / 2, fault);
        }
        history.check()?;
        if history.random.below(2) == 0 {
            history.disk.crash();
            history.check()?;
        }
    }
    Ok(history.disk.operations())
}

#[test]
fn a_fault_at_every_single_operation_is_survived() {
    for fault in [Fault::PowerCut, Fault::Fails, Fault::FailsAfter] {
        let mut reached = true;
        let mut operations = 0;
        while reached {
            operations += 1;
            let mut history = History::new(7, Lies::default());
            history.disk.plan(operations, fault);
            history.live(40);
            reached = history.disk.operations() >= operations;
            history.disk.crash();
            history
                .check()
                .unwrap_or_else(|broken| panic!("{fault:?} at operation {operations}: {broken}"));
        }
        assert!(operations > 100, "the script has {operations} operations");
    }
}

/// The tests above are worth something only if they notice a writer that breaks a rule.
#[test]
fn broken_rules_are_caught() {
    let caught = |lies: Lies| (0..200).any(|seed| run(seed, lies).is_err());
    assert!(
        caught(Lies {
            sync_of: Some(".seg"),
            ..Lies::default()
        }),
        "acknowledge before the sync"
    );
    assert!(
        caught(Lies {
            sync_of: Some("next.tmp"),
            ..Lies::default()
        }),
        "use a segment before it is synced"
    );
    assert!(
        caught(Lies {
            directory_sync_of: Some("journal"),
            ..Lies::default()
        }),
        "use a segment before its name is durable"
    );
    assert!(
        caught(Lies {
            sync_of: Some("checkpoint.tmp"),
            ..Lies::default()
        }),
        "serve a checkpoint unsynced"
    );
}
