//! `cargo xtask bench`: our speed beside a peer's or a limit, measured in one run on one machine.
//!
//! Each crate owns its benches. A criterion group is one comparison: the function `countersign` is ours, every other
//! function of the group is a peer or a limit and makes one row. The unit is operations a second (elements, where the
//! bench declares a throughput), so that bigger is better and the ratio is ours over theirs.

mod machine;
mod results;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::results::{Measured, measured_since};
use crate::process::{cargo, write};
use crate::run::Run;
use crate::{Usage, json, print, workspace};

/// `(area, package, bench)`
const AREAS: &[(&str, &str, &str)] = &[
    ("token", "countersign-token", "verify"),
    ("ledger", "countersign-ledger", "append"),
    ("gate", "countersign-gate", "decide"),
];

/// The function of each group that is ours.
const OURS: &str = "countersign";

/// The ratio to reach beside a peer: at least as fast.
const PEER_GOAL: f64 = 1.0;
/// The ratio to reach beside what no program can do faster (the bare signature check, the bare sync): nine tenths.
const LIMIT_GOAL: f64 = 0.9;
/// How a bench marks such a limit in the function's name.
const LIMIT_MARK: &str = "limit";

const PAGE: &str = "docs/performance.md";

/// One comparison.
#[derive(Debug)]
struct Row {
    area: &'static str,
    name: String,
    ours: f64,
    theirs_name: String,
    theirs: f64,
    goal: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    fn is_met(&self) -> bool {
        self.ratio() >= self.goal
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    areas: Vec<String>,
    json: bool,
    write: bool,
}

/// Runs the command; true means that every goal is met.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let options = options(arguments)?;
    let mut rows = Vec::new();
    for (area, package, bench) in AREAS {
        if options.areas.is_empty() || options.areas.iter().any(|it| it == area) {
            rows.extend(measure(area, package, bench)?);
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
        write(&workspace::root().join(PAGE), &as_page(&rows))?;
        print::error(&format!("{PAGE} is renewed"));
    }
    Ok(rows.iter().all(Row::is_met))
}

fn options(arguments: &[String]) -> Result<Options, Usage> {
    let mut options = Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--json" => options.json = true,
            "--write" => options.write = true,
            area if AREAS.iter().any(|it| it.0 == area) => options.areas.push(area.to_owned()),
            unknown => {
                return Err(Usage(format!(
                    "bench knows no {unknown:?}; areas: token ledger gate"
                )));
            }
        }
    }
    if options.write && !options.areas.is_empty() {
        return Err(Usage("--write renews the whole page: name no area".to_owned()));
    }
    Ok(options)
}

fn measure(area: &'static str, package: &str, bench: &str) -> Result<Vec<Row>> {
    print::error(&format!("measuring {area} ({package}, bench {bench}) …"));
    let folder = workspace::target_directory().join("criterion");
    let before = newest(&folder);
    let log = Run::start()?.log(&format!("bench-{area}"))?;
    let mut run = cargo(3600);
    run.args([
        "bench", "--locked", "-p", package, "--bench", bench, "--", "--noplot",
    ]);
    log.run(&mut run)
        .with_context(|| format!("see {}", log.path.display()))?;
    let rows = rows(area, &measured_since(&folder, before)?);
    ensure!(
        !rows.is_empty(),
        "bench {bench} of {package} has no group with a function `{OURS}` and another"
    );
    Ok(rows)
}

/// When the newest result was written: what is newer afterwards belongs to this run. Taken from the file system, so
/// that no other clock is needed.
fn newest(folder: &std::path::Path) -> Option<std::time::SystemTime> {
    let results = measured_since(folder, None).unwrap_or_default();
    results.into_iter().map(|it| it.written).max()
}

/// In each group ours beside each of the others.
fn rows(area: &'static str, measured: &[Measured]) -> Vec<Row> {
    let mut rows = Vec::new();
    for ours in measured.iter().filter(|it| it.function == OURS) {
        let others = measured
            .iter()
            .filter(|it| it.group == ours.group && it.value == ours.value);
        rows.extend(others.filter(|it| it.function != OURS).map(|theirs| {
            Row {
                area,
                name: [ours.group.as_str(), ours.value.as_str()]
                    .join(" ")
                    .trim()
                    .to_owned(),
                ours: ours.per_second,
                theirs_name: theirs.function.clone(),
                theirs: theirs.per_second,
                goal: if theirs.function.contains(LIMIT_MARK) {
                    LIMIT_GOAL
                } else {
                    PEER_GOAL
                },
            }
        }));
    }
    rows
}

