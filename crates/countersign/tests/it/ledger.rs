//! A ledger, a witness and an outsider who trusts neither alone: as processes, over HTTP.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Server, countersign, free_port};

/// Ends with its scope.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    countersign().arg("ledger").args(arguments).output().unwrap()
}

/// Standard output of a run that ends with `code`.
fn ends(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The error code of a run that fails with `code`.
fn fails(code: i32, arguments: &[&str]) -> String {
    let output = run(&[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let error = text.lines().last().unwrap();
    let error: serde_json::Value = serde_json::from_str(error).unwrap();
    error["error"]["code"].as_str().unwrap().to_owned()
}

fn write(path: &Path, text: &str) -> String {
    std::fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    path.to_str().unwrap().to_owned()
}

fn start_witness(directory: &Path, logs: &str, port: u16) -> Process {
    let mut command = countersign();
    command
        .args(["ledger", "witness", "--name", "witness.example/1", "--logs", logs])
        .arg("--data")
        .arg(directory)
        .args(["--listen", &format!("127.0.0.1:{port}")]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines.any(|line| line.unwrap().starts_with("Witnessing at "));
    assert!(started, "the witness ended before it was up");
    Process(child)
}

/// `reached` runs a program, so asking again and again is no busy loop.
fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < Duration::from_secs(30), "never: {what}");
    }
}

#[test]
fn a_ledger_is_witnessed_proved_and_watched_from_outside() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (data, port, witness_port) = (at("data"), free_port(), free_port());
    let ledger = at("data/ledger");
    let ledger = ledger.to_str().unwrap();
    let url = format!("http://127.0.0.1:{port}/ledger");

    // First run: the ledger and its keys are made.
    let mut server = Server::spawn(&data, port, &[]);
    server.wait_until_up();
    server.terminate();
    let own = write(&at("own.txt"), &ends(0, &["policy", ledger]));
    let key = at("data/ledger/key.vkey");
    let key = key.to_str().unwrap();

    // A witness for it, and a policy that asks for the witness.
    let witness = start_witness(&at("witness"), &own, witness_port);
    let keys = std::fs::read_to_string(at("witness/witness.vkey")).unwrap();
    let [ed25519, ml_dsa] = keys.lines().collect::<Vec<_>>()[..] else {
        panic!("two keys")
    };
    let own_text = std::fs::read_to_string(&own).unwrap();
    let policy = own_text.replace(
        "quorum none",
        &format!(
            "witness w {ed25519} http://127.0.0.1:{witness_port}\nwitness pq {ml_dsa}\n\
             group both all w pq\nquorum both"
        ),
    );
    let policy = write(&at("policy.txt"), &policy);
    let shown = countersign().args(["config", "show"]).output().unwrap();
    let config = String::from_utf8(shown.stdout).unwrap().replace(
        "witness_interval_seconds = 10",
        &format!("witness_interval_seconds = 1\nwitnesses = \"{policy}\""),
    );
    let config = write(&at("config.toml"), &config);
    let mut server = Server::spawn(&data, port, &["--config", &config]);
    server.wait_until_up();
    let receipt = at("receipt.tlog-proof");
    let receipt = receipt.to_str().unwrap();
    let prove = ["prove", &url, "--policy", &policy, "--index", "2"];
    wait_until("it is witnessed", || run(&prove).status.success());
    write(Path::new(receipt), &ends(0, &prove));

    // What an outsider does with it.
    let checked = ends(0, &["check-proof", receipt, "--policy", &policy]);
    assert!(checked.starts_with("recorded: entry 2 of "), "{checked}");
    assert!(
        checked.contains("w 0 s ago") || checked.contains("w 1 s ago"),
        "{checked}"
    );
    ends(0, &["check-proof", receipt, "--key", key]);
    let audited = ends(0, &["audit", &url, "--policy", &policy]);
    assert!(audited.contains("the same history is cosigned by "), "{audited}");
    let state = at("state");
    let state = state.to_str().unwrap();
    let watch = [
        "watch",
        &url,
        "--policy",
        &policy,
        "--state",
        state,
        "--once",
        "--age-max",
        "60",
    ];
    let entries = ends(0, &watch);
    assert_eq!(entries.lines().count(), 9, "{entries}");
    assert!(entries.starts_with("0 key_announcement at="), "{entries}");
    assert_eq!(ends(0, &watch), "", "a second look shows nothing again");
    let shown = ends(0, &["show", &url, "--policy", &policy, "--entry", "1", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["entry"], &shown["state"], &shown["key_index"]),
        (&"key_transition".into(), &"active".into(), &0.into())
    );
    assert_eq!(
        fails(64, &["show", &url, "--key", key, "--entry", "999"]),
        "entry_missing"
    );
    let issuer = format!("http://127.0.0.1:{port}/consumer");
    let json = ends(0, &["watch", ledger, "--once", "--issuer", &issuer, "--json"]);
    assert_eq!(json.lines().count(), 4, "{json}");
    server.terminate();
    drop(witness);

    refused(directory.path(), receipt, key, &url);
}

