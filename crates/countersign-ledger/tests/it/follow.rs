//! The follower over sources that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_ledger::draft::DenialDraft;
use countersign_ledger::entry::{Denied, ReasonCode, issuer_id, session_id};
use countersign_ledger::follow::{Source, SourceError};
use countersign_ledger::{Entry, FollowOptions, Follower, Keep, Provenance, Shown};
use tokio::sync::watch;

use crate::support::{EXPIRES_AT, KEY, append_all, clock, fingerprint, issuance, make_ready, open};

/// A ledger of numbered issuances whose answers the test decides.
#[derive(Clone)]
struct Remote {
    head: Arc<AtomicU64>,
    heads_read: Arc<AtomicU64>,
    behaviour: watch::Receiver<Behaviour>,
}

#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    Answer,
    Hang,
    Fail,
    Stop,
}

impl Source for Remote {
    async fn head(&self) -> Result<u64, SourceError> {
        self.heads_read.fetch_add(1, Ordering::SeqCst);
        let mut behaviour = self.behaviour.clone();
        let now = *behaviour
            .wait_for(|behaviour| *behaviour != Behaviour::Hang)
            .await
            .unwrap();
        match now {
            Behaviour::Fail => Err(SourceError::Unavailable),
            Behaviour::Stop => Err(SourceError::Stopped),
            Behaviour::Answer | Behaviour::Hang => Ok(self.head.load(Ordering::SeqCst)),
        }
    }

    async fn read(&self, from: u64, max: usize) -> Result<Vec<Entry>, SourceError> {
        Ok((from..self.head.load(Ordering::SeqCst))
            .take(max)
            .map(issuance)
            .collect())
    }

    async fn changed(&self, _seen: u64) -> Result<(), SourceError> {
        // No push at all: only misses make the follower look.
        std::future::pending().await
    }
}

fn remote(head: u64) -> (Remote, watch::Sender<Behaviour>) {
    let (behave, behaviour) = watch::channel(Behaviour::Answer);
    (
        Remote {
            head: Arc::new(AtomicU64::new(head)),
            heads_read: Arc::default(),
            behaviour,
        },
        behave,
    )
}

const OPTIONS: FollowOptions = FollowOptions {
    keep: Keep::Membership,
    timeout: Duration::from_millis(200),
    stale_max: None,
};

#[tokio::test]
async fn a_miss_reads_the_head_anew() {
    let (source, _behave) = remote(10);
    let follower = Follower::start_on(source.clone(), clock(5_000), OPTIONS).await;
    assert_eq!(follower.applied(), 10);
    source.head.store(40_000, Ordering::SeqCst);
    assert_eq!(follower.look_up(&fingerprint(39_999), EXPIRES_AT), None);
    assert!(matches!(
        follower.provenance(&fingerprint(39_999), EXPIRES_AT).await,
        Provenance::Recorded { index: None, .. }
    ));
    assert_eq!(
        follower.provenance(&fingerprint(50_000), EXPIRES_AT).await,
        Provenance::NotRecorded
    );
}

#[tokio::test]
async fn no_answer_in_time_is_cannot_tell_and_waiting_misses_share_a_read() {
    let (source, behave) = remote(10);
    let follower = Follower::start_on(source.clone(), clock(5_000), OPTIONS).await;
    behave.send(Behaviour::Hang).unwrap();
    assert_eq!(
        follower.provenance(&fingerprint(99), EXPIRES_AT).await,
        Provenance::CannotTell
    );
    assert!(matches!(
        follower.provenance(&fingerprint(5), EXPIRES_AT).await,
        Provenance::Recorded { .. }
    ));

    let reads_before = source.heads_read.load(Ordering::SeqCst);
    let misses: Vec<_> = (100..600)
        .map(|number| {
            let follower = follower.clone();
            tokio::spawn(async move { follower.provenance(&fingerprint(number), EXPIRES_AT).await })
        })
        .collect();
    tokio::task::yield_now().await;
    behave.send(Behaviour::Answer).unwrap();
    for miss in misses {
        assert_eq!(miss.await.unwrap(), Provenance::NotRecorded);
    }
    let reads = source.heads_read.load(Ordering::SeqCst) - reads_before;
    assert!(reads <= 3, "500 misses took {reads} reads");
}

