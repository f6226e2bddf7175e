//! Decision logs against a real ledger, from the command line to the report.

use serde_json::{Value, json};

use crate::command::{file, reconcile, run};
use crate::ledger::{BEGIN, ISSUER, KEY_TEXT, fingerprint, write};

/// A row as the gate writes it: token `number`, used `after` seconds after the ledger began.
fn row(after: i64, number: u16, changes: &Value) -> String {
    let time = BEGIN.saturating_add_signed(after) * 1000 + 250;
    let issued_at = BEGIN + u64::from(number) * 60;
    let mut row = json!({
        "time": countersign_hunt::timestamp::format_ms(time), "gate": "front", "decision": "admit", "reason": null,
        "mode": "enforce", "issuer": ISSUER, "realm": "enterprise", "tenant": "t1", "key_id": KEY_TEXT,
        "key_thumbprint": KEY_TEXT, "algorithm": "ES256", "fingerprint": hex::encode(fingerprint(number)),
        "token_id": "j", "session_id": null, "subject": "alice", "client": "demo", "audience": ["mail"],
        "scope": ["mail.read"], "issued_at": issued_at, "expires_at": issued_at + 3600, "provenance": "recorded",
        "ledger_index": number + 2, "bundle": 1, "resource": "mail", "method": "GET", "path": "/inbox",
        "source_ip": "198.51.100.7", "user_agent": "curl", "duration_us": 80
    });
    for (name, value) in changes.as_object().unwrap() {
        row[name] = value.clone();
    }
    format!("{row}\n")
}

/// A token that was never issued, admitted in mode `observe`.
fn forged(after: i64, changes: &Value) -> String {
    let mut all = json!({"reason": "never_issued", "mode": "observe", "provenance": "not_recorded",
        "ledger_index": null, "subject": "ceo", "source_ip": "203.0.113.9", "issued_at": BEGIN + 600});
    all.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    row(after, 5000, &all)
}

fn uses(report: &Value, verdict: &str) -> (u64, u64) {
    let count = &report["verdicts"][verdict];
    (
        count["uses"].as_u64().unwrap(),
        count["admitted"].as_u64().unwrap(),
    )
}

