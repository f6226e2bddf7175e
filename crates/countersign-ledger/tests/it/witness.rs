//! Witnesses in both roles: what they refuse, what they remember, and that they hold up nobody.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::note::Note;
use countersign_ledger::policy::Policy;
use countersign_ledger::proof::consistency;
use countersign_ledger::witness::{
    AddCheckpoint, Answer, Submitter, SubmitterOptions, SubmitterStatus, Transport, TransportError, Witness,
    origin_hash,
};
use countersign_ledger::{Cosigner, Ledger, NoteSigner};

use crate::support::{ORIGIN, action, append_all, open, signer};

const NOW: u64 = 1_700_000_000;

fn logs() -> Policy {
    Policy::of_log(signer().verifier().clone())
}

fn cosigners(number: u8) -> Vec<Cosigner> {
    let name = format!("w{number}.example");
    vec![
        Cosigner::ed25519(&name, &[number; 32]).unwrap(),
        Cosigner::ml_dsa_44(&name, &[number; 32]).unwrap(),
    ]
}

fn witness(directory: &Path) -> Witness {
    Witness::open(directory, &logs(), cosigners(1)).unwrap()
}

/// A ledger with these entries, its checkpoint published.
async fn ledger(directory: &Path, numbers: std::ops::Range<u64>) -> Ledger {
    let ledger = open(directory).unwrap();
    for number in numbers {
        ledger.append(action(number)).await.unwrap();
    }
    ledger.close();
    open(directory).unwrap()
}

fn size(ledger: &Ledger) -> u64 {
    logs().check(&ledger.checkpoint()).unwrap().checkpoint.size
}

/// The request that brings the ledger's checkpoint to a witness that has seen `old`.
fn request(ledger: &Ledger, old: u64) -> AddCheckpoint {
    AddCheckpoint {
        old,
        proof: consistency(ledger, old, size(ledger)).unwrap(),
        checkpoint: ledger.checkpoint().to_vec(),
    }
}

