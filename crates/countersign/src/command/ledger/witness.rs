//! `countersign ledger witness`: an independent pair of eyes for other people's ledgers.

use std::path::Path;
use std::sync::Arc;

use countersign_authority::witness_seed;
use countersign_ledger::Cosigner;
use countersign_ledger::witness::{Witness, http};
use tokio::net::TcpListener;

use super::place::read_policy;
use crate::cli::RunWitness;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::serve::{start_log, stop_signal};
use crate::{clock, listener};

/// The public keys, one a line, for whoever writes a policy. Written last, so that it says that the key was made.
const KEYS: &str = "witness.vkey";

pub(super) fn run(arguments: &RunWitness, printer: Printer) -> Result<Exit, Failure> {
    let policy = read_policy(&arguments.logs)?;
    if policy.logs().is_empty() {
        return Err(
            Failure::usage("policy_log_missing", "the policy lists no log to witness for")
                .hint("add a line for each ledger: log VKEY"),
        );
    }
    start_log();
    let socket = listener::bind(arguments.listen)?;
    let cosigners = cosigners(&arguments.data, &arguments.name)?;
    let witness = Witness::open(&arguments.data.join("state"), &policy, cosigners)
        .map_err(|error| Failure::unavailable(error.code(), &error).maybe_hint(error.hint()))?;
    for log in policy.logs() {
        printer.line(&format!("log      {}", log.verifier.name()));
    }
    for verifier in witness.verifiers() {
        printer.line(&format!("witness  {verifier}"));
    }
    crate::block_on(serve(socket, witness, printer))?
}

async fn serve(socket: std::net::TcpListener, witness: Witness, printer: Printer) -> Result<Exit, Failure> {
    let unusable = |error| {
        Failure::fault(
            "listen_failed",
            format!("cannot use the listening socket: {error}"),
        )
    };
    let listener = TcpListener::from_std(socket).map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let stop = stop_signal()?;
    printer.line(&format!(
        "Witnessing at http://{address}/add-checkpoint. Stop with Ctrl-C."
    ));
    let router = http::router(Arc::new(witness), clock::system().seconds);
    listener::serve(listener, router, stop).await;
    Ok(Exit::Done)
}

/// The witness's keys, made at its first start.
fn cosigners(data: &Path, name: &str) -> Result<Vec<Cosigner>, Failure> {
    let published = data.join(KEYS);
    let _lock = crate::instance::lock(data)?;
    let is_new = !published.exists();
    let seed = witness_seed(data, is_new)
        .map_err(|error| Failure::unavailable(error.code(), &error).maybe_hint(error.hint()))?;
    let cosigners = Cosigner::witness(name, &seed)
        .map_err(|error| Failure::usage(error.code(), error).maybe_hint(error.hint()))?;
    let keys: Vec<String> = cosigners
        .iter()
        .map(|cosigner| cosigner.verifier().to_string())
        .collect();
    let keys = keys.join("\n") + "\n";
    let written = countersign_ledger::monitor::StateFile::new(&published).and_then(|file| {
        if file.load()?.as_deref() == Some(keys.as_bytes()) {
            return Ok(());
        }
        file.store(keys.as_bytes())
    });
    written.map_err(|error| {
        Failure::unavailable(
            "data_unusable",
            format!("cannot write {}: {error}", published.display()),
        )
    })?;
    Ok(cosigners)
}