/// What must not pass, once the ledger and its witness are gone.
fn refused(directory: &Path, receipt: &str, key: &str, url: &str) {
    let at = |name: &str| directory.join(name);
    let ledger = at("data/ledger");
    let ledger = ledger.to_str().unwrap();
    let own_text = std::fs::read_to_string(at("own.txt")).unwrap();
    let stranger = "stranger.example+6f4b1df9+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let stranger = write(&at("stranger.vkey"), stranger);
    assert_eq!(
        fails(64, &["check-proof", receipt, "--key", &stranger]),
        "note_key_id_mismatch"
    );
    let other_key = at("witness/witness.vkey");
    let other_key = write(
        &at("other.vkey"),
        std::fs::read_to_string(other_key)
            .unwrap()
            .lines()
            .next()
            .unwrap(),
    );
    assert_eq!(
        fails(1, &["check-proof", receipt, "--key", &other_key]),
        "policy_origin_unknown"
    );
    let zeros = "0".repeat(64);
    assert_eq!(
        fails(
            1,
            &["check-proof", receipt, "--key", key, "--fingerprint", &zeros]
        ),
        "proof_of_another_token"
    );
    let text = std::fs::read_to_string(receipt).unwrap();
    let moved = write(&at("moved"), &text.replace("index 2", "index 3"));
    assert_eq!(fails(1, &["check-proof", &moved, "--key", key]), "proof_mismatch");
    let unterminated = write(&at("cut.txt"), &own_text.replace("quorum none\n", "quorum none"));
    assert_eq!(
        fails(64, &["audit", ledger, "--policy", &unterminated]),
        "policy_unterminated"
    );
    assert_eq!(fails(64, &["watch", url, "--once"]), "key_missing");
    assert_eq!(
        fails(2, &["watch", url, "--key", key, "--once"]),
        "monitor_source_unavailable"
    );
    assert_eq!(
        fails(1, &["watch", ledger, "--key", key, "--once", "--age-max", "60"]),
        "freshness_no_time"
    );
}

#[test]
fn a_monitor_tells_a_ledger_that_went_back() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let data = at("data");
    let port = free_port();
    let mut server = Server::spawn(&data, port, &[]);
    server.wait_until_up();
    server.terminate();
    let copy = at("copy");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&data)
        .arg(&copy)
        .status()
        .unwrap();
    assert!(copied.success());

    let issuer = format!("http://127.0.0.1:{port}/consumer");
    let activated = countersign()
        .args(["key", "activate", &issuer, "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(activated.status.success(), "{activated:?}");
    let ledger = |data: &Path| data.join("ledger").to_str().unwrap().to_owned();
    let state = at("state").to_str().unwrap().to_owned();
    let newer = ends(0, &["watch", &ledger(&data), "--state", &state, "--once"]);
    assert!(newer.lines().count() > 6, "{newer}");
    assert_eq!(
        fails(1, &["watch", &ledger(&copy), "--state", &state, "--once"]),
        "view_rolled_back"
    );
    let evidence = std::fs::read_to_string(at("state.evidence")).unwrap();
    assert_eq!(
        evidence.matches("127.0.0.1").count() % 3,
        0,
        "two notes: {evidence}"
    );
    // The memory of it stays.
    assert_eq!(
        ends(0, &["watch", &ledger(&data), "--state", &state, "--once"]),
        ""
    );
}
