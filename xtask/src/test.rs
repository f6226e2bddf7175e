//! `cargo xtask test`: every test, with the real components. A component that is missing is installed; what cannot
//! be installed fails, and is never skipped.

use anyhow::Result;

use crate::process::cargo;
use crate::run::{Log, Run};
use crate::tidy::manifests;
use crate::{Usage, deny, faults, first_run, foreign, fuzz, install, peers, stores, tidy, workspace};

/// The order in which everything runs: what is quick and tells most comes first.
const AREAS: &[(&str, Area)] = &[
    ("tidy", |run, _| tidy_area(run)),
    ("lint", |run, _| lint(run)),
    ("rust", |run, _| rust(run)),
    ("deny", |run, _| deny::run(run)),
    ("fuzz", |run, _| fuzz::run(run)),
    ("peers", |run, _| peers::run(run)),
    ("foreign", |run, _| foreign::run(run)),
    ("first-run", |run, _| first_run::run(run)),
    ("model", |run, _| model(run)),
    ("simulation", |run, _| simulation(run)),
    ("stores", |run, _| stores::run(run)),
    ("faults", |run, _| faults::run(run)),
    ("crash", crash),
];

/// Kills under load, and first starts cut off. They are ignored elsewhere and run here, all of them.
const CRASH_TESTS: u32 = 2;
/// The protocol, and the protocol without each of its rules.
const MODEL_TESTS: u32 = 2;
/// So many seeded histories of each kind.
const HISTORIES: u32 = 100_000;
/// How often the crash test kills the process, unless told.
const KILLS: u32 = 2_000;

/// Adds the steps of an area to the run.
type Area = fn(&mut Run, &Options);

#[derive(Debug, PartialEq, Eq)]
struct Options {
    areas: Vec<String>,
    kills: u32,
}

/// Runs the command; true means that nothing failed.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let options = options(arguments)?;
    let mut run = Run::start()?;
    for (name, area) in AREAS {
        if options.areas.is_empty() || options.areas.iter().any(|it| it == name) {
            area(&mut run, &options);
        }
    }
    Ok(run.finish())
}

fn options(arguments: &[String]) -> Result<Options, Usage> {
    let mut options = Options {
        areas: Vec::new(),
        kills: KILLS,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--kills" {
            let number = arguments.next().and_then(|it| it.parse().ok());
            options.kills = number.ok_or_else(|| Usage("--kills takes a number".to_owned()))?;
        } else if AREAS.iter().any(|(name, _)| name == argument) {
            options.areas.push(argument.clone());
        } else {
            let known: Vec<&str> = AREAS.iter().map(|(name, _)| *name).collect();
            return Err(Usage(format!(
                "there is no area {argument:?}; known: {}",
                known.join(" ")
            )));
        }
    }
    Ok(options)
}

fn tidy_area(run: &mut Run) {
    run.step("tidy: house rules", |log| {
        log.line(&tidy::report()?)?;
        Ok(String::new())
    });
}

fn lint(run: &mut Run) {
    let mut format = cargo(120);
    format.args(["fmt", "--check"]);
    run.command("lint: cargo fmt", format);
    let mut format = cargo(120);
    format.args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]);
    run.command("lint: cargo fmt, fuzz", format);
    for lane in lanes() {
        let mut clippy = cargo(1200);
        clippy
            .args(["clippy", "--locked", "--all-targets"])
            .args(lane.selection());
        clippy.args(["--", "-D", "warnings"]);
        run.command(&lane.name("lint: cargo clippy"), clippy);
        let mut doc = cargo(1200);
        doc.args(["doc", "--locked", "--no-deps"])
            .args(lane.selection())
            .env("RUSTDOCFLAGS", "-D warnings");
        run.command(&lane.name("lint: cargo doc"), doc);
    }
}

fn rust(run: &mut Run) {
    run.step("rust: what the tests need is there", |log| {
        install::programs(&["c++", "git", "python3"], log)?;
        Ok(String::new())
    });
    for lane in lanes() {
        run.step(&lane.name("rust: cargo test"), |log| {
            log.run(cargo(1500).args(["test", "--locked"]).args(lane.selection()))?;
            Ok(format!("{} tests", tests_passed(&log.text())))
        });
    }
}