fn as_json(row: &Row) -> Value {
    let rounded = |number: f64, digits: f64| Value::from((number * digits).round() / digits);
    json::object([
        ("area", row.area.into()),
        ("name", format!("{} vs {}", row.name, row.theirs_name).into()),
        ("ours", rounded(row.ours, 1.0)),
        ("theirs", rounded(row.theirs, 1.0)),
        ("unit", "ops/s".into()),
        ("ratio", rounded(row.ratio(), 1000.0)),
        ("goal", row.goal.into()),
        ("met", row.is_met().into()),
    ])
}

fn as_table(rows: &[Row]) -> String {
    let line = |row: &Row| {
        format!(
            "{:<7} {:<36} {:>12.0} {:>12.0} {:>7.2} {:>5.2}  {:<4} {}",
            row.area,
            row.name,
            row.ours,
            row.theirs,
            row.ratio(),
            row.goal,
            if row.is_met() { "met" } else { "NOT" },
            row.theirs_name
        )
    };
    let head = format!(
        "{:<7} {:<36} {:>12} {:>12} {:>7} {:>5}  {:<4} {}",
        "area", "what", "ours/s", "theirs/s", "ratio", "goal", "met", "theirs"
    );
    std::iter::once(head)
        .chain(rows.iter().map(line))
        .collect::<Vec<_>>()
        .join("\n")
}

fn as_page(rows: &[Row]) -> String {
    let line = |row: &Row| {
        format!(
            "| {} | {} | {} | {:.0} | {:.0} | {:.2} | {:.2} | {} |",
            row.area,
            row.name,
            row.theirs_name,
            row.ours,
            row.theirs,
            row.ratio(),
            row.goal,
            if row.is_met() { "yes" } else { "**no**" }
        )
    };
    let table = rows.iter().map(line).collect::<Vec<_>>().join("\n");
    let machine = machine::description();
    format!(
        "# Performance\n\n\
         Made by `cargo xtask bench --write`. Ours and theirs are measured in one run, in operations a second and core: bigger is\n\
         better, and the ratio is ours over theirs. Read the ratios: the absolute numbers belong to one machine.\n\n\
         A peer is another library that does the same work as its own documentation shows; the goal is 1. A name with `{LIMIT_MARK}` is\n\
         what no program can be faster than, such as the bare signature check; the goal is {LIMIT_GOAL}.\n\n\
         | area | what | theirs | ours, ops/s | theirs, ops/s | ratio | goal | met |\n\
         |---|---|---|--:|--:|--:|--:|---|\n\
         {table}\n\n\
         ## Machine\n\n{machine}",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(group: &str, function: &str, per_second: f64) -> Measured {
        Measured {
            group: group.to_owned(),
            function: function.to_owned(),
            value: String::new(),
            per_second,
            written: std::time::SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn ours_is_compared_within_its_group() {
        let rows = rows(
            "token",
            &[
                measured("ES256", OURS, 90.0),
                measured("ES256", "signature limit", 100.0),
                measured("ES256", "jsonwebtoken", 100.0),
                measured("RS256", "jsonwebtoken", 1.0),
            ],
        );
        assert_eq!(rows.len(), 2);
        assert!(rows[0].is_met(), "nine tenths of the limit");
        assert!(!rows[1].is_met(), "slower than a peer");
        let json = r#"{"area":"token","name":"ES256 vs jsonwebtoken","ours":90.0,"theirs":100.0,"unit":"ops/s","ratio":0.9,"goal":1.0,"met":false}"#;
        assert_eq!(as_json(&rows[1]), serde_json::from_str::<Value>(json).unwrap());
        assert!(as_table(&rows).lines().nth(2).unwrap().contains("NOT"));
        assert!(
            as_page(&rows).contains("| token | ES256 | jsonwebtoken | 90 | 100 | 0.90 | 1.00 | **no** |")
        );
    }

    #[test]
    fn the_page_is_never_half_renewed() {
        let parse = |line: &str| options(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(parse("--write").is_ok());
        assert!(parse("token --json").is_ok());
        assert!(parse("token --write").is_err());
        assert!(parse("cats").is_err());
    }
}
