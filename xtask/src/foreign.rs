//! Other people's verifiers, a witness and a log of another make, around the real binary.
//!
//! Our server writes a log over HTTP. Each verifier must accept it, by URL and as files, and find each of a set of
//! damages; our own auditor is judged beside them, also on a log that Tessera wrote. Who finds what is
//! `docs/foreign-verifiers.md`: made by `cargo xtask foreign`, compared by `cargo xtask test foreign`.

mod damage;
mod log;
mod page;
mod server;
mod tools;
mod witness;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use self::damage::{DAMAGES, Damage};
pub(crate) use self::log::Log;
use self::page::Row;
use self::server::Authority;
pub(crate) use self::server::{fresh_folder, issuer};
pub(crate) use self::tools::{Tools, Verdict, countersign};
use self::witness::Make;
use crate::process::{cargo, command, free_port, write};
use crate::run::Run;
use crate::{Usage, workspace};

/// More than a full level-1 tile holds, so that there is a tile of level 2.
const TOKENS: u32 = 65_700;
/// What is issued after a copy was taken: the same number by each of the two that then exist.
const MORE: u32 = 300;

/// `cargo xtask foreign`: runs the area and writes the page.
pub(crate) fn command_line(arguments: &[String]) -> Result<bool> {
    if let Some(unknown) = arguments.first() {
        return Err(Usage(format!("foreign takes no {unknown:?}")).into());
    }
    let mut run = Run::start()?;
    let rows = area(&mut run);
    run.step("foreign: docs/foreign-verifiers.md is written", |_| {
        write(
            &workspace::root().join(page::PATH),
            &page::render(&rows.context("not everything was seen")?),
        )?;
        Ok(String::new())
    });
    Ok(run.finish())
}

/// The area of `cargo xtask test`.
pub(crate) fn run(run: &mut Run) {
    let rows = area(run);
    run.step("foreign: who finds what is as the page says", |_| {
        let page = std::fs::read_to_string(workspace::root().join(page::PATH)).unwrap_or_default();
        let rows = rows.context("not everything was seen")?;
        ensure!(
            page == page::render(&rows),
            "{} differs from what was seen: `cargo xtask foreign` renews it",
            page::PATH
        );
        Ok(format!("{} damages", rows.len()))
    });
}

fn area(run: &mut Run) -> Option<Vec<Row>> {
    let mut tools = None;
    run.step("foreign: go, the pinned modules, their programs", |log| {
        tools = Some(Tools::build(log)?);
        Ok(String::new())
    });
    let tools = tools?;
    let mut build = cargo(1500);
    build.args(["build", "--locked", "--release", "-p", "countersign"]);
    run.command("foreign: countersign builds", build).then_some(())?;
    let mut site = None;
    run.step("foreign: our server writes a log, read while it runs", |_| {
        let (made, note) = Site::make(&tools)?;
        site = Some(made);
        Ok(note)
    });
    let site = site?;
    run.step("foreign: all accept it as files", |_| accepted(&tools, &site.log))
        .then_some(())?;
    run.step("foreign: torchwood verifies our proof and policy", |_| {
        proofs(&tools, &site)
    })
    .then_some(())?;
    let mut rows = Vec::new();
    run.step("foreign: damages, each shown to everybody", |log| {
        tools.remember(&site)?;
        for damage in DAMAGES {
            rows.push(show(&tools, &site, damage, log)?);
        }
        Ok(format!("{} damages, ours finds each", rows.len()))
    })
    .then_some(())?;
    run.step("foreign: our audit of a log that Tessera wrote", |log| {
        tessera(&tools, &site, log)
    })
    .then_some(())?;
    run.step("foreign: litewitness cosigns, and refuses a fork", |log| {
        witness::drill(&tools, &site, log, Make::Litewitness)
    })
    .then_some(())?;
    run.step("foreign: our witness does for torchwood's client", |log| {
        witness::drill(&tools, &site, log, Make::Ours)
    })
    .then_some(())?;
    run.step("foreign: our server asks litewitness", |log| {
        witness::asked_by_us(&tools, &site, log)
    })
    .then_some(())?;
    Some(rows)
}

/// The logs of one run.
struct Site {
    folder: std::path::PathBuf,
    /// The ledger of the server, at rest.
    log: Log,
    /// What the same key signed for as many entries, the last of them others: a copy that was started, too.
    fork: Log,
    /// A checkpoint from before.
    older: std::path::PathBuf,
    /// The newest of `log`, kept apart.
    newest: std::path::PathBuf,
    /// A token in the log.
    fingerprint: String,
    /// The port that the log is named after.
    port: u16,
}

impl Site {
    fn make(tools: &Tools) -> Result<(Self, String)> {
        let folder = fresh_folder("log")?;
        let (data, copy) = (folder.join("data"), folder.join("copy"));
        let port = free_port()?;
        let mut authority = Authority::start(&data, &folder, port)?;
        let started = std::time::Instant::now();
        authority.issue(tools, TOKENS)?;
        let rate = f64::from(TOKENS) / started.elapsed().as_secs_f64();
        let key = data.join("ledger/key.vkey");
        authority.wait_until_published()?;
        accepted(tools, &Log::at_url(&authority.ledger_url(), &key))?;
        authority.stop()?;
        let older = folder.join("older-checkpoint");
        std::fs::copy(data.join("ledger/checkpoint"), &older).context("there is no checkpoint")?;
        ensure!(
            command("cp").arg("-a").args([&data, &copy]).status()?.success(),
            "the copy failed"
        );
        let fingerprint = go_on(tools, &data, &folder, port)?;
        go_on(tools, &copy, &folder, port)?;
        let (log, fork) = (
            Log::in_folder(&data.join("ledger")),
            Log::in_folder(&copy.join("ledger")),
        );
        ensure!(
            log.size()? == fork.size()?,
            "the copy has {} entries, not {}",
            fork.size()?,
            log.size()?
        );
        let newest = folder.join("newest-checkpoint");
        std::fs::copy(log.folder().join("checkpoint"), &newest).context("there is no checkpoint")?;
        let note = format!("{} entries, {rate:.0} tokens/s over HTTP", log.size()?);
        let site = Self {
            folder,
            log,
            fork,
            older,
            newest,
            fingerprint,
            port,
        };
        Ok((site, note))
    }
}

