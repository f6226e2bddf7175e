//! Many callers that each wait for their entry, the bare disk, a whole audit, bytes a token, and what an append costs as
//! the ledger grows. Called by `cargo xtask bench ledger`, which puts other people's numbers beside these; each mode
//! prints one JSON line for each thing it measures.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is measured is not that exact"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use countersign_ledger::audit::{DirectorySource, Options as Audit, audit_with};
use countersign_ledger::draft::active_key;
use countersign_ledger::{Epoch, IssuanceDraft, IssuanceKind, KeyName, Ledger, NoteSigner, Options};

const ORIGIN: &str = "bench.example/ledger";
const KEY: KeyName = KeyName {
    issuer: [1; 32],
    key: [2; 32],
};
/// Callers that fill a ledger: enough for full batches.
const FILLERS: u64 = 8_192;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let folder = PathBuf::from(arguments.get(1).cloned().unwrap_or_default());
    let number = |at: usize| arguments.get(at).and_then(|it| it.parse().ok()).unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match arguments.first().map_or("", String::as_str) {
        "append" => runtime.block_on(append(&folder, number(2), Duration::from_secs(number(3)))),
        "sync" => sync(&folder, Duration::from_secs(number(2))),
        "fill" => runtime.block_on(fill(&folder, number(2))),
        "audit" => audit(&folder, number(2)),
        "growth" => runtime.block_on(growth(&folder, number(2))),
        _ => println!(
            "usage: hammer append FOLDER CALLERS SECONDS | sync FOLDER SECONDS | fill FOLDER COUNT | audit FOLDER THREADS | growth FOLDER COUNT"
        ),
    }
}

fn issuance(number: u64, epoch: Epoch) -> IssuanceDraft {
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    IssuanceDraft {
        kind: IssuanceKind::Access,
        fingerprint,
        key: KEY,
        epoch,
        parent_key: None,
        issued_at: 1_800_000_000,
        expires_at: 1_800_003_600,
        lineage: None,
    }
}

/// The epoch of the key, which is announced first.
async fn epoch(ledger: &Ledger) -> Epoch {
    if ledger.key(&KEY).is_none() {
        let drafts = active_key(KEY, [3; 32], 1_800_000_000);
        ledger.append_together(drafts).await.unwrap();
    }
    ledger.key(&KEY).unwrap().epoch
}

fn open(folder: &Path, callers: u64) -> Ledger {
    let options = Options {
        // Nobody is turned away, and one batch takes whoever waits.
        queue_max: usize::try_from(callers).unwrap() * 2 + 16,
        batch_entries_max: 16_384,
        ..Options::new(folder, ORIGIN)
    };
    Ledger::open(options, NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap()).unwrap()
}

/// Appends for a while after a second of warming up; each caller sends its next entry when it has the index of the last.
async fn append(folder: &Path, callers: u64, length: Duration) {
    let ledger = open(folder, callers);
    let epoch = epoch(&ledger).await;
    let (from, next) = (
        Instant::now() + Duration::from_secs(1),
        Arc::new(AtomicU64::new(0)),
    );
    let to = from + length;
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (ledger, next) = (ledger.clone(), next.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let begin = Instant::now();
                    if begin > to {
                        return latencies;
                    }
                    ledger
                        .append(issuance(next.fetch_add(1, Ordering::Relaxed), epoch))
                        .await
                        .unwrap();
                    let end = Instant::now();
                    if begin > from && end < to {
                        latencies.push(end - begin);
                    }
                }
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    ledger.close();
    let per_second = latencies.len() as f64 / length.as_secs_f64();
    print(&mut latencies, per_second);
}

/// What the disk alone takes: one small write to space that was written before, and its `fdatasync`.
fn sync(folder: &Path, length: Duration) {
    std::fs::create_dir_all(folder).unwrap();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(folder.join("sync"))
        .unwrap();
    file.write_all_at(&vec![0; 16 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let started = Instant::now();
    let mut latencies = Vec::new();
    let mut offset = 0;
    while started.elapsed() < length {
        let begin = Instant::now();
        file.write_all_at(&[7; 256], offset % (16 << 20)).unwrap();
        file.sync_data().unwrap();
        latencies.push(begin.elapsed());
        offset += 256;
    }
    let per_second = latencies.len() as f64 / length.as_secs_f64();
    print(&mut latencies, per_second);
}

fn print(latencies: &mut [Duration], per_second: f64) {
    latencies.sort_unstable();
    let at = |part: f64| {
        let position = (part * latencies.len() as f64) as usize;
        latencies[position.min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    println!(
        r#"{{"per_second":{per_second},"p50_ms":{},"p99_ms":{},"p999_ms":{}}}"#,
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

/// A ledger of so many entries, closed; and the bytes that each of them takes.
async fn fill(folder: &Path, count: u64) {
    let ledger = open(folder, FILLERS);
    add(&ledger, count).await;
    ledger.close();
    let count = count as f64;
    println!(
        r#"{{"published_bytes":{},"journal_bytes":{}}}"#,
        bytes(&folder.join("tile")) as f64 / count,
        bytes(&folder.join("journal")) as f64 / count,
    );
}

async fn add(ledger: &Ledger, count: u64) {
    let epoch = epoch(ledger).await;
    let first = ledger.head();
    let next = Arc::new(AtomicU64::new(first));
    let tasks: Vec<_> = (0..FILLERS)
        .map(|_| {
            let (ledger, next) = (ledger.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + count {
                        return;
                    }
                    ledger.append(issuance(number, epoch)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// The length of all files below a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let data = entry.metadata().unwrap();
            if data.is_dir() {
                bytes(&entry.path())
            } else {
                data.len()
            }
        })
        .sum()
}

/// The whole of a ledger as somebody far away sees it, by so many threads; the best of three.
fn audit(folder: &Path, threads: u64) {
    let key = std::fs::read_to_string(folder.join("key.vkey")).unwrap();
    let source = DirectorySource::new(folder);
    let times = (0..3).map(|_| {
        let options = Audit {
            threads: usize::try_from(threads).unwrap(),
            ..Audit::default()
        };
        let started = Instant::now();
        let (report, _) = audit_with(&source, key.trim(), options).unwrap();
        report.size as f64 / started.elapsed().as_secs_f64()
    });
    println!(r#"{{"per_second":{}}}"#, times.fold(0.0, f64::max));
}

/// What an append costs at each power of ten: the mean over the entries around it, all callers together.
async fn growth(folder: &Path, count: u64) {
    let ledger = open(folder, FILLERS);
    let mut size = 10_000;
    while size <= count {
        add(&ledger, size - ledger.head()).await;
        let window = (size / 10).clamp(10_000, 500_000);
        let started = Instant::now();
        add(&ledger, window).await;
        let mean = started.elapsed().as_secs_f64() * 1e6 / window as f64;
        println!(
            r#"{{"size":{size},"us":{mean},"resident_bytes":{}}}"#,
            resident_bytes()
        );
        size *= 10;
    }
    ledger.close();
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
