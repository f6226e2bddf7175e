//! `countersign ledger`: show it, prove an entry, audit all of it.

mod audit;
mod place;
mod receipt;
mod told;
mod watch;
mod witness;

use std::path::Path;

use serde_json::json;

use self::place::{Place, own_policy, signatures_document, signatures_text};
use crate::cli::LedgerCommand;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

pub(crate) fn run(arguments: &LedgerCommand, printer: Printer) -> Result<Exit, Failure> {
    match arguments {
        LedgerCommand::Show(arguments) => {
            let place = Place::find(&arguments.place)?;
            match arguments.entry {
                Some(index) => watch::show(&place, index, printer),
                None => show(&place, printer),
            }
        }
        LedgerCommand::Prove(arguments) => receipt::prove(arguments, printer),
        LedgerCommand::CheckProof(arguments) => receipt::check(arguments, printer),
        LedgerCommand::Audit(arguments) => audit::run(arguments, printer),
        LedgerCommand::Watch(arguments) => watch::run(arguments, printer),
        LedgerCommand::Policy { directory } => policy(directory, printer),
        LedgerCommand::Witness(arguments) => witness::run(arguments, printer),
    }
}

fn show(place: &Place, printer: Printer) -> Result<Exit, Failure> {
    let (_, trusted) = place.newest()?;
    let checkpoint = &trusted.checkpoint;
    let root = hex::encode(checkpoint.root);
    if printer.json() {
        printer.document(&json!({
            "origin": checkpoint.origin, "size": checkpoint.size, "root": root, "key": place.verifier_key,
            "signed": signatures_document(&trusted),
        }));
        return Ok(Exit::Done);
    }
    printer.line(&format!("origin    {}", checkpoint.origin));
    printer.line(&format!("size      {}", checkpoint.size));
    printer.line(&format!("root      {root}"));
    printer.line(&format!("key       {}", place.verifier_key));
    if let Some(names) = signatures_text(&trusted) {
        printer.line(&format!("cosigned  {names}"));
    }
    Ok(Exit::Done)
}

/// A ledger's own keys as a policy, to which its readers add the witnesses that they trust.
fn policy(directory: &Path, printer: Printer) -> Result<Exit, Failure> {
    let policy = own_policy(directory)?;
    let text = String::from_utf8_lossy(&policy.encode()).into_owned();
    if printer.json() {
        printer.document(&json!({"policy": text}));
    } else {
        printer.line(text.trim_end());
    }
    Ok(Exit::Done)
}
