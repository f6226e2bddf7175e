//! What must not grow with the ledger.

use std::sync::Arc;
use std::time::Duration;

use super::clock::SimClock;
use super::disk::SimDisk;
use super::histories::{contents, entry, open_sim, options, signer};
use crate::checkpoint::Checkpoint;
use crate::keeper::Keeper;
use crate::open::{Opened, RETENTION_MIN, open_local};
use crate::resume::resume;
use crate::store::Store;

fn append(opened: &mut Opened, from: u64, to: u64) {
    let mut next = from;
    while next < to {
        let end = (next + 50).min(to);
        let batch: Vec<_> = (next..end).map(entry).collect();
        opened.sequencer.append(batch.iter().map(Vec::as_slice)).unwrap();
        next = end;
    }
}

/// The bytes that finding the end of a published ledger of so many entries reads.
fn bytes_read_to_resume(entries: u64) -> u64 {
    let (disk, clock) = (SimDisk::new(1), SimClock::default());
    let (mut opened, store) = open_sim(&disk, &clock).unwrap();
    append(&mut opened, 0, entries);
    opened.publisher.publish().unwrap();
    let note = opened.served.read().unwrap().clone();
    drop((opened, store));
    let before = disk.bytes_read();
    let store = open_local(Arc::new(disk.clone()), &options(), &signer(), 1).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let checkpoint = Checkpoint::open(&note, signer().verifier()).unwrap();
    let resumed = resume(&store, &checkpoint, false).unwrap();
    assert_eq!(resumed.position.next_index, entries);
    assert!(!resumed.incomplete);
    disk.bytes_read() - before
}

#[test]
fn a_start_reads_no_more_of_a_larger_ledger() {
    let small = bytes_read_to_resume(3_000);
    let large = bytes_read_to_resume(30_000);
    // But for the header of each segment that is kept: 128 bytes of 4 KiB here, of 16 MiB in a real one.
    assert!(large < small + 30_000 * 100 / 4_096 * 128, "{small} {large}");
    assert!(large < 30_000 * 8, "{large}");
}

#[test]
fn old_segments_go_and_their_entries_stay() {
    let (disk, clock) = (SimDisk::new(2), SimClock::default());
    let (mut opened, store) = open_sim(&disk, &clock).unwrap();
    let mut keeper = Keeper::new(store.clone(), Arc::new(clock.clone()), RETENTION_MIN);
    let mut most = 0;
    for round in 0..40 {
        append(&mut opened, round * 300, round * 300 + 300);
        opened.publisher.publish().unwrap();
        keeper.keep(opened.publisher.published()).unwrap();
        clock.advance(RETENTION_MIN / 4);
        let segments = disk
            .paths()
            .iter()
            .filter(|path| path.contains("journal/0"))
            .count();
        most = most.max(segments);
    }
    assert!(most < 60, "{most} segments of some 150 at once");
    let entries = contents(&opened).unwrap();
    assert!(entries.into_iter().eq((0..12_000).map(entry)));
    // A pause as long as one likes changes nothing of that.
    clock.advance(Duration::from_hours(1_000));
    keeper.keep(opened.publisher.published()).unwrap();
    drop((opened, store, keeper));
    let (opened, _store) = open_sim(&disk, &clock).unwrap();
    assert_eq!(contents(&opened).unwrap().len(), 12_000);
}