#[tokio::test]
async fn a_failing_source_recovers_and_a_stopped_one_does_not() {
    let (source, behave) = remote(10);
    let follower = Follower::start_on(source.clone(), clock(5_000), OPTIONS).await;
    behave.send(Behaviour::Fail).unwrap();
    assert_eq!(
        follower.provenance(&fingerprint(99), EXPIRES_AT).await,
        Provenance::CannotTell
    );
    behave.send(Behaviour::Answer).unwrap();
    assert_eq!(
        follower.provenance(&fingerprint(99), EXPIRES_AT).await,
        Provenance::NotRecorded
    );
    behave.send(Behaviour::Stop).unwrap();
    assert_eq!(
        follower.provenance(&fingerprint(99), EXPIRES_AT).await,
        Provenance::CannotTell
    );
    behave.send(Behaviour::Answer).unwrap();
    assert_eq!(
        follower.provenance(&fingerprint(99), EXPIRES_AT).await,
        Provenance::CannotTell
    );
    assert!(!follower.is_following());
}

#[tokio::test]
async fn a_ledger_that_shrank_is_not_believed() {
    let (source, _behave) = remote(10);
    let follower = Follower::start_on(source.clone(), clock(5_000), OPTIONS).await;
    source.head.store(9, Ordering::SeqCst);
    assert_eq!(
        follower.provenance(&fingerprint(99), EXPIRES_AT).await,
        Provenance::CannotTell
    );
    assert!(!follower.is_following());
}

#[tokio::test]
async fn of_a_token_that_long_expired_nothing_is_told() {
    let (source, _behave) = remote(10);
    let time = Arc::new(AtomicU64::new(9_000_000));
    let clock = Arc::new({
        let time = time.clone();
        move || time.load(Ordering::SeqCst)
    });
    // All entries had expired when they were taken in, so they were not kept.
    let follower = Follower::start_on(source, clock, OPTIONS).await;
    assert_eq!(follower.issued_count(), 0);
    assert_eq!(
        follower.provenance(&fingerprint(5), 9_000_300).await,
        Provenance::NotRecorded
    );
    // A gate asks for this one only when its clock went back.
    time.store(5_000, Ordering::SeqCst);
    assert_eq!(
        follower.provenance(&fingerprint(5), EXPIRES_AT).await,
        Provenance::CannotTell
    );
}

#[tokio::test]
async fn a_hit_counts_only_while_the_ledger_is_heard() {
    let (source, behave) = remote(10);
    let stale_max = Duration::from_millis(50);
    let options = FollowOptions {
        stale_max: Some(stale_max),
        ..OPTIONS
    };
    let follower = Follower::start_on(source, clock(5_000), options).await;
    let ask = async || follower.provenance(&fingerprint(5), EXPIRES_AT).await;
    assert!(matches!(ask().await, Provenance::Recorded { .. }));
    behave.send(Behaviour::Fail).unwrap();
    let long = tokio::time::timeout(2 * stale_max, std::future::pending::<()>());
    assert!(long.await.is_err() && !follower.is_fresh());
    assert_eq!(ask().await, Provenance::CannotTell);
    behave.send(Behaviour::Answer).unwrap();
    assert!(matches!(ask().await, Provenance::Recorded { .. }));
}

#[tokio::test]
async fn denials_of_every_kind_are_heard() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    make_ready(&ledger).await;
    append_all(&ledger, 10, 14).await;
    let follower = Follower::start(ledger.clone(), clock(5_000)).await;
    let deny = async |denied: Denied| {
        let draft = DenialDraft {
            denied,
            reason: ReasonCode::Compromise,
            at: 2_000,
        };
        ledger.append(draft).await.unwrap();
    };
    deny(Denied::Token(fingerprint(11))).await;
    deny(Denied::Lineage(fingerprint(12))).await;
    // A hit asks nobody; the barrier of a miss brings what is new, the denials too.
    let miss = follower.provenance(&fingerprint(99), EXPIRES_AT).await;
    assert_eq!(miss, Provenance::NotRecorded);
    for (number, expect) in [(10, "recorded"), (11, "denied"), (12, "denied"), (13, "recorded")] {
        let answer = follower.provenance(&fingerprint(number), EXPIRES_AT).await;
        assert_eq!(answer.as_str(), expect, "{number}");
    }
    let shown = |session, issued_at| Shown {
        issuer: "https://a.example",
        key: KEY.key,
        session,
        issued_at,
    };
    assert!(!follower.denies(&shown(Some("s"), 1_500)));
    deny(Denied::Session(session_id(&issuer_id("https://a.example"), "s"))).await;
    follower.provenance(&fingerprint(99), EXPIRES_AT).await;
    assert!(follower.denies(&shown(Some("s"), 1_500)));
    assert!(!follower.denies(&shown(Some("t"), 1_500)));
}
