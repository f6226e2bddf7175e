//! Durable appends a second through the ledger, beside the bare write and sync of the same bytes on the same disk.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use countersign_ledger::draft::active_key;
use countersign_ledger::{Epoch, IssuanceDraft, IssuanceKind, KeyName, Ledger, NoteSigner, Options};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ORIGIN: &str = "bench.example/ledger";

const KEY: KeyName = KeyName {
    issuer: [1; 32],
    key: [2; 32],
};
/// Bytes of an issuance with its length, as batches hold it.
const ENTRY_BYTES: usize = 50;

fn issuance(number: u64, epoch: Epoch) -> IssuanceDraft {
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&number.to_be_bytes());
    IssuanceDraft {
        kind: IssuanceKind::Access,
        fingerprint,
        key: KEY,
        epoch,
        parent_key: None,
        issued_at: 0,
        expires_at: 3_600,
        lineage: None,
    }
}

/// Announces the key and makes it active.
async fn make_ready(ledger: &Ledger) {
    let drafts = active_key(KEY, [3; 32], 0);
    ledger.append_together(drafts).await.unwrap();
}

/// `count` entries from `callers` tasks that each wait for their entry before they send the next.
async fn append(ledger: &Ledger, callers: u64, count: u64) -> Duration {
    let epoch = ledger.key(&KEY).unwrap().epoch;
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let ledger = ledger.clone();
            let share = count / callers + u64::from(caller < count % callers);
            tokio::spawn(async move {
                for number in 0..share {
                    ledger.append(issuance(number, epoch)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    start.elapsed()
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // Beside the build, not below /tmp: that may be a memory file system.
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let mut group = criterion.benchmark_group("append");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_millis(500));
    group.throughput(Throughput::Elements(1));
    for callers in [1, 64, 1_000, 4_000] {
        let path = directory.path().join(format!("ledger-{callers}"));
        let signer = NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap();
        let ledger = Ledger::open(Options::new(path, ORIGIN), signer).unwrap();
        runtime.block_on(make_ready(&ledger));
        group.bench_function(format!("ledger/{callers}"), |bencher| {
            bencher.iter_custom(|count| runtime.block_on(append(&ledger, callers, count)));
        });
        ledger.close();

        let batch = vec![0x5a; ENTRY_BYTES * usize::try_from(callers).unwrap()];
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(directory.path().join(format!("raw-{callers}")))
            .unwrap();
        let mut offset = 0;
        group.bench_function(format!("raw/{callers}"), |bencher| {
            bencher.iter_custom(|count| {
                let start = Instant::now();
                for _ in 0..count.div_ceil(callers) {
                    file.write_all_at(&batch, offset).unwrap();
                    file.sync_data().unwrap();
                    offset += batch.len() as u64;
                }
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(appends, benches);
criterion_main!(appends);
