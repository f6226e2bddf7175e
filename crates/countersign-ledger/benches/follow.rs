//! The issued set with ten million tokens, and how fast a follower takes entries in: heard, hashed, proved, decoded, kept.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_ledger::follow::{FollowOptions, Source, SourceError};
use countersign_ledger::head::Head;
use countersign_ledger::replica::Replica;
use countersign_ledger::{Entry, Follower, Issuance, IssuanceKind, NoteSigner};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const ORIGIN: &str = "bench.example/ledger";
/// Live tokens: 2,800 a second, an hour each.
const TOKENS: u64 = 10_000_000;
/// Entries that a follower takes in for one measurement.
const HEARD: u64 = 1 << 20;
/// Entries behind one signed head: a busy ledger's batch.
const BATCH: u64 = 4096;
const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

/// As good as a hash, and cheaper to make.
fn fingerprint(number: u64) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    for (word, chunk) in (1u64..).zip(fingerprint.chunks_exact_mut(8)) {
        let mixed = (number ^ word << 60).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        chunk.copy_from_slice(&(mixed ^ mixed >> 29).to_le_bytes());
    }
    fingerprint
}

fn expires_at(number: u64) -> u64 {
    NOW + number * HOUR / TOKENS
}

fn issuance(number: u64) -> Entry {
    Entry::Issuance(Issuance {
        kind: IssuanceKind::Access,
        fingerprint: fingerprint(number),
        key: 0,
        issued_at: expires_at(number) - HOUR,
        expires_at: expires_at(number),
        lineage: None,
    })
}

/// Ten million tokens, made as they are asked for.
struct Made;

impl Source for Made {
    async fn head(&self) -> Result<u64, SourceError> {
        Ok(TOKENS)
    }

    async fn read(&self, from: u64, max: usize) -> Result<Vec<Entry>, SourceError> {
        Ok((from..TOKENS).take(max).map(issuance).collect())
    }

    async fn changed(&self, _seen: u64) -> Result<(), SourceError> {
        std::future::pending().await
    }
}

/// What a remote ledger sends, without the network: bundles and signed heads, proved before they are handed over.
struct Heard {
    replica: std::sync::Mutex<Replica>,
    batches: Arc<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl Source for Heard {
    async fn head(&self) -> Result<u64, SourceError> {
        Ok(HEARD)
    }

    async fn read(&self, from: u64, _max: usize) -> Result<Vec<Entry>, SourceError> {
        let (bundle, head) = &self.batches[usize::try_from(from / BATCH).unwrap()];
        let mut replica = self.replica.lock().unwrap();
        replica.hear(from, bundle)?;
        let proved = replica.head(head, None)?;
        proved
            .entries()
            .map(|entry| Entry::decode(entry).map_err(|_| SourceError::Unreadable))
            .collect()
    }

    async fn changed(&self, _seen: u64) -> Result<(), SourceError> {
        std::future::pending().await
    }
}

fn batches(signer: &NoteSigner) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut ledger = Replica::new(signer.verifier().clone());
    (0..HEARD / BATCH)
        .map(|batch| {
            let mut bundle = Vec::new();
            for number in batch * BATCH..(batch + 1) * BATCH {
                let entry = issuance(number * (TOKENS / HEARD)).encode().unwrap();
                bundle.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
                bundle.extend(entry);
            }
            ledger.hear(batch * BATCH, &bundle).unwrap();
            let head = Head {
                origin: ORIGIN.to_owned(),
                size: ledger.heard(),
                root: ledger.root(),
                nonce: None,
            }
            .sign(signer);
            ledger.head(&head, None).unwrap();
            (bundle, head)
        })
        .collect()
}

fn start(runtime: &Runtime, source: impl Source) -> Follower {
    runtime.block_on(Follower::start_on(
        source,
        Arc::new(|| NOW),
        FollowOptions::default(),
    ))
}

/// A figure in the shape of a result: so many nanoseconds an element. It takes some time all the same, because the
/// harness doubles its count until enough has passed.
fn figure(criterion: &mut Criterion, group: &str, name: &str, nanoseconds: f64) {
    let mut group = criterion.benchmark_group(group);
    group
        .throughput(Throughput::Elements(1))
        .sample_size(10)
        .warm_up_time(Duration::from_millis(10))
        .measurement_time(Duration::from_millis(20));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            // Counts are far below 2^52 here.
            #[expect(clippy::cast_precision_loss, reason = "a count that is exact as a float")]
            Duration::from_secs_f64(count as f64 * nanoseconds / 1e9)
        });
    });
}

fn issued_set(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let follower = start(&runtime, Made);
    assert_eq!(follower.issued_count() as u64, TOKENS);
    let mut group = criterion.benchmark_group("issued");
    group.throughput(Throughput::Elements(1));
    let mut number = 0u64;
    group.bench_function("look-up of a recorded token", |bencher| {
        bencher.iter(|| {
            number = (number + 7_368_787) % TOKENS;
            let found = follower.look_up(&fingerprint(number), expires_at(number));
            assert!(black_box(found).is_some());
        });
    });
    group.bench_function("look-up of a forged token", |bencher| {
        bencher.iter(|| {
            number = (number + 7_368_787) % TOKENS;
            let found = follower.look_up(&fingerprint(number + TOKENS), expires_at(number));
            assert!(black_box(found).is_none());
        });
    });
    group.finish();
    // Memory in the same terms: a byte a token is a nanosecond, so that a rate is tokens in a gigabyte.
    #[expect(clippy::cast_precision_loss, reason = "two figures far below 2^52")]
    let bytes = follower.issued_bytes() as f64 / TOKENS as f64;
    figure(criterion, "issued", "memory", bytes);
    figure(criterion, "issued", "twelve bytes a token", 12.0);
}

fn follow(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let signer = NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap();
    let batches = Arc::new(batches(&signer));
    let mut group = criterion.benchmark_group("follow");
    group.sample_size(10).throughput(Throughput::Elements(HEARD));
    group.bench_function("entries", |bencher| {
        bencher.iter(|| {
            let follower = start(
                &runtime,
                Heard {
                    replica: Replica::new(signer.verifier().clone()).into(),
                    batches: Arc::clone(&batches),
                },
            );
            assert_eq!(follower.issued_count() as u64, HEARD);
        });
    });
    group.finish();
    figure(criterion, "follow", "a million a second", 1_000.0);
}

criterion_group!(benches, issued_set, follow);
criterion_main!(benches);
