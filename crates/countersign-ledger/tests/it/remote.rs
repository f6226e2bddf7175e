//! A follower in "another process": over sockets that are cut, stalled, forged, or lead to another ledger.

mod proxy;

use std::path::Path;
use std::time::Duration;

use countersign_ledger::follow::Clock;
use countersign_ledger::http::router;
use countersign_ledger::policy::Policy;
use countersign_ledger::remote::{RemoteOptions, WitnessedOptions};
use countersign_ledger::witness::{
    Answer, Refusal, Submitter, SubmitterOptions, Transport, TransportError, Witness,
};
use countersign_ledger::{Cosigner, Follower, Ledger, Provenance};
use tokio::net::TcpListener;

use self::proxy::{Mode, Proxy};
use crate::support::{EXPIRES_AT, READY, action, append, append_all, clock, fingerprint, open};

/// A ledger on a port of its own.
struct Served {
    ledger: Ledger,
    address: String,
}

async fn serve(directory: &Path) -> Served {
    let ledger = open(directory).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = router(ledger.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Served { ledger, address }
}

fn options(address: &str, ledger: &Ledger) -> RemoteOptions {
    let mut options = RemoteOptions::new(format!("http://{address}"), ledger.verifier_key());
    options.follow.timeout = Duration::from_millis(500);
    options
}

fn now() -> Clock {
    clock(5_000)
}

async fn follow(address: &str, ledger: &Ledger) -> Follower {
    let follower = Follower::start_remote(&options(address, ledger), now()).unwrap();
    within("caught up", follower.caught_up()).await;
    follower
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    let result = tokio::time::timeout(limit, future).await;
    assert!(result.is_ok(), "not {what}");
    result.unwrap()
}

/// Asks again until the answer is `expect`.
async fn eventually(follower: &Follower, number: u64, expect: &str) {
    let answers = async {
        while follower
            .provenance(&fingerprint(number), EXPIRES_AT)
            .await
            .as_str()
            != expect
        {
            tokio::task::yield_now().await;
        }
    };
    within(expect, answers).await;
}

async fn check(follower: &Follower, number: u64, expect: &str) {
    let answer = follower.provenance(&fingerprint(number), EXPIRES_AT).await;
    assert_eq!(answer.as_str(), expect, "token {number}");
}

/// Waits for what is pushed: nobody asks.
async fn pushed(follower: &Follower, count: u64) {
    let arrived = async {
        while follower.applied() < count {
            tokio::task::yield_now().await;
        }
    };
    within("pushed", arrived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiles_then_stream_then_head() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, address } = serve(directory.path()).await;
    append_all(&ledger, 0, 700).await;
    let follower = follow(&address, &ledger).await;
    for number in [READY, 255, 256, 699] {
        check(&follower, number, "recorded").await;
    }
    check(&follower, 700, "not_recorded").await;
    append_all(&ledger, 700, 1_000).await;
    pushed(&follower, 1_000).await;
    assert_eq!(follower.issued_count(), 998);
    // What the ledger acknowledged is known at once, pushed or not.
    for number in 1_000..1_050 {
        append(&ledger, number).await.unwrap();
        check(&follower, number, "recorded").await;
    }
    ledger.close();
    check(&follower, 5_000, "cannot_tell").await;
    check(&follower, 3, "recorded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_is_proved_piece_by_piece() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, .. } = serve(directory.path()).await;
    for start in (0..66_000).step_by(6_000) {
        append_all(&ledger, start, start + 6_000).await;
    }
    // Everything is published before the server starts: all of it comes from tiles.
    ledger.close();
    let Served { ledger, address } = serve(directory.path()).await;
    let follower = follow(&address, &ledger).await;
    // Two entries about the key, and one waypoint.
    assert_eq!((follower.applied(), follower.issued_count()), (66_001, 65_998));
    check(&follower, 65_999, "recorded").await;
    check(&follower, 66_000, "not_recorded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forgeries_costs_one_read_a_round_trip() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, address } = serve(directory.path()).await;
    append_all(&ledger, 0, 10).await;
    let proxy = Proxy::start(&address);
    let follower = follow(&proxy.address, &ledger).await;
    proxy.set(Mode::Stall);
    let misses: Vec<_> = (100..600)
        .map(|number| {
            let follower = follower.clone();
            tokio::spawn(async move { follower.provenance(&fingerprint(number), EXPIRES_AT).await })
        })
        .collect();
    tokio::task::yield_now().await;
    proxy.set(Mode::Pass);
    for miss in misses {
        assert_eq!(miss.await.unwrap(), Provenance::NotRecorded);
    }
    let reads = follower.barrier_reads();
    assert!((1..=8).contains(&reads), "500 misses took {reads} reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, address } = serve(directory.path()).await;
    let proxy = Proxy::start(&address);
    let follower = follow(&proxy.address, &ledger).await;
    for round in 0..10 {
        append_all(&ledger, round * 100, round * 100 + 60).await;
        proxy.cut();
        append_all(&ledger, round * 100 + 60, round * 100 + 100).await;
    }
    pushed(&follower, 1_000).await;
    assert_eq!(follower.issued_count(), 998);
    eventually(&follower, 1_000, "not_recorded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_stalls_or_is_not_there_yet_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, address } = serve(directory.path()).await;
    append_all(&ledger, 0, 10).await;
    let proxy = Proxy::start(&address);
    proxy.set(Mode::Refuse);
    let options = options(&proxy.address, &ledger);
    let follower = Follower::start_remote(&options, now()).unwrap();
    check(&follower, 3, "cannot_tell").await;
    assert!(!follower.is_fresh());
    proxy.set(Mode::Pass);
    eventually(&follower, 3, "recorded").await;
    proxy.set(Mode::Stall);
    check(&follower, 50, "cannot_tell").await;
    check(&follower, 3, "recorded").await;
    assert!(follower.is_following());
    proxy.set(Mode::Pass);
    eventually(&follower, 50, "not_recorded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_entry_is_never_believed() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, address } = serve(directory.path()).await;
    append_all(&ledger, 0, 10).await;
    let proxy = Proxy::start(&address);
    let follower = follow(&proxy.address, &ledger).await;
    // Whoever stands between the two turns an issued token into the forged one.
    proxy.set(Mode::Replace(fingerprint(77), fingerprint(666)));
    append(&ledger, 77).await.unwrap();
    check(&follower, 666, "cannot_tell").await;
    check(&follower, 77, "cannot_tell").await;
    check(&follower, 3, "recorded").await;
    assert!(follower.is_following());
    proxy.set(Mode::Pass);
    eventually(&follower, 77, "recorded").await;
    eventually(&follower, 666, "not_recorded").await;
}

/// Two ledgers of one name and key: what a stolen key or a restored backup makes.
struct Fork {
    _directories: [tempfile::TempDir; 2],
    ours: Served,
    other: Served,
    proxy: Proxy,
    follower: Follower,
}

async fn fork(ours_size: u64, other: std::ops::Range<u64>) -> Fork {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let ours = serve(directories[0].path()).await;
    append_all(&ours.ledger, 0, ours_size).await;
    let foreign = serve(directories[1].path()).await;
    for number in other {
        foreign.ledger.append(action(number)).await.unwrap();
    }
    let proxy = Proxy::start(&ours.address);
    let follower = follow(&proxy.address, &ours.ledger).await;
    check(&follower, 3, "recorded").await;
    Fork {
        _directories: directories,
        ours,
        other: foreign,
        proxy,
        follower,
    }
}

impl Fork {
    async fn turn(&self) {
        self.proxy.lead_to(&self.other.address);
        check(&self.follower, 666, "cannot_tell").await;
        check(&self.follower, 1_002, "cannot_tell").await;
        // The old view stays.
        check(&self.follower, 3, "recorded").await;
    }

    /// The first question may only have found the connection cut.
    async fn stopped(&self) {
        let stopped = async {
            while self.follower.is_following() {
                check(&self.follower, 666, "cannot_tell").await;
            }
        };
        within("stopped", stopped).await;
        check(&self.follower, 3, "recorded").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tree_of_the_same_size_stops_the_follower_for_good() {
    let fork = fork(10, 1_000..1_010).await;
    fork.turn().await;
    fork.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_lost_entries_stops_the_follower_for_good() {
    let fork = fork(10, 1_000..1_005).await;
    fork.turn().await;
    fork.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_other_history_is_not_believed_and_the_true_one_is_again() {
    let fork = fork(10, 1_000..1_020).await;
    fork.turn().await;
    assert!(fork.follower.is_following());
    fork.proxy.lead_to(&fork.ours.address);
    eventually(&fork.follower, 666, "not_recorded").await;
    check(&fork.follower, 1_002, "not_recorded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_believed_under_another_key() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, address } = serve(directory.path()).await;
    append_all(&ledger, 0, 300).await;
    let other = countersign_ledger::NoteSigner::from_seed(ledger.origin(), &[1; 32]).unwrap();
    let options = RemoteOptions {
        verifier_key: other.verifier_key(),
        ..options(&address, &ledger)
    };
    let follower = Follower::start_remote(&options, now()).unwrap();
    check(&follower, 3, "cannot_tell").await;
    assert_eq!(follower.applied(), 0);
}

/// The ledger's witness, without a network between them.
struct Beside(Witness);

impl Transport for Beside {
    async fn add_checkpoint(&self, _prefix: &str, body: Vec<u8>) -> Result<Answer, TransportError> {
        Ok(match self.0.add_checkpoint(&body, 5_000) {
            Ok(lines) => Answer {
                status: 200,
                body: lines.into_bytes(),
            },
            Err(Refusal::Conflict { size }) => Answer {
                status: 409,
                body: format!("{size}\n").into_bytes(),
            },
            Err(refusal) => Answer {
                status: refusal.status(),
                body: Vec::new(),
            },
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_asks_for_witnesses_believes_nothing_without_them() {
    let directory = tempfile::tempdir().unwrap();
    let Served { ledger, address } = serve(&directory.path().join("ledger")).await;
    append_all(&ledger, 0, 300).await;
    let witness = Cosigner::ed25519("w.example", &[3; 32]).unwrap();
    let text = format!("witness w {} https://w.example\nquorum w\n", witness.verifier());
    let policy = directory.path().join("policy");
    #[allow(clippy::disallowed_methods, reason = "a file of the test")]
    std::fs::write(&policy, &text).unwrap();
    let asking = |now: u64| {
        let options = RemoteOptions {
            witnessed: Some(WitnessedOptions {
                policy: policy.clone(),
                age_max: Duration::from_mins(1),
            }),
            ..options(&address, &ledger)
        };
        Follower::start_remote(&options, clock(now)).unwrap()
    };
    let follower = asking(5_000);
    for _ in 0..3 {
        check(&follower, 9_999, "cannot_tell").await;
    }

    let logs = Policy::parse(format!("log {}\nquorum none\n", ledger.verifier_key()).as_bytes()).unwrap();
    let state = directory.path().join("witness");
    let beside = Beside(Witness::open(&state, &logs, vec![witness]).unwrap());
    let submitting = SubmitterOptions {
        interval: Duration::from_millis(20),
        ..SubmitterOptions::new(Policy::parse(text.as_bytes()).unwrap())
    };
    let _submitter = Submitter::start(ledger.clone(), submitting, beside);
    eventually(&follower, 9_999, "not_recorded").await;
    check(&follower, 299, "recorded").await;

    // What was cosigned is too old by then.
    let later = asking(5_100);
    check(&later, 9_999, "cannot_tell").await;
    // A policy that asks for nothing is a mistake, not a policy.
    #[allow(clippy::disallowed_methods, reason = "a file of the test")]
    std::fs::write(&policy, text.replace("quorum w", "quorum none")).unwrap();
    let options = RemoteOptions {
        witnessed: Some(WitnessedOptions {
            policy,
            age_max: Duration::from_mins(1),
        }),
        ..options(&address, &ledger)
    };
    assert_eq!(options.check().unwrap_err().code(), "policy_quorum_none");
}
