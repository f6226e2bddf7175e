//! `countersign ledger prove` and `check-proof`: receipts that need nobody's word.

use std::path::Path;

use countersign_ledger::Entry;
use countersign_ledger::policy::{Policy, Trusted};
use countersign_ledger::proof::{self, ProofError, TlogProof};
use serde_json::json;

use super::place::{Place, key_policy, read_policy, signatures_document, signatures_text};
use super::told::Told;
use crate::cli::{CheckProof, Prove};
use crate::config::read_text;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, Tone};
use crate::tiles::PublishedTiles;

/// Finds the entry by reading the log from its start: a look-up by fingerprint needs an index, which the gate has.
pub(super) fn prove(arguments: &Prove, printer: Printer) -> Result<Exit, Failure> {
    let wanted = arguments.fingerprint.as_deref().map(fingerprint).transpose()?;
    let place = Place::find(&arguments.place)?;
    let (newest, latest) = place.newest()?;
    let size = latest.checkpoint.size;
    let tiles = PublishedTiles::new(place.source.as_ref(), size);
    let (index, entry) = match (wanted, arguments.index) {
        (Some(wanted), _) => find(&tiles, &wanted)?.ok_or_else(|| {
            let message = format!("none of the {size} entries has this fingerprint");
            Failure::new(Exit::Refused, "never_issued", message)
        })?,
        (None, index) => at(&tiles, index.unwrap_or(u64::MAX), size)?,
    };
    let note = covering(&place, index, newest, latest)?;
    let (note, trusted) = note;
    let path = proof::inclusion(&place.tiles(), trusted.checkpoint.size, index).map_err(failed)?;
    let proof = TlogProof {
        extra: Some(entry.clone()),
        index,
        path,
        checkpoint: String::from_utf8_lossy(&note).into_owned(),
    };
    proof.check(&entry, place.policy()).map_err(failed)?;
    if printer.json() {
        printer.document(&json!({"index": index, "entry": hex::encode(&entry), "proof": proof.encode()}));
    } else {
        printer.line(proof.encode().trim_end());
    }
    Ok(Exit::Done)
}

/// The checkpoint to prove under: one with cosignatures if there is one that covers the entry, else the newest.
fn covering(
    place: &Place,
    index: u64,
    newest: Vec<u8>,
    latest: Trusted,
) -> Result<(Vec<u8>, Trusted), Failure> {
    if let Some((note, trusted)) = place.witnessed()?
        && index < trusted.checkpoint.size
    {
        return Ok((note, trusted));
    }
    // With a quorum in the policy the newest may have to wait for its witnesses.
    match place.policy().check(&newest) {
        Ok(_) => Ok((newest, latest)),
        Err(error) => Err(super::place::distrusted(&error)),
    }
}

fn find(tiles: &PublishedTiles<'_>, wanted: &[u8; 32]) -> Result<Option<(u64, Vec<u8>)>, Failure> {
    for bundle in 0..tiles.bundles() {
        for (index, entry) in tiles.entries(bundle)? {
            if fingerprint_of(&entry).as_ref() == Some(wanted) {
                return Ok(Some((index, entry)));
            }
        }
    }
    Ok(None)
}

fn at(tiles: &PublishedTiles<'_>, index: u64, size: u64) -> Result<(u64, Vec<u8>), Failure> {
    let outside = || {
        let error = ProofError::OutOfRange { size };
        Failure::new(Exit::Refused, error.code(), &error).maybe_hint(error.hint())
    };
    if index >= size {
        return Err(outside());
    }
    let mut entries = tiles.entries(index / 256)?.into_iter();
    entries.find(|(found, _)| *found == index).ok_or_else(outside)
}

/// Checks a receipt offline.
pub(super) fn check(arguments: &CheckProof, printer: Printer) -> Result<Exit, Failure> {
    let wanted = arguments.fingerprint.as_deref().map(fingerprint).transpose()?;
    let policy = trust(arguments)?;
    let proof = TlogProof::parse(&read_text(&arguments.file)?).map_err(failed)?;
    let entry = match (&arguments.entry, &proof.extra) {
        (Some(file), _) => read_bytes(file)?,
        (None, Some(extra)) => extra.clone(),
        (None, None) => {
            return Err(
                Failure::usage("entry_missing", "the proof does not carry its entry")
                    .hint("name it: --entry FILE"),
            );
        }
    };
    let trusted = proof.check(&entry, &policy).map_err(failed)?;
    if let Some(wanted) = wanted
        && fingerprint_of(&entry) != Some(wanted)
    {
        let message = "the proof is good, but for an entry with another fingerprint";
        return Err(Failure::new(Exit::Refused, "proof_of_another_token", message));
    }
    // The announcement of its key is another entry, which the receipt does not prove.
    let told = Told {
        index: proof.index,
        bytes: &entry,
        key: None,
    };
    if printer.json() {
        let mut document = told.document();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("origin".to_owned(), json!(trusted.checkpoint.origin));
            fields.insert("signed".to_owned(), signatures_document(&trusted));
        }
        printer.document(&document);
        return Ok(Exit::Done);
    }
    let verdict = printer.paint(Tone::Good, "recorded");
    printer.line(&format!(
        "{verdict}: entry {} of {} in {}",
        proof.index, trusted.checkpoint.size, trusted.checkpoint.origin
    ));
    printer.line(&format!("  entry     {}", told.text()));
    if let Some(names) = signatures_text(&trusted) {
        printer.line(&format!("  cosigned  {names}"));
    }
    Ok(Exit::Done)
}

fn trust(arguments: &CheckProof) -> Result<Policy, Failure> {
    let policy = arguments.policy.as_deref().map(read_policy).transpose()?;
    let key = match &arguments.key {
        Some(file) => Some(key_policy(&read_text(file)?)?),
        None => None,
    };
    match (policy, key) {
        (Some(policy), Some(key)) => Ok(key
            .logs()
            .iter()
            .fold(policy, |policy, log| policy.with_log(log.verifier.clone()))),
        (Some(policy), None) | (None, Some(policy)) => Ok(policy),
        (None, None) => Err(Failure::usage(
            "key_missing",
            "a proof is checked against a key or policy that you already hold",
        )
        .hint("name it: --key ledger.vkey or --policy policy.txt")),
    }
}

fn fingerprint_of(entry: &[u8]) -> Option<[u8; 32]> {
    match Entry::decode(entry) {
        Ok(Entry::Issuance(issuance)) => Some(issuance.fingerprint),
        _ => None,
    }
}

fn fingerprint(text: &str) -> Result<[u8; 32], Failure> {
    hex::decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            Failure::usage("fingerprint_malformed", "a fingerprint is 64 hex digits")
                .hint("the decision log and `countersign verify` print it")
        })
}

fn read_bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| {
        Failure::usage(
            "file_unreadable",
            format!("cannot read {}: {error}", file.display()),
        )
    })
}

#[expect(clippy::needless_pass_by_value, reason = "stands where an error is mapped")]
fn failed(error: ProofError) -> Failure {
    let exit = match error {
        ProofError::Io(_) => Exit::CannotTell,
        _ => Exit::Refused,
    };
    Failure::new(exit, error.code(), &error).maybe_hint(error.hint())
}