fn signed(size: u64, root: [u8; 32]) -> Vec<u8> {
    signer().sign(
        &Checkpoint {
            origin: ORIGIN.into(),
            size,
            root,
        }
        .encode(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_cosigns_what_continues() {
    let directory = tempfile::tempdir().unwrap();
    let ledger_3 = ledger(&directory.path().join("a"), 0..3).await;
    let witness = witness(&directory.path().join("w"));
    assert_eq!(witness.latest(&origin_hash(ORIGIN)), None);

    let lines = witness
        .add_checkpoint(&request(&ledger_3, 0).encode(), NOW)
        .unwrap();
    ledger_3.close();
    let ledger_9 = ledger(&directory.path().join("a"), 3..9).await;
    witness
        .add_checkpoint(&request(&ledger_9, 3).encode(), NOW + 1)
        .unwrap();
    // The same once more is asked for the time in it.
    let again = witness
        .add_checkpoint(&request(&ledger_9, 9).encode(), NOW + 2)
        .unwrap();
    assert_eq!((lines.lines().count(), again.lines().count()), (2, 2));

    // What is served carries the ledger's line and both of the witness's.
    let served = witness.latest(&origin_hash(ORIGIN)).unwrap();
    let note = Note::parse(&served).unwrap();
    assert!(note.verify(signer().verifier()).unwrap().is_some());
    for cosigner in cosigners(1) {
        let found = note.verify(cosigner.verifier()).unwrap().unwrap();
        assert_eq!(found.time, Some(NOW + 2));
    }
    assert_eq!(witness.latest(&origin_hash("other.example")), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_the_status_of_the_specification() {
    let directory = tempfile::tempdir().unwrap();
    let ledger_5 = ledger(&directory.path().join("a"), 0..5).await;
    let forked_5 = ledger(&directory.path().join("b"), 100..105).await;
    let forked_9 = ledger(&directory.path().join("c"), 100..109).await;
    let witness = witness(&directory.path().join("w"));
    let check = |body: &[u8], status: u16, code: &str| {
        let refusal = witness.add_checkpoint(body, NOW).unwrap_err();
        assert_eq!(
            (refusal.status(), refusal.code()),
            (status, code),
            "{:?}",
            String::from_utf8_lossy(body)
        );
    };
    let good = request(&ledger_5, 0);
    let with = |old, proof: &[[u8; 32]], checkpoint: &[u8]| {
        AddCheckpoint {
            old,
            proof: proof.to_vec(),
            checkpoint: checkpoint.to_vec(),
        }
        .encode()
    };

    check(b"", 400, "witness_request_malformed");
    check(b"new 0\n\nx", 400, "witness_request_old_size");
    check(b"old 0\n\nnot a note", 400, "witness_request_checkpoint");
    check(
        &with(0, &[], &signer().sign("no checkpoint\n")),
        400,
        "witness_request_checkpoint",
    );
    check(&with(6, &[], &good.checkpoint), 400, "witness_old_above_new");

    let stranger = NoteSigner::from_seed("stranger.example", &[9; 32]).unwrap();
    let text = String::from_utf8(good.checkpoint.clone())
        .unwrap()
        .replace(ORIGIN, "stranger.example");
    let text = Note::parse(text.as_bytes()).unwrap().text().to_owned();
    check(
        &with(0, &[], &stranger.sign(&text)),
        404,
        "witness_origin_unknown",
    );

    let thief = NoteSigner::from_seed(ORIGIN, &[9; 32]).unwrap();
    let own = Note::parse(&good.checkpoint).unwrap().text().to_owned();
    check(&with(0, &[], &thief.sign(&own)), 403, "note_not_signed");
    let spoiled = String::from_utf8(good.checkpoint.clone())
        .unwrap()
        .replace("\n5\n", "\n6\n");
    check(&with(0, &[], spoiled.as_bytes()), 403, "note_signature_invalid");

    check(&with(0, &[], &signed(0, [1; 32])), 422, "witness_empty_root");
    check(
        &with(0, &[[0; 32]], &good.checkpoint),
        422,
        "witness_proof_invalid",
    );
    check(&with(3, &[], &good.checkpoint), 409, "witness_conflict");
    assert!(
        witness.latest(&origin_hash(ORIGIN)).is_none(),
        "nothing was cosigned so far"
    );

    witness.add_checkpoint(&good.encode(), NOW).unwrap();
    check(&good.encode(), 409, "witness_conflict");
    check(&with(3, &[], &good.checkpoint), 409, "witness_conflict");
    check(&request(&forked_5, 5).encode(), 422, "witness_forked");
    check(&request(&forked_9, 5).encode(), 422, "witness_proof_invalid");
    check(
        &with(5, &[], &forked_9.checkpoint()),
        422,
        "witness_proof_invalid",
    );
    check(
        &with(5, &[[0; 32]], &good.checkpoint),
        422,
        "witness_proof_invalid",
    );
    // A smaller tree, honestly signed once, is no way back.
    check(&with(5, &[], &signed(3, [3; 32])), 400, "witness_old_above_new");
    check(&with(3, &[], &signed(3, [3; 32])), 409, "witness_conflict");
    assert!(
        witness
            .add_checkpoint(&request(&ledger_5, 5).encode(), NOW)
            .is_ok()
    );
    // A clock that is not set must not sign.
    let refusal = witness
        .add_checkpoint(&request(&ledger_5, 5).encode(), 0)
        .unwrap_err();
    assert_eq!((refusal.status(), refusal.code()), (500, "cosign_time_invalid"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_remembers_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("w");
    let ledger_5 = ledger(&directory.path().join("a"), 0..5).await;
    let forked_9 = ledger(&directory.path().join("b"), 100..109).await;
    let first = witness(&state);
    first
        .add_checkpoint(&request(&ledger_5, 0).encode(), NOW)
        .unwrap();
    let in_use = Witness::open(&state, &logs(), cosigners(1)).err().unwrap();
    assert_eq!(in_use.code(), "witness_state_in_use");
    let served = first.latest(&origin_hash(ORIGIN));
    drop(first);

    let second = witness(&state);
    assert_eq!(second.latest(&origin_hash(ORIGIN)), served);
    let refusal = second
        .add_checkpoint(&request(&forked_9, 0).encode(), NOW)
        .unwrap_err();
    assert_eq!(refusal.code(), "witness_conflict");
    let refusal = second
        .add_checkpoint(&request(&forked_9, 5).encode(), NOW)
        .unwrap_err();
    assert_eq!(refusal.code(), "witness_proof_invalid");
    drop(second);

    // State that another key signed, or nobody, is not taken over.
    let foreign = Witness::open(&state, &logs(), cosigners(2)).err().unwrap();
    assert_eq!(foreign.code(), "witness_state_foreign");
    let file = state.join(origin_hash(ORIGIN)).join("checkpoint");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    #[allow(clippy::disallowed_methods, reason = "damage need not be durable")]
    std::fs::write(&file, bytes).unwrap();
    let damaged = Witness::open(&state, &logs(), cosigners(1)).err().unwrap();
    assert_eq!(damaged.code(), "witness_state_foreign");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_cannot_store_does_not_cosign() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("w");
    let ledger_5 = ledger(&directory.path().join("a"), 0..5).await;
    let witness = witness(&state);
    // A file where the directory of the ledger should be.
    std::fs::File::create(state.join(origin_hash(ORIGIN))).unwrap();
    let body = request(&ledger_5, 0).encode();
    for _ in 0..2 {
        let refusal = witness.add_checkpoint(&body, NOW).unwrap_err();
        assert_eq!((refusal.status(), refusal.code()), (500, "witness_store_failed"));
    }
    assert_eq!(witness.latest(&origin_hash(ORIGIN)), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_for_one_ledger_do_not_interleave() {
    let directory = tempfile::tempdir().unwrap();
    let ledger_5 = ledger(&directory.path().join("a"), 0..5).await;
    let witness = Arc::new(witness(&directory.path().join("w")));
    let body = Arc::new(request(&ledger_5, 0).encode());
    let attempts: Vec<_> = (0..16)
        .map(|_| {
            let (witness, body) = (witness.clone(), body.clone());
            std::thread::spawn(move || witness.add_checkpoint(&body, NOW).is_ok())
        })
        .collect();
    let cosigned = attempts.into_iter().map(|attempt| attempt.join().unwrap());
    assert_eq!(cosigned.filter(|ok| *ok).count(), 1);
}

/// Witnesses without a network, by the URL in the policy.
#[derive(Clone)]
struct Direct {
    witnesses: Arc<Vec<Witness>>,
    hang: Arc<AtomicBool>,
}

impl Transport for Direct {
    async fn add_checkpoint(&self, prefix: &str, body: Vec<u8>) -> Result<Answer, TransportError> {
        let Some(number) = prefix.strip_prefix("direct:") else {
            return Err(TransportError("no such host".into()));
        };
        if number == "1" && self.hang.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let witness = &self.witnesses[number.parse::<usize>().unwrap()];
        Ok(match witness.add_checkpoint(&body, NOW) {
            Ok(lines) => Answer {
                status: 200,
                body: lines.into_bytes(),
            },
            Err(refusal) => Answer {
                status: refusal.status(),
                body: match refusal {
                    countersign_ledger::witness::Refusal::Conflict { size } => {
                        format!("{size}\n").into_bytes()
                    }
                    _ => Vec::new(),
                },
            },
        })
    }
}

/// Three witnesses, of which one is never reached; two are enough.
fn direct(directory: &Path) -> (Direct, SubmitterOptions) {
    let witnesses = (0..2).map(|number| {
        let state = directory.join(format!("w{number}"));
        Witness::open(&state, &logs(), cosigners(number)).unwrap()
    });
    let transport = Direct {
        witnesses: Arc::new(witnesses.collect()),
        hang: Arc::default(),
    };
    let line = |number: u8, kind: usize, url: &str| {
        format!("witness w{number} {} {url}\n", cosigners(number)[kind].verifier())
    };
    let text = [
        line(0, 0, "direct:0/"),
        line(1, 1, "direct:1"),
        line(2, 0, "nowhere:"),
        // The second key of a witness, which answers with both.
        format!("witness w0-pq {}\n", cosigners(0)[1].verifier()),
        "group g 2 w0 w1 w2\nquorum g\n".to_owned(),
    ]
    .concat();
    let options = SubmitterOptions {
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(200),
        ..SubmitterOptions::new(Policy::parse(text.as_bytes()).unwrap())
    };
    (transport, options)
}

async fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while !reached() {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        tick.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_brings_its_checkpoints_to_witnesses() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory.path().join("a")).unwrap();
    let (transport, options) = direct(directory.path());
    let trust = options.policy.clone().with_log(signer().verifier().clone());
    let submitter = Submitter::start(ledger.clone(), options, transport.clone());
    let witnessed = |ledger: &Ledger| {
        let note = ledger.witnessed()?;
        Some(trust.check(&note).unwrap().checkpoint.size)
    };
    for round in 1..4u64 {
        append_all(&ledger, round * 300, (round + 1) * 300).await;
        wait_until("all is witnessed", || witnessed(&ledger) == Some(round * 300)).await;
    }
    let witnessed_by = trust.check(&ledger.witnessed().unwrap()).unwrap().cosignatures;
    let names: Vec<String> = witnessed_by.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["w0", "w1", "w0-pq"]);
    let status = submitter.status();
    assert_eq!(status["w0"], SubmitterStatus::Cosigned { size: 900 });
    assert_eq!(
        status["w2"],
        SubmitterStatus::Failed {
            detail: "the witness was not reached: no such host".into()
        }
    );

    // One of two needed witnesses hangs: appends and publication go on, the witnessed checkpoint stays.
    transport.hang.store(true, Ordering::SeqCst);
    wait_until("the witness hangs", || {
        matches!(submitter.status().get("w1"), Some(SubmitterStatus::Failed { .. }))
    })
    .await;
    append_all(&ledger, 5_000, 5_100).await;
    wait_until("it is published", || size(&ledger) == 1_000).await;
    // Rounds follow each other: when the next one has cosigned, this one has kept what it could.
    for count in 1_000..1_002 {
        let expect = SubmitterStatus::Cosigned { size: count };
        wait_until("the other cosigns", || {
            submitter.status().get("w0") == Some(&expect)
        })
        .await;
        append_all(&ledger, 5_000 + count, 5_001 + count).await;
    }
    assert_eq!(witnessed(&ledger), Some(900));
    transport.hang.store(false, Ordering::SeqCst);
    wait_until("it is witnessed", || witnessed(&ledger) == Some(1_002)).await;

    drop(submitter);
    ledger.close();
    let ledger = open(&directory.path().join("a")).unwrap();
    assert_eq!(witnessed(&ledger), Some(1_002), "kept across a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolled_back_and_a_forked_ledger_are_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let (transport, options) = direct(directory.path());
    let honest = ledger(&directory.path().join("a"), 0..10).await;
    for witness in transport.witnesses.iter() {
        witness
            .add_checkpoint(&request(&honest, 0).encode(), NOW)
            .unwrap();
    }
    for (name, numbers, expect) in [
        ("older copy", 0..6, SubmitterStatus::Ahead { size: 10 }),
        ("other history", 100..110, SubmitterStatus::Contradicted),
        ("longer other history", 200..230, SubmitterStatus::Contradicted),
    ] {
        let other = ledger(&directory.path().join(name), numbers).await;
        let submitter = Submitter::start(other.clone(), options.clone(), transport.clone());
        wait_until(name, || submitter.status().get("w0") == Some(&expect)).await;
        assert_eq!(other.witnessed(), None);
    }
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_protocol_over_http() {
    use crate::http::exchange;
    use countersign_ledger::witness::http::router;

    let directory = tempfile::tempdir().unwrap();
    let ledger_5 = ledger(&directory.path().join("a"), 0..5).await;
    let forked_5 = ledger(&directory.path().join("b"), 100..105).await;
    let witness = Arc::new(witness(&directory.path().join("w")));
    let address = crate::http::listen(router(witness.clone(), Arc::new(|| NOW))).await;
    let post = |body: Vec<u8>| exchange(&address, "POST", "/add-checkpoint", body);
    let monitored = format!("/{}/checkpoint", origin_hash(ORIGIN));

    let (head, _) = exchange(&address, "GET", &monitored, Vec::new()).await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    let (head, body) = post(request(&ledger_5, 0).encode()).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(body.starts_with("\u{2014} w1.example ".as_bytes()));
    let (head, body) = post(request(&ledger_5, 0).encode()).await;
    assert!(head.starts_with("http/1.1 409"), "{head}");
    assert!(head.contains("content-type: text/x.tlog.size\r\n"), "{head}");
    assert_eq!(body, b"5\n");
    for (body, status) in [
        (b"old 1\n".to_vec(), 400),
        (request(&forked_5, 5).encode(), 422),
        (vec![b'a'; 300 << 10], 413),
    ] {
        let (head, _) = post(body).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
    }
    let (head, body) = exchange(&address, "GET", &monitored, Vec::new()).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; charset=utf-8"), "{head}");
    assert_eq!(Some(body), witness.latest(&origin_hash(ORIGIN)));
    for (method, path, status) in [
        ("GET", "/add-checkpoint", 405),
        ("POST", monitored.as_str(), 405),
        ("GET", "/checkpoint", 404),
        ("GET", "/..%2flock/checkpoint", 404),
        ("POST", "/sign-subtree", 404),
    ] {
        let (head, _) = exchange(&address, method, path, Vec::new()).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
    }
}
