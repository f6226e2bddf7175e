//! `countersign ledger`: show it, prove an entry, audit all of it.

mod audit;

use std::path::PathBuf;

use countersign_ledger::audit::{DirectorySource, Source, SourceError};
use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::proof::{self, TlogProof};
use countersign_ledger::{Entry, Verifier};
use serde_json::json;

use crate::cli::{LedgerCommand, LedgerPlace};
use crate::config::read_text;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::tiles::{HttpSource, PublishedTiles};

pub(crate) fn run(arguments: &LedgerCommand, printer: Printer) -> Result<Exit, Failure> {
    match arguments {
        LedgerCommand::Show(place) => show(&Place::find(place)?, printer),
        LedgerCommand::Prove { place, fingerprint } => prove(&Place::find(place)?, fingerprint, printer),
        LedgerCommand::Audit(arguments) => audit::run(arguments, printer),
    }
}

/// Where a ledger is read from, and the key it must be signed with.
struct Place {
    source: Box<dyn Source + Sync>,
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
        extra: None,
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
