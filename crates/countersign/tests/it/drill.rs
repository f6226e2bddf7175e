//! The drill as a script sees it.

use serde_json::Value;

use crate::process::countersign;

/// The rule that has to stop each attack, and nothing else.
const EXPECTED: [(&str, &str); 5] = [
    ("a", "key_realm_mismatch"),
    ("b", "key_outside_window"),
    ("c", "never_issued"),
    ("d", "subject_not_primary"),
    ("e", "email_unverified"),
];

#[test]
fn every_attack_passes_the_plain_verifier_and_is_stopped_here_by_its_own_rule() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = scratch.path().join("drill");
    let output = countersign()
        .args(["drill", "--json", "--keep"])
        .arg(&kept)
        // A proxy to the outside must not stand between the drill and itself.
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["passed"], true);
    assert_eq!(report["attacks"], 5);
    assert_eq!(report["accepted_by_plain_verifier"], 5);
    assert_eq!(report["admitted_by_countersign"], 0);
    let outcomes = report["outcomes"].as_array().unwrap();
    let control = &outcomes[0];
    assert_eq!(control["attack"], false);
    assert_eq!(control["countersign"]["admitted"], true);
    assert_eq!(control["decision_log"]["provenance"], "recorded");
    for (id, rule) in EXPECTED {
        let outcome = outcomes.iter().find(|outcome| outcome["id"] == id).unwrap();
        assert_eq!(outcome["plain_verifier"]["accepted"], true, "{outcome:#}");
        assert_eq!(outcome["countersign"]["admitted"], false, "{outcome:#}");
        assert_eq!(outcome["countersign"]["rule"], rule, "{outcome:#}");
        assert_eq!(outcome["decision_log"]["decision"], "refuse", "{outcome:#}");
    }
    no_token_is_kept(&kept);
}

/// Neither the decision log nor any other file of the data directory holds a token.
fn no_token_is_kept(directory: &std::path::Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_token_is_kept(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        // `{"alg":` in base64url: how every token here begins.
        let found = bytes.windows(10).any(|window| window == b"eyJhbGciOi");
        assert!(!found, "{} holds a token", path.display());
    }
}

#[test]
fn the_drill_does_not_touch_a_directory_in_use() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("mine"), "").unwrap();
    let output = countersign()
        .args(["drill", "--keep"])
        .arg(scratch.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error[directory_in_use]"));
}