/// Starts the server again, has it issue some more tokens, and stops it. The fingerprint of one of them.
fn go_on(tools: &Tools, data: &Path, folder: &Path, port: u16) -> Result<String> {
    let mut authority = Authority::start(data, folder, port)?;
    let fingerprint = authority.issue(tools, MORE)?;
    authority.stop()?;
    Ok(fingerprint)
}

fn accepted(tools: &Tools, log: &Log) -> Result<String> {
    for (name, verdict) in tools.everybody(log)? {
        ensure!(
            verdict == Verdict::Passes,
            "{name} does not accept it: {verdict:?}"
        );
    }
    Ok(format!("{} entries", log.size()?))
}

/// A receipt of ours, a policy of ours; and that the verifier would have noticed.
fn proofs(tools: &Tools, site: &Site) -> Result<String> {
    let policy = site.folder.join("policy");
    write(
        &policy,
        &format!("# who is believed\nlog {}\nquorum none\n", site.log.vkey()?),
    )?;
    let receipt = tools.receipt(&site.log, &site.fingerprint, &policy)?;
    let proof = site.folder.join("receipt.tlog-proof");
    write(&proof, &receipt.proof)?;
    let passes = |entry: &str, proof: &Path, policy: &Path| tools.proof(&site.log, entry, proof, policy);
    ensure!(
        passes(&receipt.entry, &proof, &policy)? == Verdict::Passes,
        "torchwood refuses our proof"
    );
    let other_entry = format!("{}00", receipt.entry);
    ensure!(
        passes(&other_entry, &proof, &policy)? != Verdict::Passes,
        "torchwood takes it for another entry"
    );
    let damaged = site.folder.join("damaged.tlog-proof");
    write(&damaged, &receipt.proof.replacen("index ", "index 1", 1))?;
    ensure!(
        passes(&receipt.entry, &damaged, &policy)? != Verdict::Passes,
        "torchwood takes another index"
    );
    let stranger = site.folder.join("stranger-policy");
    write(&stranger, &format!("log {}\nquorum none\n", tools::STRANGER))?;
    ensure!(
        passes(&receipt.entry, &proof, &stranger)? != Verdict::Passes,
        "torchwood takes another log's key"
    );
    Ok("and refuses another entry, index, key".to_owned())
}

/// Shows one damage to everybody. Ours must find it; what the others do is written down.
fn show(tools: &Tools, site: &Site, damage: &'static Damage, log: &crate::run::Log) -> Result<Row> {
    let work = damage.apply(site)?;
    let found = Row {
        damage,
        verdicts: tools.all_columns(&work, site)?,
    };
    drop(work);
    log.line(&format!("{}: {:?}", damage.name, found.verdicts))?;
    for (name, verdict) in &found.verdicts {
        // Who remembers does not read again what it has read; who does not remember cannot see these.
        let remembers = name.ends_with("state");
        let must = name.starts_with("countersign") && remembers != damage.without_memory;
        ensure!(!must || verdict.found(), "{name} does not find: {}", damage.name);
    }
    Ok(found)
}

/// The monitor shows each entry of a log whose entries it cannot read.
fn watched(tools: &Tools, theirs: &Log) -> Result<()> {
    let lines = tools
        .watch(theirs)?
        .map_err(|words| anyhow::anyhow!("the monitor refuses it: {words}"))?;
    let size = theirs.size()?;
    ensure!(
        u64::try_from(lines)? == size,
        "the monitor shows {lines} entries of {size}"
    );
    Ok(())
}

/// A log of another make: our auditor accepts it, and finds what the others find.
fn tessera(tools: &Tools, site: &Site, log: &crate::run::Log) -> Result<String> {
    let folder = site.folder.join("tessera");
    tools.write_tessera(&folder, 66_000)?;
    let theirs = Log::in_folder(&folder);
    accepted(tools, &theirs)?;
    let at = |log: &Log| tools.audit(log, &["--opaque"]);
    ensure!(
        at(&theirs)? == Verdict::Passes,
        "our auditor does not accept it: {:?}",
        at(&theirs)?
    );
    let mut shown = 0;
    for damage in DAMAGES.iter().filter(|it| it.without_memory) {
        let work = damage.apply_to(&theirs, site)?;
        let (ours, fsck) = (at(&work.log)?, tools.fsck(&work.log)?);
        log.line(&format!("{}: ours {ours:?}, fsck {fsck:?}", damage.name))?;
        ensure!(ours.found(), "our auditor does not find: {}", damage.name);
        shown += 1;
    }
    watched(tools, &theirs)?;
    let mut unseen = Vec::new();
    for damage in DAMAGES.iter().filter(|it| it.without_memory) {
        let work = damage.apply_to(&theirs, site)?;
        if tools.watch(&work.log)?.is_ok() {
            unseen.push(damage.name);
        }
    }
    // A monitor reads the entries and what proves them; who wants every tile judged audits.
    log.line(&format!("not needed by the monitor: {unseen:?}"))?;
    Ok(format!("{shown} damages found; the monitor reads it"))
}