/// What is built together: the default members, or one crate that stands apart.
struct Lane(Option<&'static str>);

impl Lane {
    fn selection(&self) -> Vec<&'static str> {
        self.0.map_or(Vec::new(), |package| vec!["-p", package])
    }

    fn name(&self, step: &str) -> String {
        self.0
            .map_or(step.to_owned(), |package| format!("{step}, {package}"))
    }
}

/// The default members first, then each crate with a lane of its own. Never mixed: other packages selected means
/// other features of shared crates, and everything is built again.
fn lanes() -> Vec<Lane> {
    let apart = manifests::OWN_LANE.iter().copied();
    let there = apart.filter(|it| workspace::root().join("crates").join(it).is_dir());
    std::iter::once(Lane(None))
        .chain(there.map(|it| Lane(Some(it))))
        .collect()
}

/// The sum of all `test result: ok. N passed` lines.
pub(crate) fn tests_passed(text: &str) -> u32 {
    let results = text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "));
    results
        .filter_map(|it| it.split(' ').next()?.parse::<u32>().ok())
        .sum()
}

/// Every state of the ledger's protocol. In the default lane, so that nothing is built again.
fn model(run: &mut Run) {
    run.step("model: every state of the ledger's protocol", |log| {
        let mut test = cargo(900);
        test.args(["test", "--locked", "--test", "it"]);
        log.run(test.args(["--", "--include-ignored", "--nocapture", "model::"]))?;
        let output = log.text();
        anyhow::ensure!(
            tests_passed(&output) == MODEL_TESTS,
            "not every test of the model ran"
        );
        let told = |what: &str| {
            output
                .lines()
                .filter(|it| it.starts_with("model: ") && it.contains(what))
                .count()
        };
        let states = output
            .lines()
            .find_map(|it| it.strip_prefix("model: ")?.split_once(" states"));
        anyhow::ensure!(
            states.is_some(),
            "the model does not say how many states it visited"
        );
        Ok(format!(
            "{} states visited, {} mutants caught",
            states.map_or("", |(number, _)| number),
            told("without the rule")
        ))
    });
}

/// Seeded histories of the real ledger on a simulated disk and a simulated store, each ending in an audit.
fn simulation(run: &mut Run) {
    let name = format!("simulation: {HISTORIES} histories on a disk, as many of rivals in a store");
    run.step(&name, |log| {
        let mut test = cargo(1500);
        test.args([
            "test",
            "--locked",
            "--release",
            "-p",
            "countersign-ledger",
            "--lib",
        ]);
        test.args(["--", "--nocapture", "simulation::"])
            .env("LEDGER_HISTORIES", HISTORIES.to_string());
        log.run(&mut test)?;
        let output = log.text();
        let histories = format!("{HISTORIES} histories");
        anyhow::ensure!(
            output.lines().filter(|line| line.contains(&histories)).count() == 2,
            "not every history ran"
        );
        Ok(format!("{} tests", tests_passed(&output)))
    });
}

fn crash(run: &mut Run, options: &Options) {
    let name = format!("crash: {} kills", options.kills);
    run.step(&name, |log: &Log| {
        let mut test = cargo(1500);
        test.args([
            "test",
            "--locked",
            "--release",
            "-p",
            "countersign",
            "--test",
            "it",
        ]);
        test.args(["--", "--ignored", "crash", "--nocapture"])
            .env("COUNTERSIGN_KILLS", options.kills.to_string());
        log.run(&mut test)?;
        let output = log.text();
        anyhow::ensure!(tests_passed(&output) == CRASH_TESTS, "not every crash test ran");
        let told = output.lines().rev().find(|line| line.contains(" kills"));
        Ok(told.unwrap_or_default().trim().to_owned())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Usage> {
        options(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn areas_and_kills_are_read() {
        assert_eq!(
            parse("").unwrap(),
            Options {
                areas: vec![],
                kills: KILLS
            }
        );
        let wanted = Options {
            areas: vec!["crash".to_owned(), "tidy".to_owned()],
            kills: 20,
        };
        assert_eq!(parse("crash --kills 20 tidy").unwrap(), wanted);
        for bad in ["cats", "--kills", "--kills many"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn passed_tests_are_summed() {
        let text = "test result: ok. 12 passed; 0 failed\nx\ntest result: ok. 3 passed; 0 failed\ntest result: FAILED. 1 passed";
        assert_eq!(tests_passed(text), 15);
    }
}