#[test]
fn the_forged_token_is_found_among_real_ones() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    // More than one full bundle, and a partial one.
    write(place, 300);
    let refused = json!({"decision": "refuse", "mode": "enforce"});
    let attempt = json!({"decision": "refuse", "reason": "signature_invalid", "provenance": null, "key_id": "made-up",
        "key_thumbprint": null});
    let mut log: String = (0..290)
        .map(|number| row(i64::from(number) * 60 + 5, number, &json!({})))
        .collect();
    log += &forged(900, &json!({}));
    log += &forged(960, &json!({"subject": "cfo", "resource": "files"}));
    log += &forged(960, &json!({"subject": "cfo", "resource": "files"}));
    log += &forged(1000, &refused);
    log += &forged(1100, &attempt);
    log += &row(1200, 3, &json!({"issuer": "http://127.0.0.1:8420/consumer"}));
    log += &row(
        1260,
        0,
        &json!({"fingerprint": null, "decision": "refuse", "reason": "token_missing"}),
    );
    log += &forged(-86_400, &json!({"key_thumbprint": null}));
    log += &forged(300 * 60, &json!({}));
    log += &forged(
        900,
        &json!({"issuer": "https://foreign.example", "key_thumbprint": null, "gate": "back"}),
    );
    log += "not json\n";
    log.push_str(&row(1300, 4, &json!({}))[..200]);
    file(place, "decisions.ndjson", log);

    let (code, report) = reconcile(place, "--decisions decisions.ndjson --rejects rejects.ndjson");
    assert_eq!(code, 1);
    assert_eq!(report["outcome"], "findings");
    assert_eq!(
        (&report["ledger"]["size"], &report["ledger"]["issuances"]),
        (&json!(302), &json!(300))
    );
    assert_eq!(
        report["coverage"],
        json!({"from": "2026-08-01T12:00:00Z", "until": "2026-08-01T16:59:00Z", "clock_skew_seconds": 30,
            "issuers": 1, "keys": 1})
    );
    assert_eq!(uses(&report, "issued_token_match"), (290, 290));
    assert_eq!(uses(&report, "never_issued"), (4, 2));
    assert_eq!(uses(&report, "conflict"), (1, 1));
    assert_eq!(uses(&report, "no_id"), (1, 0));
    assert_eq!(uses(&report, "outside_coverage"), (3, 3));
    for gap in ["before_ledger", "after_ledger", "issuer_not_recorded"] {
        assert_eq!(report["gaps"][gap], json!({"uses": 1, "admitted": 1}), "{gap}");
    }
    assert_eq!(
        (&report["judged"]["uses"], &report["judged"]["judged"]),
        (&json!(299), &json!(295))
    );
    let input = &report["input"];
    assert_eq!((&input["rows"], &input["duplicates"]), (&json!(302), &json!(1)));
    assert_eq!(input["rejects"]["causes"], json!({"not_json": 1, "truncated": 1}));
    let rejects = std::fs::read_to_string(place.join("rejects.ndjson")).unwrap();
    assert_eq!(rejects.lines().count(), 2);

    let [stolen, conflict, attempt] = report["findings"].as_array().unwrap().as_slice() else {
        panic!()
    };
    assert_eq!(
        (&stolen["severity"], &stolen["verdict"]),
        (&json!("critical"), &json!("never_issued"))
    );
    assert_eq!(stolen["key_id"], KEY_TEXT);
    assert_eq!(stolen["first_use"], "2026-08-01T12:15:00.250Z");
    assert_eq!(stolen["last_use"], "2026-08-01T12:16:40.250Z");
    let admitted = &stolen["admitted"];
    assert_eq!(
        (&admitted["uses"], &stolen["refused"]["uses"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(admitted["subjects"]["values"], json!(["ceo", "cfo"]));
    assert_eq!(admitted["source_ips"]["values"], json!(["203.0.113.9"]));
    assert_eq!(admitted["resources"]["values"], json!(["files", "mail"]));
    assert_eq!(
        admitted["evidence"][0],
        json!({"file": "decisions.ndjson", "line": 291, "fingerprint": hex::encode(fingerprint(5000))})
    );
    assert_eq!(
        (&conflict["verdict"], &conflict["differences"]),
        (&json!("conflict"), &json!({"issuer": 1}))
    );
    assert_eq!(
        (&attempt["severity"], &attempt["key_id"]),
        (&json!("low"), &json!("made-up"))
    );
}

#[test]
fn the_time_range_is_half_open() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    write(place, 60);
    file(
        place,
        "a",
        format!(
            "{}{}{}",
            forged(599, &json!({})),
            forged(600, &json!({})),
            forged(900, &json!({}))
        ),
    );
    // 250 ms later than the round second.
    for (range, expect, outside) in [
        ("", 3, 0),
        ("--from 2026-08-01T12:10:00.250Z", 2, 1),
        ("--from 2026-08-01T12:10:00.251Z", 1, 2),
        ("--to 2026-08-01T12:10:00.250Z", 1, 2),
        ("--to 2026-08-01T14:10:00.251+02:00", 2, 1),
        ("--from 2026-08-02", 0, 3),
        ("--from 1785586200 --to 1785586201", 1, 2),
    ] {
        let (code, report) = reconcile(place, &format!("--decisions a {range}"));
        assert_eq!(
            (uses(&report, "never_issued").0, &report["input"]["outside_range"]),
            (expect, &json!(outside))
        );
        assert_eq!(code, i32::from(expect > 0), "{range}");
    }
}

#[test]
fn the_clock_skew_is_taken_off_the_newest_issuance() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    write(place, 2);
    file(place, "a", forged(59, &json!({})));
    for (skew, expect, outcome) in [("", 2, "cannot_tell"), ("--clock-skew 0", 1, "findings")] {
        let (code, report) = reconcile(place, &format!("--decisions a {skew}"));
        assert_eq!((code, &report["outcome"]), (expect, &json!(outcome)), "{skew}");
    }
}

