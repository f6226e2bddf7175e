//! `cargo xtask corpus --peers`: what other verifiers make of the corpus, written to `docs/peers.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::FOLDER;
use super::case::{Basis, Case};
use super::differential;
use super::keys::Keys;
use super::table::{CLASSES, DIFFERENT, ROWS};

use crate::process::{cargo, command as program, limited, write};
use crate::run::{Log, Run};
use crate::{install, print, workspace};

const PATH: &str = "docs/peers.md";
const MADE: &str = "<!-- Made by `cargo xtask corpus --peers`. -->\n";
const RUNNERS: &str = "tests/peers/verify";
const BASES: [Basis; 3] = [Basis::Rfc, Basis::Profile, Basis::Policy];

/// `(name, how it is configured)`, in the order of the table.
const PEERS: &[(&str, &str)] = &[
    (
        "jsonwebtoken",
        "`decode` with the one key that `kid` names, its algorithm only, issuer, audience, required claims, `nbf`, typed claims",
    ),
    (
        "jose",
        "`jwtVerify` with the issuer's `createLocalJWKSet`, its algorithms, issuer, audience, `typ`, required claims, longest age",
    ),
    (
        "pyjwt",
        "`decode` with the one key that `kid` names, its algorithm only, issuer, audience, required claims, minimum key length",
    ),
    (
        "joserfc",
        "`jwt.decode` with the issuer's key set, its algorithms, and `JWTClaimsRegistry` with issuer, audience, essential claims",
    ),
    (
        "authlib",
        "`JsonWebToken.decode` with the issuer's key set, its algorithms, and the claims class for RFC 9068 with issuer, audience, essential claims",
    ),
];

/// One verifier and its answers.
struct Peer {
    name: String,
    version: String,
    runtime: String,
    configured: &'static str,
    /// Whether the case is let in.
    admits: BTreeMap<String, bool>,
}

/// Runs every peer and writes the page; true unless one of them could not be run.
pub(super) fn command(cases: &[Case], keys: Keys) -> Result<bool> {
    // None of them reads proofs: what a caller has to write himself is not asked for.
    let alone = |case: &&Case| case.request.is_none();
    let cases: Vec<&Case> = cases.iter().filter(alone).collect();
    let cases = cases.as_slice();
    let run = Run::start()?;
    let log = run.log("corpus peers")?;
    install(&log).with_context(|| format!("see {}", log.path.display()))?;
    let mut peers = Vec::new();
    for (name, configured) in PEERS {
        let peer = ask(name, configured, "cases.ndjson")?;
        ensure!(
            cases.iter().all(|case| peer.admits.contains_key(&case.id)),
            "{name} left cases out: is testdata/tokens current?"
        );
        print::out(&summary(&peer, cases));
        peers.push(peer);
    }
    let date = program("date")
        .args(["-u", "+%F"])
        .output()
        .context("cannot ask for the date")?;
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    let mut page = text(cases, &peers, &date);
    let answers = |name: &str, file: &str| Ok(ask(name, "", file)?.admits);
    page += &differential::section(keys, &["jose", "joserfc"], answers)?;
    write(&workspace::root().join(PATH), &page)?;
    print::out(&format!("wrote {PATH}"));
    Ok(true)
}

fn python() -> PathBuf {
    workspace::target_directory().join("xtask/peers-venv/bin/python")
}

/// Node and Python with the pinned libraries, the example of the Rust crate, and a clock that can be set.
fn install(log: &Log) -> Result<()> {
    install::programs(&["python3", "faketime"], log)?;
    install::node_modules(RUNNERS, log)?;
    let folder = workspace::root().join(RUNNERS);
    let python = python();
    if !python.exists() {
        let venv = workspace::target_directory().join("xtask/peers-venv");
        log.run(limited(120, "python3").args(["-m", "venv"]).arg(venv))?;
    }
    let mut pip = limited(300, &python.to_string_lossy());
    log.run(
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(folder.join("requirements.txt")),
    )?;
    log.run(cargo(600).args([
        "build",
        "--locked",
        "-p",
        "countersign-token",
        "--example",
        "jsonwebtoken_peer",
    ]))
}

