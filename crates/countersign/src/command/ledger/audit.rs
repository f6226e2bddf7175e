//! `countersign ledger audit`: all of a log, checked by the second implementation.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use countersign_ledger::audit::{
    AuditError, Options, Progress, Report, State, audit_directory_with, audit_with,
};
use countersign_ledger::checkpoint::Checkpoint;
use serde_json::{Value, json};

use super::place::{Place, signatures_document, signatures_text};
use crate::cli::LedgerAudit;
use crate::config::read_text;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};

/// How often the state is written, and progress shown.
const KEEP_EVERY: Duration = Duration::from_secs(5);
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// Requests to a server at once. More would be a burden to it, and two cores hash what these bring.
const REQUESTS: usize = 16;

pub(super) fn run(arguments: &LedgerAudit, printer: Printer) -> Result<Exit, Failure> {
    let place = Place::find(&arguments.place)?;
    let earlier = match &arguments.state {
        Some(path) => earlier_state(path)?,
        None => None,
    };
    let mut watch = Watch {
        shown: (arguments.progress || printer.is_watched()).then(Instant::now),
        kept: Instant::now(),
        file: arguments.state.as_deref(),
        printer,
        trouble: None,
    };
    let mut progress = |progress: &Progress<'_>| watch.tell(progress);
    let options = Options {
        threads: match place.directory {
            Some(_) => std::thread::available_parallelism().map_or(1, usize::from),
            None => REQUESTS,
        },
        opaque: arguments.opaque,
        resume: earlier.as_ref(),
        progress: Some(&mut progress),
    };
    let result = match &place.directory {
        // Somebody else's log has no journal of ours.
        Some(directory) if !arguments.opaque => audit_directory_with(directory, &place.verifier_key, options),
        _ => audit_with(place.source.as_ref(), &place.verifier_key, options),
    };
    watch.end();
    let (report, state) = result.map_err(|error| audit_failure(&error))?;
    if let Some(trouble) = watch.trouble {
        return Err(trouble);
    }
    let quorum = place.check_quorum(&Checkpoint {
        origin: report.origin.clone(),
        size: report.size,
        root: report.root,
    })?;
    if let Some(path) = &arguments.state {
        keep(path, &state)?;
    }
    if printer.json() {
        let mut document = document(&report);
        if let (Some(trusted), Some(fields)) = (&quorum, document.as_object_mut()) {
            fields.insert("quorum".to_owned(), signatures_document(trusted));
        }
        printer.document(&document);
    } else {
        print(&report, arguments.opaque, printer);
        if let Some(names) = quorum.as_ref().and_then(signatures_text) {
            printer.line(&format!("  quorum   the same history is cosigned by {names}"));
        }
    }
    Ok(Exit::Done)
}

/// Shows how far the audit is, and keeps what an interruption must not cost.
struct Watch<'a> {
    /// When progress was last shown; unset where nobody looks.
    shown: Option<Instant>,
    kept: Instant,
    file: Option<&'a Path>,
    printer: Printer,
    trouble: Option<Failure>,
}

impl Watch<'_> {
    fn tell(&mut self, progress: &Progress<'_>) {
        if let Some(shown) = &mut self.shown
            && shown.elapsed() >= SHOW_EVERY
        {
            *shown = Instant::now();
            let percent = progress.done.saturating_mul(100) / progress.size.max(1);
            self.printer.progress(&format!(
                "{} of {} entries ({percent} %)",
                progress.done, progress.size
            ));
        }
        if let Some(path) = self.file
            && self.kept.elapsed() >= KEEP_EVERY
        {
            self.kept = Instant::now();
            self.trouble = keep(path, &progress.state()).err();
        }
    }

    fn end(&self) {
        if self.shown.is_some() {
            self.printer.progress("");
        }
    }
}

/// What an earlier audit has left; nothing when there is no such file yet.
fn earlier_state(path: &Path) -> Result<Option<State>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let damaged = || {
        Failure::usage(
            "audit_state_damaged",
            format!("{} is no state of an audit, or was changed", path.display()),
        )
        .hint(
            "without it a log that shrank or changed its past is not found: restore it, or name another file",
        )
    };
    State::decode(&read_text(path)?).map(Some).ok_or_else(damaged)
}

/// Replaces the file; a crash leaves the old or the new one.
fn keep(path: &Path, state: &State) -> Result<(), Failure> {
    let beside = path.with_added_extension("tmp");
    let written = File::create(&beside)
        .and_then(|mut file| {
            file.write_all(state.encode().as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        let text = format!("cannot write {}: {error}", path.display());
        Failure::unavailable("audit_state_unwritable", text)
    })
}

/// Not being able to look is no finding.
fn audit_failure(error: &AuditError) -> Failure {
    let exit = match error {
        AuditError::Source(_) => Exit::CannotTell,
        AuditError::KeyMalformed => Exit::Usage,
        _ => Exit::Refused,
    };
    Failure::new(exit, error.code(), error).maybe_hint(error.hint())
}

fn document(report: &Report) -> Value {
    let issuances: serde_json::Map<_, _> = report
        .issuances
        .iter()
        .map(|(kind, count)| (kind.as_str().to_owned(), json!(count)))
        .collect();
    let key_events: serde_json::Map<_, _> = report
        .key_events
        .iter()
        .map(|(state, count)| (state.as_str().to_owned(), json!(count)))
        .collect();
    json!({
        "origin": report.origin,
        "size": report.size,
        "resumed_at": report.resumed_at,
        "root": hex::encode(report.root),
        "issuances": issuances,
        "key_events": key_events,
        "fences": report.fences,
        "denials": report.denials,
        "response_actions": report.response_actions,
        "bundles_checked": report.bundles_checked,
        "tiles_checked": report.tiles_checked,
        "journal": report.journal.as_ref().map(|journal| json!({
            "segments": journal.segments,
            "batches": journal.batches,
            "entries": journal.entries,
            "running": journal.running,
        })),
    })
}

fn print(report: &Report, opaque: bool, printer: Printer) {
    let issuances: u64 = report.issuances.values().sum();
    let key_events: u64 = report.key_events.values().sum();
    let entries = if opaque {
        "hashed, not read".to_owned()
    } else {
        let others = [
            (report.fences, "fences"),
            (report.denials, "denials"),
            (report.response_actions, "response actions"),
        ];
        let mut parts = vec![
            format!("{issuances} issuances, each under a key that was active"),
            format!("{key_events} key events"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        parts.extend(others.map(|(count, name)| format!("{count} {name}")));
        parts.join(", ")
    };
    let verdict = printer.paint(Tone::Good, "the ledger is whole");
    printer.line(&format!("{verdict}: {} of {}", report.size, report.origin));
    printer.line(&format!("  root     {}", hex::encode(report.root)));
    printer.line(&format!("  entries  {entries}"));
    if report.resumed_at > 0 {
        printer.line(&format!(
            "           {} of them by an earlier audit",
            report.resumed_at
        ));
    }
    printer.line(&format!(
        "  tiles    {} bundles and {} tiles recomputed",
        report.bundles_checked, report.tiles_checked
    ));
    if let Some(journal) = &report.journal {
        printer.line(&format!(
            "  journal  {} entries in {} batches, the same as the tiles",
            journal.entries, journal.batches
        ));
        if journal.running {
            printer.line("           a writer is running: its newest entries may not be published yet");
        }
    }
}