#[test]
fn exit_codes_and_errors() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    write(place, 60);
    file(place, "good", row(605, 10, &json!({})));
    file(place, "empty", "");
    file(place, "broken", "\u{feff}{}\r\nx\r\n");
    file(place, "packed.gz", b"\x1f\x8b\x08");
    file(
        place,
        "other.vkey",
        "ledger.example/1+7aad2bb4+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n",
    );
    let ledger = "reconcile --ledger ledger --key ledger.vkey --decisions";
    let cases: [(&str, i32, &str); 14] = [
        (&format!("{ledger} good"), 0, ""),
        (&format!("{ledger} good empty broken"), 0, ""),
        (&format!("{ledger} empty"), 0, ""),
        (&format!("{ledger} broken"), 2, ""),
        (&format!("{ledger} missing"), 2, "error[decisions_unreadable]"),
        (&format!("{ledger} packed.gz"), 2, "error[decisions_compressed]"),
        (
            &format!("{ledger} good --rejects good"),
            2,
            "error[rejects_unwritable]",
        ),
        (
            "reconcile --ledger . --key ledger.vkey --decisions good",
            2,
            "error[audit_checkpoint_missing]",
        ),
        (
            "reconcile --ledger ledger --key missing --decisions good",
            2,
            "error[key_unreadable]",
        ),
        (
            "reconcile --ledger ledger --key good --decisions good",
            2,
            "error[audit_key_malformed]",
        ),
        (&format!("{ledger} good ./good"), 64, "error[file_named_twice]"),
        (
            &format!("{ledger} good --from 2026-08-02 --to 2026-08-01"),
            64,
            "error[range_empty]",
        ),
        (&format!("{ledger} good --from yesterday"), 64, "not a time"),
        ("reconcile --ledger ledger --key ledger.vkey", 64, "--decisions"),
    ];
    for (arguments, code, message) in cases {
        let (found, _, err) = run(place, arguments);
        assert_eq!(found, code, "{arguments}: {err}");
        assert!(
            err.contains(message) && err.is_empty() == message.is_empty(),
            "{arguments}: {err}"
        );
    }
    assert_eq!(
        std::fs::read_to_string(place.join("good")).unwrap(),
        row(605, 10, &json!({})),
        "evidence is kept"
    );
    let (code, out, err) = run(place, &format!("{ledger} missing --json"));
    assert_eq!((code, out.as_str()), (2, ""));
    let error: Value = serde_json::from_str(&err).unwrap();
    assert_eq!(error["error"]["code"], "decisions_unreadable");
}

#[test]
fn a_ledger_that_was_changed_is_no_evidence() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    write(place, 300);
    file(place, "a", forged(900, &json!({})));
    // Write the forged token into the ledger, as its thief would wish.
    let bundle = place.join("ledger/tile/entries/000");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let real = fingerprint(200);
    let at = bytes.windows(32).position(|window| window == real).unwrap();
    bytes[at..at + 32].copy_from_slice(&fingerprint(5000));
    file(place, "ledger/tile/entries/000", bytes);
    let (code, out, err) = run(place, "reconcile --ledger ledger --key ledger.vkey --decisions a");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        err.starts_with("error[audit_tile_mismatch]: the ledger is not verified"),
        "{err}"
    );
}

#[test]
fn a_published_copy_is_enough_and_same_input_gives_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    write(place, 20);
    for own in ["journal", "lock", "origin", "key.vkey"] {
        let path = place.join("ledger").join(own);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    file(place, "a", forged(600, &json!({})));
    let arguments = "reconcile --ledger ledger --key ledger.vkey --json --decisions a";
    let first = run(place, arguments);
    assert_eq!((first.0, first.2.as_str()), (1, ""));
    assert_eq!(first, run(place, arguments));
}

#[test]
fn the_report_for_a_person() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    write(place, 60);
    let hostile = json!({"decision": "refuse", "reason": "signature_invalid", "provenance": null,
        "key_id": "\u{1b}]0;x\u{7}", "subject": "\u{1b}[2Jroot"});
    let rows = [
        row(605, 10, &json!({})),
        forged(900, &json!({})),
        forged(901, &hostile),
        forged(90_000, &json!({})),
        "{".into(),
    ];
    file(place, "decisions.ndjson", rows.concat());
    let (code, out, err) = run(
        place,
        "reconcile --ledger ledger --key ledger.vkey --decisions decisions.ndjson",
    );
    assert_eq!((code, err.as_str()), (1, ""));
    let expect = include_str!("report.txt");
    assert_eq!(
        out, expect,
        "the text for a person changed: if on purpose, tests/it/report.txt follows"
    );
    assert!(out.lines().count() <= 40 && !out.contains('\u{1b}'));
}

#[test]
fn the_help_is_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, _) = run(directory.path(), "reconcile --help");
    assert_eq!(code, 0);
    assert_eq!(
        out,
        include_str!("help.txt"),
        "the help changed: if on purpose, tests/it/help.txt follows"
    );
}
