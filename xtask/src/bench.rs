//! `cargo xtask bench`: our speed beside a peer's or a limit, measured in one run on one machine.
//!
//! Each crate owns its benches; `comparisons.rs` says which of their functions is put beside which. The unit is operations
//! a second (elements, where the bench declares a throughput), so that bigger is better and the ratio is ours over theirs.

mod comparisons;
mod instructions;
mod jose;
mod ledger;
mod machine;
mod results;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use self::comparisons::{AREAS, Area, Comparison};
use self::results::{Measured, measured_since};
use crate::process::{cargo, write};
use crate::run::Run;
use crate::{Usage, json, print, workspace};

const PAGE: &str = "docs/performance.md";
const GROWTH_TITLE: &str = "## Growth";
const MACHINE_TITLE: &str = "## Machine";
/// Where the growth curve ends unless told: some minutes.
const GROWTH: u64 = 10_000_000;

/// One comparison, measured.
#[derive(Debug)]
struct Row {
    area: &'static str,
    what: &'static Comparison,
    ours: f64,
    theirs: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        if self.what.less_is_better {
            self.theirs / self.ours
        } else {
            self.ours / self.theirs
        }
    }

    fn is_met(&self) -> bool {
        self.ratio() >= self.what.goal
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    areas: Vec<String>,
    json: bool,
    write: bool,
    check: bool,
    measure: Measure,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Measure {
    #[default]
    Times,
    /// Of the ledger, up to so many entries.
    Growth(u64),
    Instructions,
}

/// Runs the command; true means that every goal is met.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let options = options(arguments)?;
    let path = workspace::root().join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    match options.measure {
        Measure::Times => {}
        Measure::Growth(entries) => return growth(entries),
        Measure::Instructions => {
            let (page, holds) = instructions::command(&page, options.check)?;
            if options.write {
                write(&path, &page)?;
            }
            return Ok(holds);
        }
    }
    let mut rows = Vec::new();
    for area in AREAS {
        if options.areas.is_empty() || options.areas.iter().any(|it| it == area.name) {
            rows.extend(measure(area)?);
        }
    }
    if options.json {
        print::out(
            &rows
                .iter()
                .map(|row| as_json(row).to_string())
                .collect::<Vec<_>>()
                .join("\n"),
        );
    } else {
        print::out(&as_table(&rows));
    }
    if options.write {
        write(&path, &as_page(&rows, &page)?)?;
        print::error(&format!("{PAGE} is renewed"));
    }
    Ok(rows.iter().all(Row::is_met))
}

fn options(arguments: &[String]) -> Result<Options, Usage> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--growth" => {
                let entries = arguments.next().map_or(Some(GROWTH), |it| it.parse().ok());
                let entries =
                    entries.ok_or_else(|| Usage("--growth takes a number of entries".to_owned()))?;
                options.measure = Measure::Growth(entries);
            }
            "--json" => options.json = true,
            "--write" => options.write = true,
            "--instructions" => options.measure = Measure::Instructions,
            "--check" => options.check = true,
            area if AREAS.iter().any(|it| it.name == area) => options.areas.push(area.to_owned()),
            unknown => {
                return Err(Usage(format!(
                    "bench knows no {unknown:?}; areas: token ledger gate"
                )));
            }
        }
    }
    let is_count = options.measure == Measure::Instructions;
    if is_count && options.areas != ["token"] {
        return Err(Usage("--instructions are counted for the token alone".to_owned()));
    }
    if options.check && (!is_count || options.write) {
        return Err(Usage(
            "--check compares --instructions, and writes nothing".to_owned(),
        ));
    }
    Ok(options)
}

/// Measures the growth curve, and writes it into the page.
fn growth(entries: u64) -> Result<bool> {
    let log = Run::start()?.log("bench-growth")?;
    let points = ledger::growth(&log, entries)?;
    let mut section = format!(
        "{GROWTH_TITLE}\n\nThe mean time of one durable append while a ledger grows, 8,192 callers waiting, over the entries after each size\n\
         (`cargo xtask bench ledger --growth 10000000`); and the memory of the process.\n\n\
         | entries before | µs an append | resident memory, MiB |\n|--:|--:|--:|\n"
    );
    section.extend(points.iter().map(|point| {
        let memory = point.resident_bytes >> 20;
        format!("| {} | {:.2} | {memory} |\n", point.size, point.microseconds)
    }));
    print::out(&section);
    let page = workspace::root().join(PAGE);
    let before = std::fs::read_to_string(&page).context("there is no page yet")?;
    let after = match growth_section(&before) {
        "" => before.replacen(MACHINE_TITLE, &format!("{section}\n{MACHINE_TITLE}"), 1),
        old => before.replacen(old, &format!("{section}\n"), 1),
    };
    write(&page, &after)?;
    Ok(true)
}

