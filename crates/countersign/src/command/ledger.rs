//! `countersign ledger`: show it, prove an entry, audit all of it.

use std::path::PathBuf;

use countersign_ledger::audit::{
    AuditError, DirectorySource, Report, Source, SourceError, audit, audit_directory,
};
use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::proof::{self, TlogProof};
use countersign_ledger::{Entry, Verifier};
use serde_json::{Value, json};

use crate::cli::{LedgerCommand, LedgerPlace};
use crate::config::read_text;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};
use crate::tiles::{HttpSource, PublishedTiles};

pub(crate) fn run(arguments: &LedgerCommand, printer: Printer) -> Result<Exit, Failure> {
    match arguments {
        LedgerCommand::Show(place) => show(&Place::find(place)?, printer),
        LedgerCommand::Prove { place, fingerprint } => prove(&Place::find(place)?, fingerprint, printer),
        LedgerCommand::Audit(place) => run_audit(&Place::find(place)?, printer),
    }
}

/// Where a ledger is read from, and the key it must be signed with.
struct Place {
    source: Box<dyn Source>,
    /// Set for a directory: its journal can be compared too.
    directory: Option<PathBuf>,
    verifier_key: String,
}

impl Place {
    /// A directory brings its own key; a URL must not: whoever serves a log could serve a key to match.
    fn find(arguments: &LedgerPlace) -> Result<Self, Failure> {
        let key = arguments.key.as_deref().map(read_text).transpose()?;
        if arguments.place.starts_with("http://") || arguments.place.starts_with("https://") {
            let key = key.ok_or_else(|| {
                Failure::usage("key_missing", "a ledger read from a URL is checked against a key that you already hold")
                    .hint("name the file with its vkey: --key ledger.vkey (the log's owner publishes it; so does its /key)")
            })?;
            let source = Box::new(HttpSource::new(&arguments.place)?);
            return Ok(Self {
                source,
                directory: None,
                verifier_key: key.trim().to_owned(),
            });
        }
        let directory = PathBuf::from(&arguments.place);
        if !directory.is_dir() {
            return Err(Failure::unavailable(
                "ledger_missing",
                format!("{} is no directory", directory.display()),
            )
            .hint("name the ledger's directory or URL, for example ./countersign-data/ledger"));
        }
        let key = key.map_or_else(|| read_text(&directory.join("key.vkey")), Ok)?;
        let source = Box::new(DirectorySource::new(&directory));
        Ok(Self {
            source,
            directory: Some(directory),
            verifier_key: key.trim().to_owned(),
        })
    }

    fn verifier(&self) -> Result<Verifier, Failure> {
        Verifier::parse(&self.verifier_key)
            .map_err(|error| Failure::usage(error.code(), error).maybe_hint(error.hint()))
    }

    /// The latest checkpoint as served, and what it says once its signature holds.
    fn checkpoint(&self) -> Result<(String, Checkpoint), Failure> {
        let note = read(self.source.as_ref(), "checkpoint")?;
        let checkpoint = Checkpoint::open(&note, &self.verifier()?)
            .map_err(|error| Failure::new(Exit::Refused, error.code(), error).maybe_hint(error.hint()))?;
        Ok((String::from_utf8_lossy(&note).into_owned(), checkpoint))
    }
}

fn read(source: &dyn Source, path: &str) -> Result<Vec<u8>, Failure> {
    let missing = || Failure::unavailable("ledger_missing", format!("the ledger has no {path}"));
    source
        .read(path)
        .map_err(|error| unreadable(&error))?
        .ok_or_else(missing)
}

fn unreadable(error: &SourceError) -> Failure {
    Failure::unavailable("ledger_unreadable", error)
        .hint("check the address, or that you may read the directory")
}

fn show(place: &Place, printer: Printer) -> Result<Exit, Failure> {
    let (_, checkpoint) = place.checkpoint()?;
    let root = hex::encode(checkpoint.root);
    if printer.json() {
        printer.document(&json!({
            "origin": checkpoint.origin, "size": checkpoint.size, "root": root, "key": place.verifier_key,
        }));
    } else {
        printer.line(&format!("origin  {}", checkpoint.origin));
        printer.line(&format!("size    {}", checkpoint.size));
        printer.line(&format!("root    {root}"));
        printer.line(&format!("key     {}", place.verifier_key));
    }
    Ok(Exit::Done)
}

fn run_audit(place: &Place, printer: Printer) -> Result<Exit, Failure> {
    let report = match &place.directory {
        Some(directory) => audit_directory(directory, &place.verifier_key),
        None => audit(place.source.as_ref(), &place.verifier_key),
    };
    let report = report.map_err(|error| audit_failure(&error))?;
    if printer.json() {
        printer.document(&document(&report));
    } else {
        print(&report, printer);
    }
    Ok(Exit::Done)
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
        "root": hex::encode(report.root),
        "issuances": issuances,
        "key_events": key_events,
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

fn print(report: &Report, printer: Printer) {
    let issuances: u64 = report.issuances.values().sum();
    let key_events: u64 = report.key_events.values().sum();
    let verdict = printer.paint(Tone::Good, "the ledger is whole");
    printer.line(&format!("{verdict}: {} of {}", report.size, report.origin));
    printer.line(&format!("  root     {}", hex::encode(report.root)));
    printer.line(&format!(
        "  entries  {issuances} issuances, {key_events} key events, every one decoded"
    ));
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

/// Finds the entry by reading the log from its start: a look-up by fingerprint needs an index, which the gate has.
fn prove(place: &Place, fingerprint: &str, printer: Printer) -> Result<Exit, Failure> {
    let wanted: [u8; 32] = hex::decode(fingerprint)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            Failure::usage("fingerprint_malformed", "a fingerprint is 64 hex digits")
                .hint("the decision log and `countersign verify` print it")
        })?;
    let (note, checkpoint) = place.checkpoint()?;
    let tiles = PublishedTiles::new(place.source.as_ref(), checkpoint.size);
    let Some((index, entry)) = find(&tiles, &wanted)? else {
        let message = format!("none of the {} entries has this fingerprint", checkpoint.size);
        return Err(Failure::new(Exit::Refused, "never_issued", message));
    };
    let failed =
        |error: proof::ProofError| Failure::new(Exit::Refused, error.code(), &error).maybe_hint(error.hint());
    let path = proof::inclusion(&tiles, checkpoint.size, index).map_err(failed)?;
    let proof = TlogProof {
        index,
        path,
        checkpoint: note,
    };
    proof.verify(&entry, &place.verifier()?).map_err(failed)?;
    if printer.json() {
        printer.document(&json!({"index": index, "entry": hex::encode(&entry), "proof": proof.encode()}));
    } else {
        printer.line(proof.encode().trim_end());
    }
    Ok(Exit::Done)
}

fn find(tiles: &PublishedTiles<'_>, wanted: &[u8; 32]) -> Result<Option<(u64, Vec<u8>)>, Failure> {
    for bundle in 0..tiles.bundles() {
        for (index, entry) in tiles.entries(bundle)? {
            if let Ok(Entry::Issuance(issuance)) = Entry::decode(&entry)
                && issuance.fingerprint == *wanted
            {
                return Ok(Some((index, entry)));
            }
        }
    }
    Ok(None)
}
