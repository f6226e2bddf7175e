//! `countersign doctor`: what the machine and the data directory must offer, checked rather than assumed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::cli::Data;
use crate::clock;
use crate::failure::Exit;
use crate::printer::{Printer, Tone};

/// 2026-01-01T00:00:00Z: no machine that runs this version can truly show an earlier time.
const BUILT_AFTER: u64 = 1_767_225_600;
/// One group commit a probe; enough for a median that one slow write does not move.
const SYNC_PROBES: usize = 21;
/// A group commit is about this large under load.
const PROBE_BYTES: usize = 4096;

/// One thing looked at.
struct Finding {
    name: &'static str,
    good: bool,
    detail: String,
    hint: Option<&'static str>,
}

pub(crate) fn run(arguments: &Data, printer: Printer) -> Exit {
    let findings = [
        clock_finding(),
        sync_finding(&arguments.data),
        secrets_finding(&arguments.data),
    ];
    let good = findings.iter().all(|finding| finding.good);
    if printer.json() {
        let list: Vec<_> = findings
            .iter()
            .map(|each| json!({"name": each.name, "good": each.good, "detail": each.detail, "hint": each.hint}))
            .collect();
        printer.document(&json!({"good": good, "findings": list}));
    } else {
        for finding in &findings {
            print_finding(finding, printer);
        }
    }
    if good { Exit::Done } else { Exit::Refused }
}

fn print_finding(finding: &Finding, printer: Printer) {
    let mark = if finding.good {
        printer.paint(Tone::Good, "ok  ")
    } else {
        printer.paint(Tone::Bad, "bad ")
    };
    printer.line(&format!("{mark} {:<8} {}", finding.name, finding.detail));
    if let Some(hint) = finding.hint {
        printer.line(&format!("              hint: {hint}"));
    }
}

fn clock_finding() -> Finding {
    let now = clock::now();
    let good = now >= BUILT_AFTER;
    Finding {
        name: "clock",
        good,
        detail: format!("unix time {now}"),
        hint: (!good).then_some("the clock is in the past: tokens would not verify; set it and run NTP"),
    }
}

/// Measures what an append must wait for: one write and one `fdatasync` on the data directory's disk.
fn sync_finding(data: &Path) -> Finding {
    match median_sync_us(data) {
        Ok(median) => Finding {
            name: "fsync",
            good: true,
            detail: format!("{PROBE_BYTES} bytes are durable in {median} µs (median of {SYNC_PROBES})"),
            hint: None,
        },
        Err(error) => Finding {
            name: "fsync",
            good: false,
            detail: format!("cannot write durably in {}: {error}", data.display()),
            hint: Some("name a writable directory on a local disk with --data"),
        },
    }
}

fn median_sync_us(data: &Path) -> std::io::Result<u128> {
    let place = if data.is_dir() {
        data
    } else {
        data.parent().unwrap_or_else(|| Path::new("."))
    };
    let probe = place.join(".countersign-doctor");
    let result = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&probe)
        .and_then(|file| sync_times(&file));
    let _ = std::fs::remove_file(&probe);
    let mut times = result?;
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

fn sync_times(mut file: &File) -> std::io::Result<Vec<u128>> {
    let block = [0_u8; PROBE_BYTES];
    (0..SYNC_PROBES)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&block)?;
            file.sync_data()?;
            Ok(start.elapsed().as_micros())
        })
        .collect()
}

/// Everything that holds a secret, or says who did what, must be readable by its owner alone.
fn secrets_finding(data: &Path) -> Finding {
    let single = ["", "state.sqlite3", "decisions.ndjson", "ledger"].map(|name| data.join(name));
    let listed = ["seal", "keys", "clients"].map(|name| data.join(name));
    let inside = listed
        .iter()
        .filter_map(|directory| std::fs::read_dir(directory).ok())
        .flatten()
        .flatten();
    let all = single.into_iter().chain(inside.map(|entry| entry.path()));
    let open: Vec<String> = all
        .filter(|path| open_to_others(path))
        .map(|path| path.display().to_string())
        .collect();
    let detail = if open.is_empty() {
        "readable by their owner alone".to_owned()
    } else {
        open.join(", ")
    };
    let hint = "others can read these: chmod go= them, and rotate what they held";
    Finding {
        name: "secrets",
        good: open.is_empty(),
        detail,
        hint: (!open.is_empty()).then_some(hint),
    }
}

fn open_to_others(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}