/// The part of the page that `--growth` has written; it stays when the rest is renewed.
fn growth_section(page: &str) -> &str {
    let section = page.find(GROWTH_TITLE).and_then(|start| page.get(start..));
    let section = section.and_then(|rest| rest.get(..rest.find(MACHINE_TITLE)?));
    section.unwrap_or_default()
}

fn measure(area: &'static Area) -> Result<Vec<Row>> {
    let folder = workspace::target_directory().join("criterion");
    let before = newest(&folder);
    let log = Run::start()?.log(&format!("bench-{}", area.name))?;
    for (package, bench, filter) in area.benches {
        print::error(&format!("measuring {}: {package}, bench {bench} …", area.name));
        let mut run = cargo(3600);
        run.args([
            "bench", "--locked", "-p", package, "--bench", bench, "--", "--noplot",
        ])
        .args(*filter);
        log.run(&mut run)
            .with_context(|| format!("see {}", log.path.display()))?;
    }
    let mut measured = measured_since(&folder, before)?;
    if let Some(more) = area.more {
        measured.extend(more(&log)?);
    }
    rows(area, &measured)
}

/// When the newest result was written: what is newer afterwards belongs to this run. Taken from the file system, so
/// that no other clock is needed.
fn newest(folder: &std::path::Path) -> Option<std::time::SystemTime> {
    let results = measured_since(folder, None).unwrap_or_default();
    results.into_iter().map(|it| it.written).max()
}

/// The comparisons of the area. A function without a comparison, or the other way round, is an error: somebody
/// renamed a bench.
fn rows(area: &'static Area, measured: &[Measured]) -> Result<Vec<Row>> {
    let per_second = |id: &str| {
        let found = measured.iter().find(|it| it.id == id);
        found
            .map(|it| it.per_second)
            .with_context(|| format!("no bench measures {id:?}"))
    };
    let compared = |id: &str| area.comparisons.iter().any(|it| it.ours == id || it.theirs == id);
    let known = |id: &str| compared(id) || area.parts.contains(&id);
    if let Some(unknown) = measured.iter().find(|it| !known(&it.id)) {
        bail!(
            "{:?} is measured and stands in no comparison of {}",
            unknown.id,
            area.name
        );
    }
    let row = |what: &'static Comparison| {
        Ok(Row {
            area: area.name,
            what,
            ours: per_second(what.ours)?,
            theirs: per_second(what.theirs)?,
        })
    };
    area.comparisons.iter().map(row).collect()
}

fn as_json(row: &Row) -> Value {
    let rounded = |number: f64, digits: f64| Value::from((number * digits).round() / digits);
    json::object([
        ("area", row.area.into()),
        ("name", format!("{} vs {}", row.what.name, row.what.peer).into()),
        ("ours", rounded(row.ours, 1000.0)),
        ("theirs", rounded(row.theirs, 1000.0)),
        ("unit", row.what.unit.into()),
        ("ratio", rounded(row.ratio(), 1000.0)),
        ("goal", row.what.goal.into()),
        ("met", row.is_met().into()),
    ])
}

fn as_table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:<7} {:<34} {:>11} {:>11} {:<10} {:>6} {:>5} {:<4} {}",
        "area", "what", "ours", "theirs", "unit", "ratio", "goal", "met", "theirs is"
    )];
    lines.extend(rows.iter().map(|row| {
        let met = if row.is_met() { "yes" } else { "NO" };
        let (ratio, what) = (row.ratio(), row.what);
        format!(
            "{:<7} {:<34} {:>11} {:>11} {:<10} {ratio:>6.2} {:>5.2} {met:<4} {}",
            row.area,
            what.name,
            shown(row.ours),
            shown(row.theirs),
            what.unit,
            what.goal,
            what.peer
        )
    }));
    lines.join("\n")
}

