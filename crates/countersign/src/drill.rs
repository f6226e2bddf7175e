//! `countersign drill`: the 2023 incident on a closed local copy, before (a plain verifier) and after (Countersign).
//!
//! Everything is real: an authority, a ledger and a gate on a loopback port, keys read from its data directory as
//! a thief would, requests over HTTP, the decision log read back from its file. Only the clock is the drill's own.

mod attack;
mod plain;
mod report;
mod stage;

use crate::cli::Drill;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

pub(crate) fn run(arguments: &Drill, printer: Printer) -> Result<Exit, Failure> {
    let outcomes = crate::block_on(replay(arguments))??;
    if printer.json() {
        printer.document(&report::document(&outcomes));
    } else {
        printer.line(&report::screen(&outcomes, printer));
    }
    Ok(if report::passed(&outcomes) {
        Exit::Done
    } else {
        Exit::Refused
    })
}

async fn replay(arguments: &Drill) -> Result<Vec<attack::Outcome>, Failure> {
    let stage = stage::Stage::build(arguments.keep.as_deref()).await?;
    let outcomes = attack::all(&stage).await?;
    stage.clear().await;
    Ok(outcomes)
}
