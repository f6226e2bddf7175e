//! `cargo xtask corpus`: the bad-token corpus in `testdata/tokens`, and what its peers make of it.
//!
//! Every file there but the private test keys is made here, from those keys, at one fixed time. What is made is a
//! function of the sources: `--check` makes it again in memory and compares every byte.

mod case;
mod differential;
mod keys;
mod page;
mod peers;
mod rows;
mod rsa;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::case::{Case, Cases};
use self::keys::Keys;
use crate::process::write;
use crate::workspace::Workspace;
use crate::{Usage, print, workspace};

const FOLDER: &str = "testdata/tokens";
const KEYS: &str = "testdata/tokens/test-only-private-keys.jwks.json";
const SIGNATURES: &str = "testdata/tokens/signatures.json";

/// Runs the command; true means that the files are (now) what the sources say.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let checkout = Workspace::load(&workspace::root())?;
    match arguments.as_slice() {
        [] => write_all(&checkout),
        ["--check"] => check(&checkout),
        ["--peers"] => peers::command(&make(&checkout)?.cases, read_keys(&checkout)?),
        _ => Err(Usage("corpus takes --check or --peers".to_owned()).into()),
    }
}

/// What is made: the cases, and every file as `(path, text)`.
struct Made {
    cases: Vec<Case>,
    files: Vec<(String, String)>,
    new_signatures: usize,
}

fn read_keys(checkout: &Workspace) -> Result<Keys> {
    let text = |path: &str| checkout.file(path).map(|file| file.text.as_str());
    let private = text(KEYS).with_context(|| format!("{KEYS} is missing: take it from git"))?;
    Keys::read(private, text(SIGNATURES).unwrap_or("{}"))
}

fn make(checkout: &Workspace) -> Result<Made> {
    let mut keys = read_keys(checkout)?;
    let issuers = world::issuers(&mut keys);
    let mut cases = Cases {
        keys,
        list: Vec::new(),
    };
    rows::make(&mut cases);
    let (signatures, new_signatures) = cases.keys.finish()?;
    let cases = cases.list;
    are_complete(&cases)?;
    tests_exist(checkout)?;
    let mut files = vec![
        (SIGNATURES.to_owned(), signatures),
        (format!("{FOLDER}/cases.ndjson"), lines(&cases)?),
        (format!("{FOLDER}/different.json"), different()?),
        (format!("{FOLDER}/README.md"), page::readme(&cases)),
        (page::PATH.to_owned(), page::page(&cases)),
    ];
    files.extend(
        world::files(&issuers)
            .into_iter()
            .map(|(name, text)| (format!("{FOLDER}/{name}"), text)),
    );
    Ok(Made {
        cases,
        files,
        new_signatures,
    })
}

/// Every id once, and of a row that exists.
fn are_complete(cases: &[Case]) -> Result<()> {
    let mut ids = BTreeSet::new();
    for case in cases {
        ensure!(ids.insert(case.id.as_str()), "the case {} stands twice", case.id);
        let known = table::ROWS.iter().any(|row| row.id == case.row()) || case.row().ends_with("00");
        ensure!(known, "the case {} is of no row", case.id);
    }
    Ok(())
}

/// Each test that a row names stands where it says.
fn tests_exist(checkout: &Workspace) -> Result<()> {
    for test in table::ROWS.iter().flat_map(|row| row.elsewhere) {
        let (path, name) = test
            .split_once("::")
            .context("a test is written `path.rs::name`")?;
        let stands = checkout
            .file(path)
            .is_some_and(|file| file.text.contains(&format!("fn {name}(")));
        ensure!(stands, "{path} has no test {name}");
    }
    Ok(())
}

/// The answers of ours that are not the published ones, for the tests.
fn different() -> Result<String> {
    let answers: BTreeMap<_, _> = table::DIFFERENT.iter().map(|it| (it.0, it.1)).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&answers)?))
}

/// One JSON object a line, its members in the order in which one reads them.
fn lines(cases: &[Case]) -> Result<String> {
    let mut text = String::new();
    for case in cases {
        let mut member = |name: &str, value: Value| -> Result<()> {
            let start = if name == "id" { "{" } else { "," };
            Ok(write!(text, "{start}\"{name}\":{value}")?)
        };
        member("id", case.id.as_str().into())?;
        member("class", case.class().into())?;
        member("title", case.title.as_str().into())?;
        member("source", case.source().into())?;
        member("basis", case.basis.as_str().into())?;
        member("at", world::NOW.into())?;
        member("resource", case.resource.into())?;
        member("expect", case.expect().into())?;
        member("reason", case.reason.map_or(Value::Null, Value::from))?;
        member("token", case.token.as_str().into())?;
        if let Some(request) = &case.request {
            member("request", request.clone())?;
        }
        text.push_str("}\n");
    }
    Ok(text)
}

impl Case {
    /// The row: a letter and two digits.
    fn row(&self) -> &str {
        self.id.get(..3).unwrap_or_default()
    }

    fn class(&self) -> &'static str {
        table::CLASSES
            .iter()
            .find(|class| self.id.starts_with(class.0))
            .map_or("", |class| class.1)
    }

    fn source(&self) -> &'static str {
        table::ROWS
            .iter()
            .find(|row| row.id == self.row())
            .map_or("a good token beside the bad ones", |row| row.source)
    }

    fn expect(&self) -> &'static str {
        if self.reason.is_some() { "refuse" } else { "admit" }
    }
}

fn write_all(checkout: &Workspace) -> Result<bool> {
    let made = make(checkout)?;
    let root = workspace::root();
    let mut written = 0;
    for (path, text) in &made.files {
        if checkout.file(path).is_none_or(|file| file.text != *text) {
            write(&root.join(path), text)?;
            written += 1;
        }
    }
    for path in surplus(checkout, &made) {
        std::fs::remove_file(root.join(path)).with_context(|| format!("cannot remove {path}"))?;
        written += 1;
    }
    print::out(&format!(
        "{} cases, {written} files changed, {} signatures made anew",
        made.cases.len(),
        made.new_signatures
    ));
    Ok(true)
}

fn check(checkout: &Workspace) -> Result<bool> {
    let made = make(checkout)?;
    let stale = made
        .files
        .iter()
        .filter(|(path, text)| checkout.file(path).is_none_or(|file| file.text != *text));
    let mut stale: Vec<&str> = stale.map(|(path, _)| path.as_str()).collect();
    stale.extend(surplus(checkout, &made));
    for path in &stale {
        print::out(&format!("{path} is not what the sources say"));
    }
    if stale.is_empty() {
        print::out(&format!("{} cases are current", made.cases.len()));
    }
    Ok(stale.is_empty())
}

/// Files in the folder that nothing makes.
fn surplus<'w>(checkout: &'w Workspace, made: &Made) -> Vec<&'w str> {
    let ours = |path: &str| path == KEYS || made.files.iter().any(|it| it.0 == path);
    let paths = checkout.files.iter().map(|file| file.path.as_str());
    paths
        .filter(|path| path.starts_with(FOLDER) && !ours(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_what_the_sources_say() {
        let checkout = Workspace::load(&workspace::root()).unwrap();
        assert!(check(&checkout).unwrap(), "cargo xtask corpus");
    }
}