/// Small numbers are milliseconds or bytes.
fn shown(value: f64) -> String {
    if value < 1000.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

/// The page with these rows. Those of areas that were not measured stay, if they were measured on this machine; and so do
/// the sections that other commands write.
fn as_page(rows: &[Row], old: &str) -> Result<String> {
    let machine = format!("{MACHINE_TITLE}\n\n{}", machine::description());
    let mut page = "# Performance\n\n\
         Made by `cargo xtask bench --write`. Ours and theirs are measured in one run on one machine. The ratio is ours over theirs, and theirs\n\
         over ours for milliseconds and bytes, so that bigger is better. Read the ratios: the absolute numbers belong to one machine. The fastest sample of each counts.\n\n\
         A peer is another library that does the same work as its own documentation shows; the goal is 1. A limit is what no program\n\
         can be faster than, such as the bare signature check; the goal is below 1. A token has 966 bytes with RS256, a large one 1,666.\n\
         `jsonwebtoken` knows no ML-DSA, and neither does `jose` on the Node.js of Debian.\n\n\
         | area | what | theirs is | ours | theirs | unit | ratio | goal | met |\n\
         |---|---|---|--:|--:|---|--:|--:|---|\n"
        .to_owned();
    for area in AREAS {
        let lines: Vec<_> = rows
            .iter()
            .filter(|row| row.area == area.name)
            .map(as_line)
            .collect();
        if !lines.is_empty() {
            page.extend(lines);
            continue;
        }
        ensure!(
            old.ends_with(&machine),
            "the page is of another machine: measure all areas"
        );
        let kept = old
            .lines()
            .filter(|line| line.starts_with(&format!("| {} |", area.name)));
        page.extend(kept.map(|line| format!("{line}\n")));
    }
    let others = old
        .find("\n## ")
        .and_then(|begin| old.get(begin..old.find(MACHINE_TITLE)?));
    Ok(page + others.unwrap_or("\n") + &machine)
}

fn as_line(row: &Row) -> String {
    let met = if row.is_met() { "yes" } else { "**no**" };
    let (ratio, what) = (row.ratio(), row.what);
    format!(
        "| {} | {} | {} | {} | {} | {} | {ratio:.2} | {:.2} | {met} |\n",
        row.area,
        what.name,
        what.peer,
        shown(row.ours),
        shown(row.theirs),
        what.unit,
        what.goal
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area {
        name: "token",
        benches: &[],
        parts: &[],
        more: None,
        comparisons: &[
            Comparison {
                name: "ES256",
                ours: "es256/us",
                theirs: "es256/raw",
                peer: "signature",
                unit: "tokens/s",
                goal: 0.9,
                less_is_better: false,
            },
            Comparison {
                name: "ES256",
                ours: "es256/us",
                theirs: "es256/them",
                peer: "them",
                unit: "tokens/s",
                goal: 1.0,
                less_is_better: false,
            },
        ],
    };

    fn measured(id: &str, per_second: f64) -> Measured {
        Measured {
            id: id.to_owned(),
            per_second,
            written: std::time::SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn ours_is_compared_with_each_of_theirs() {
        static AREAS: &[Area] = &[AREA];
        let all = [
            measured("es256/us", 90.0),
            measured("es256/raw", 100.0),
            measured("es256/them", 100.0),
        ];
        let found = rows(&AREAS[0], &all).unwrap();
        assert!(found[0].is_met(), "nine tenths of the limit");
        assert!(!found[1].is_met(), "slower than a peer");
        let json = r#"{"area":"token","name":"ES256 vs them","ours":90.0,"theirs":100.0,"unit":"tokens/s","ratio":0.9,"goal":1.0,"met":false}"#;
        assert_eq!(as_json(&found[1]), serde_json::from_str::<Value>(json).unwrap());
        assert!(as_table(&found).lines().nth(2).unwrap().contains(" NO "));
        assert_eq!(
            as_line(&found[1]),
            "| token | ES256 | them | 90.00 | 100.00 | tokens/s | 0.90 | 1.00 | **no** |\n"
        );
        assert!(rows(&AREAS[0], &all[1..]).is_err(), "a bench is gone");
        let more = [
            measured("es256/us", 1.0),
            measured("es256/raw", 1.0),
            measured("es256/them", 1.0),
            measured("new", 1.0),
        ];
        assert!(
            rows(&AREAS[0], &more).is_err(),
            "a bench is compared with nothing"
        );
    }

    #[test]
    fn rows_of_one_page_are_of_one_machine() {
        let row = || Row {
            area: "token",
            what: &AREA.comparisons[0],
            ours: 9.0,
            theirs: 10.0,
        };
        let old = |machine: &str| {
            format!(
                "| token | old |\n| gate | kept |\n\n## Growth\n\na curve\n\n{MACHINE_TITLE}\n\n{machine}"
            )
        };
        let page = as_page(&[row()], &old(&machine::description())).unwrap();
        assert!(
            page.contains("| gate | kept |\n") && !page.contains("old"),
            "{page}"
        );
        assert_eq!(growth_section(&page), "## Growth\n\na curve\n\n");
        assert!(as_page(&[row()], &old("- Processor: another\n")).is_err());
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let parse = |line: &str| options(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for good in [
            "--write",
            "token --json",
            "token --write",
            "token --instructions --check",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        assert_eq!(
            parse("ledger --growth 1000").unwrap().measure,
            Measure::Growth(1000)
        );
        assert_eq!(parse("--growth").unwrap().measure, Measure::Growth(GROWTH));
        for bad in [
            "cats",
            "--growth many",
            "--instructions",
            "token --check",
            "token --instructions --check --write",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
