//! Many seeded histories. A failing one prints its seed.
//!
//! `LEDGER_HISTORIES=N` runs N histories of each kind; `LEDGER_SEED=S` runs that seed alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::disk::Lies;
use super::{histories, rivals};
use crate::rules::{Rule, without};

/// Histories of each kind in a plain `cargo test`; the area `simulation` of `cargo xtask test` runs many more.
const HISTORIES: u64 = 1_000;

fn number(name: &str) -> Option<u64> {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test is told by its caller how much to do"
    )]
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect(name))
}

/// Runs the histories on all cores; every seed has its own, whatever ran before it.
fn run_all(run: impl Fn(u64) -> Result<(), String> + Sync) {
    let seeds = match number("LEDGER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LEDGER_HISTORIES").unwrap_or(HISTORIES),
    };
    let next = AtomicU64::new(seeds.start);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(broken) = run(seed) {
                        panic!("seed {seed}: {broken}; LEDGER_SEED={seed} runs it again");
                    }
                }
            });
        }
    });
    println!("{} histories", seeds.end - seeds.start);
}

fn on_disk(seed: u64) -> Result<(), String> {
    histories::run(seed, Lies::default()).map(|_| ())
}

#[test]
fn every_acknowledged_entry_survives_on_disk() {
    run_all(on_disk);
}

#[test]
fn every_acknowledged_entry_survives_rivals_and_timeouts() {
    run_all(rivals::run);
}

/// Seeds that once found something: an old checkpoint that a delayed write had put back was taken for a lost batch, and
/// a process that was left behind blamed the disk.
#[test]
fn seeds_that_found_something_stay_found() {
    for seed in [1_625, 47_152] {
        rivals::run(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
}

/// Histories that break a rule seldom broken: one in some ten thousand has a rival that takes over, removes old batches and
/// meets the number of a process that slept.
const SEEDS_THAT_CATCH: [u64; 1] = [22_034];

/// The histories above are worth something only if they notice a sequencer that breaks a rule.
fn is_caught(rule: Rule, run: fn(u64) -> Result<(), String>) -> bool {
    without(rule, || {
        SEEDS_THAT_CATCH.into_iter().chain(0..4_000).any(|seed| {
            // A broken promise may also be noticed by an assertion on the way.
            let outcome = std::panic::catch_unwind(|| run(seed));
            outcome.is_err() || outcome.is_ok_and(|result| result.is_err())
        })
    })
}

#[test]
fn each_rule_is_missed_on_disk() {
    for rule in [
        Rule::SyncBeforeRelease,
        Rule::SyncDirectories,
        Rule::StopAfterFailedSync,
        Rule::SettleAtStart,
        Rule::TilesBeforeCheckpoint,
        Rule::RemoveOnlyPublished,
    ] {
        assert!(is_caught(rule, on_disk), "{rule:?}");
    }
}

#[test]
fn each_rule_is_missed_among_rivals() {
    for rule in [
        Rule::ReadBackUnknown,
        Rule::RetrySameBytes,
        Rule::StopWhenFenced,
        Rule::LookAfterStall,
        Rule::TilesBeforeCheckpoint,
        Rule::TimeForward,
        Rule::RemoveOnlyPublished,
    ] {
        assert!(is_caught(rule, rivals::run), "{rule:?}");
    }
}