/// Runs one peer at the time of the corpus: some of them take no clock.
fn ask(name: &str, configured: &'static str, file: &str) -> Result<Peer> {
    let root = workspace::root();
    let mut runner: Command = limited(300, "faketime");
    runner
        .current_dir(&root)
        .env("TZ", "UTC")
        .args(["-f", "2023-11-14 22:13:20"]);
    match name {
        "jsonwebtoken" => runner.arg(workspace::target_directory().join("debug/examples/jsonwebtoken_peer")),
        "jose" => runner.arg("node").arg(format!("{RUNNERS}/jose.mjs")),
        _ => runner.arg(python()).arg(format!("{RUNNERS}/peer.py")).arg(name),
    };
    let output = runner
        .args([FOLDER, file])
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    let mut lines = said.lines().map(serde_json::from_str::<Value>);
    let first = lines.next().with_context(|| format!("{name} says nothing"))??;
    let word = |line: &Value, member: &str| {
        line.get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut admits = BTreeMap::new();
    for line in lines {
        let line = line.with_context(|| format!("{name} does not answer in JSON"))?;
        admits.insert(word(&line, "id"), word(&line, "answer") == "admit");
    }
    Ok(Peer {
        name: word(&first, "peer"),
        version: word(&first, "version"),
        runtime: word(&first, "runtime"),
        configured,
        admits,
    })
}

impl Peer {
    fn admits(&self, case: &Case) -> bool {
        self.admits.get(&case.id).copied().unwrap_or(false)
    }

    /// How many bad tokens of this basis are let in, of how many.
    fn let_in(&self, cases: &[&Case], basis: Basis) -> (usize, usize) {
        let bad: Vec<_> = cases
            .iter()
            .filter(|case| case.reason.is_some() && case.basis == basis)
            .collect();
        (bad.iter().filter(|case| self.admits(case)).count(), bad.len())
    }

    /// How many good tokens are refused, of how many.
    fn kept_out(&self, cases: &[&Case]) -> (usize, usize) {
        let good: Vec<_> = cases.iter().filter(|case| case.reason.is_none()).collect();
        (good.iter().filter(|case| !self.admits(case)).count(), good.len())
    }
}

fn summary(peer: &Peer, cases: &[&Case]) -> String {
    let [rfc, profile, policy] = BASES.map(|basis| peer.let_in(cases, basis).0);
    let (refused, _) = peer.kept_out(cases);
    format!(
        "{} {}: lets in {rfc} (rfc) + {profile} (profile) + {policy} (policy), refuses {refused} good ones",
        peer.name, peer.version
    )
}

fn text(cases: &[&Case], peers: &[Peer], date: &str) -> String {
    let mut page = format!(
        "{}# What other verifiers make of the corpus\n\n\
         Run on {date} with `cargo xtask corpus --peers` over the {} cases of [corpus.md](corpus.md) that are a token\n\
         alone; the cases with a DPoP proof or a certificate beside it are left out, as none of these libraries reads one. Each library is configured as well as its\n\
         documentation advises and its interface allows: the issuer is looked up by the token's `iss` among those trusted for the resource, and only\n\
         that issuer's keys and algorithms are given; 30 s of clock difference. What a caller would have to write himself is not added. The\n\
         runners stand in `tests/peers/verify` and `crates/countersign-token/examples/jsonwebtoken_peer.rs`, versions pinned.\n\n\
         Not every difference is a fault. A case's **basis** says whose rule it is: **rfc**, a specification of JOSE or JWT demands the refusal;\n\
         **profile**, the specification of a profile does (RFC 9068, 9449, 8705, OAuth), which a general JWT library leaves to its caller;\n\
         **policy**, they leave the choice or say nothing, and the refusal is Countersign's own. Most bad tokens\n\
         here are signed by a trusted key: letting one in takes an issuer that can be confused, or a thief of keys. Where anybody could have made\n\
         the token, its title says so.\n\n\
         | verifier | bad ones let in: rfc | profile | policy | good ones refused | configured with |\n|---|--:|--:|--:|--:|---|\n",
        MADE,
        cases.len(),
    );
    let _ = writeln!(
        page,
        "| **Countersign** | {} | its reasons: [reasons.md](reasons.md) |",
        own_numbers(cases)
    );
    for peer in peers {
        let numbers = BASES
            .map(|basis| peer.let_in(cases, basis))
            .map(|(bad, all)| format!("{bad} of {all}"));
        let (refused, good) = peer.kept_out(cases);
        let _ = writeln!(
            page,
            "| {} {} ({}) | {} | {refused} of {good} | {} |",
            peer.name,
            peer.version,
            peer.runtime,
            numbers.join(" | "),
            peer.configured
        );
    }
    page.push_str("\nPyJWT, joserfc and jsonwebtoken have no option for `typ`; a caller can compare it, and then H13 and most of C09 are refused.\n\
         The good tokens that are refused are ML-DSA (K13, RFC 9964), which none of them verifies as installed here, and `Ed25519` in the\n\
         token of a key that is published as `EdDSA` (K04, RFC 9864).\n");
    rows(&mut page, cases, peers);
    each(&mut page, cases, peers);
    page
}

/// Countersign's own numbers; the tests hold it to them.
fn own_numbers(cases: &[&Case]) -> String {
    let differs = |case: &&Case| DIFFERENT.iter().any(|it| it.0 == case.id);
    let numbers = BASES.map(|basis| {
        let bad: Vec<_> = cases
            .iter()
            .filter(|case| case.reason.is_some() && case.basis == basis)
            .collect();
        format!(
            "{} of {}",
            bad.iter().filter(|case| differs(case)).count(),
            bad.len()
        )
    });
    let good: Vec<_> = cases.iter().filter(|case| case.reason.is_none()).collect();
    format!(
        "{} | {} of {}",
        numbers.join(" | "),
        good.iter().filter(|case| differs(case)).count(),
        good.len()
    )
}

fn heading(page: &mut String, first: &str, peers: &[Peer]) {
    let names: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
    let _ = writeln!(page, "{first} | {} |", names.join(" | "));
    let columns = first.matches('|').count() + peers.len();
    let _ = writeln!(page, "|{}", "---|".repeat(columns));
}

/// By row: how many bad tokens are let in.
fn rows(page: &mut String, cases: &[&Case], peers: &[Peer]) {
    page.push_str("\n## By row\n\nHow many of the bad tokens of a row are let in; empty: none.\n");
    for (letter, _, title) in CLASSES {
        let of_class = |row: &&super::table::Row| {
            let bad = cases
                .iter()
                .any(|case| case.row() == row.id && case.reason.is_some());
            row.id.starts_with(*letter) && bad
        };
        let rows: Vec<_> = ROWS.iter().filter(of_class).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(page, "\n### {title}\n");
        heading(page, "| row | what | bad", peers);
        for row in rows {
            let bad: Vec<_> = cases
                .iter()
                .filter(|case| case.row() == row.id && case.reason.is_some())
                .collect();
            let numbers =
                peers
                    .iter()
                    .map(|peer| match bad.iter().filter(|case| peer.admits(case)).count() {
                        0 => String::new(),
                        count => count.to_string(),
                    });
            let numbers: Vec<_> = numbers.collect();
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} |",
                row.id,
                row.title,
                bad.len(),
                numbers.join(" | ")
            );
        }
    }
}

/// Each case that a peer answers otherwise than published.
fn each(page: &mut String, cases: &[&Case], peers: &[Peer]) {
    page.push_str("\n## Case by case\n\nEach case that at least one answers otherwise: **in**, a bad token is let in; **out**, a good one is refused.\n");
    for (basis, title) in BASES.iter().zip(["rfc", "profile", "policy"]) {
        let _ = writeln!(page, "\n### Basis: {title}\n");
        heading(page, "| case | what", peers);
        for case in cases.iter().filter(|case| case.basis == *basis) {
            let expected = case.reason.is_none();
            if peers.iter().all(|peer| peer.admits(case) == expected) {
                continue;
            }
            let marks = peers.iter().map(|peer| match (peer.admits(case), expected) {
                (true, false) => "in",
                (false, true) => "out",
                _ => "",
            });
            let marks: Vec<_> = marks.collect();
            let _ = writeln!(page, "| {} | {} | {} |", case.id, case.title, marks.join(" | "));
        }
    }
}
