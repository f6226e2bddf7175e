//! How many instructions a token takes, counted by callgrind: unlike a time it is the same on a busy machine, so that a
//! regression shows.
//!
//! A count belongs to a processor (its vector instructions), a compiler and a C library: on another machine the recorded
//! ones are a hint.

use anyhow::{Context as _, Result, ensure};

use crate::process::{cargo, limited};
use crate::run::{Log, Run};
use crate::{install, print, workspace};

/// What `countersign-token`'s example `verify_once` does, and with which token.
const CASES: &[Case] = &[
    Case::new("parse, 966 bytes", "parse", None, "usual"),
    Case::new("parse, 1,666 bytes", "parse", None, "large"),
    Case::new(
        "all but the signature, 966 bytes",
        "verify",
        Some("signature"),
        "usual",
    ),
    Case::new(
        "all but the signature, 1,666 bytes",
        "verify",
        Some("signature"),
        "large",
    ),
    Case::new("refuse a claim that stands twice", "refuse", None, "usual"),
];

const HEADING: &str = "## Instructions\n";
/// A count may grow by this before the check fails: what a library or the memory allocator does differently.
const TOLERANCE: f64 = 1.03;
/// How often the work is done in the two runs whose difference counts.
const TIMES: [u32; 2] = [20, 120];

struct Case {
    name: &'static str,
    work: &'static str,
    /// Work that is part of it and not counted.
    without: Option<&'static str>,
    size: &'static str,
}

impl Case {
    const fn new(
        name: &'static str,
        work: &'static str,
        without: Option<&'static str>,
        size: &'static str,
    ) -> Self {
        Self {
            name,
            work,
            without,
            size,
        }
    }

    fn count(&self, log: &Log) -> Result<f64> {
        let with = each(self.work, self.size, log)?;
        let without = self.without.map_or(Ok(0.0), |work| each(work, self.size, log))?;
        Ok(with - without)
    }
}

/// Counts, and returns the page as it should be then; true means that no recorded count is exceeded.
pub(super) fn command(page: &str, is_check: bool) -> Result<(String, bool)> {
    let log = Run::start()?.log("bench-instructions")?;
    install::programs(&["valgrind"], &log)?;
    let mut build = cargo(1800);
    build.args([
        "build",
        "--release",
        "--locked",
        "-p",
        "countersign-token",
        "--example",
        "verify_once",
    ]);
    log.run(&mut build)?;
    let counts: Vec<_> = CASES
        .iter()
        .map(|case| Ok((case.name, case.count(&log)?)))
        .collect::<Result<_>>()?;
    let mut holds = true;
    for (name, count) in &counts {
        let recorded = recorded(page, name);
        let fits = !is_check || recorded.is_some_and(|recorded| *count <= recorded * TOLERANCE);
        holds &= fits;
        let mark = if fits { "" } else { "  EXCEEDED" };
        print::out(&format!(
            "{name:<38} {count:>8.0}  recorded {:>8.0}{mark}",
            recorded.unwrap_or_default()
        ));
    }
    Ok((with_section(page, &section(&counts)), holds))
}

/// Instructions for one piece of work.
fn each(work: &str, size: &str, log: &Log) -> Result<f64> {
    let [few, many] = TIMES;
    let (few_cost, many_cost) = (run(work, size, few, log)?, run(work, size, many, log)?);
    ensure!(many_cost > few_cost, "{work} takes no instructions");
    Ok((many_cost - few_cost) / f64::from(many - few))
}

fn run(work: &str, size: &str, times: u32, log: &Log) -> Result<f64> {
    let target = workspace::target_directory();
    let counted = target.join("xtask/callgrind.out");
    let mut valgrind = limited(300, "valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(target.join("release/examples/verify_once"))
        .args([work, size, &times.to_string()]);
    log.run(&mut valgrind)?;
    let counted = std::fs::read_to_string(&counted).context("callgrind wrote nothing")?;
    total(&counted)
}

/// The sum that callgrind writes at the end of its file.
fn total(counted: &str) -> Result<f64> {
    let sum = counted.lines().find_map(|line| line.strip_prefix("totals: "));
    let sum = sum.context("callgrind wrote no total")?;
    sum.trim().parse().context("callgrind's total is no number")
}

fn recorded(page: &str, name: &str) -> Option<f64> {
    let row = page
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| {name} | ")))?;
    row.strip_suffix(" |")?.replace(',', "").parse().ok()
}

/// The section of a page, up to the next heading.
fn section_of(page: &str) -> Option<&str> {
    let begin = page.find(HEADING)?;
    let section = page.get(begin..)?;
    let end = section.get(1..)?.find("\n## ").map_or(section.len(), |at| at + 2);
    section.get(..end)
}

fn section(counts: &[(&str, f64)]) -> String {
    let mut section = format!(
        "{HEADING}\nOne token signed with EdDSA, counted by callgrind: `cargo xtask bench token --instructions --write`, and with `--check` in\n\
         its place no count may grow by more than {:.0} %. They belong to the machine below.\n\n\
         | work | instructions |\n|---|--:|\n",
        (TOLERANCE - 1.0) * 100.0
    );
    section.extend(
        counts
            .iter()
            .map(|(name, count)| format!("| {name} | {count:.0} |\n")),
    );
    section + "\n"
}

fn with_section(page: &str, section: &str) -> String {
    match section_of(page) {
        Some(old) => page.replacen(old, section, 1),
        None => page.replacen("\n## ", &format!("\n{section}## "), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_recorded_and_found_again() {
        let page = "# Performance\n\n## Machine\n\n- one\n";
        let once = with_section(page, &section(&[("parse", 8_204.0)]));
        assert!(
            once.ends_with("| parse | 8204 |\n\n## Machine\n\n- one\n"),
            "{once}"
        );
        assert_eq!(recorded(&once, "parse"), Some(8_204.0));
        assert_eq!(recorded(&once, "verify"), None);
        let twice = with_section(&once, &section(&[("parse", 7_000.0)]));
        assert_eq!(recorded(&twice, "parse"), Some(7_000.0));
        assert_eq!(twice.matches(HEADING).count(), 1);
        assert_eq!(twice.matches("## Machine").count(), 1);
    }

    #[test]
    fn callgrinds_total_is_read() {
        assert!((total("events: Ir\n\ntotals: 1234\n").unwrap() - 1234.0).abs() < 0.1);
        assert!(total("events: Ir\n").is_err());
    }
}
