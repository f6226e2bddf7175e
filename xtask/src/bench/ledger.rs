//! The ledger beside Tessera's POSIX driver and the bare disk: same machine, same disk, same run, best settings of each.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::results::Measured;
use crate::foreign::Tools;
use crate::process::cargo;
use crate::run::Log;
use crate::{print, workspace};

/// Callers that wait at once.
const CALLERS: [u32; 4] = [1, 64, 1_000, 10_000];
const SECONDS: u32 = 5;
/// Entries of the log that is audited.
const AUDITED: u32 = 2_000_000;
/// As long as an issuance of ours.
const ENTRY_BYTES: &str = "56";
/// What the ledger is to reach, put beside what was measured.
const GOALS: [(&str, f64); 4] = [
    ("goal/appends", 100_000.0),
    ("goal/p99_ms", 25.0),
    ("goal/audit", 1_000_000.0),
    ("goal/bytes", 100.0),
];
const PERCENTILES: [&str; 4] = ["per_second", "p50_ms", "p99_ms", "p999_ms"];

/// One point of the growth curve.
#[derive(Debug, PartialEq)]
pub(super) struct Growth {
    pub(super) size: u64,
    pub(super) microseconds: f64,
    pub(super) resident_bytes: u64,
}

/// Everything but the curve. The ids are `maker/callers/what`, `audit/maker/cores`, `sync/what`, `bytes/what`.
pub(super) fn measure(log: &Log) -> Result<Vec<Measured>> {
    let bench = Bench::build(log)?;
    let mut all: Vec<Measured> = GOALS.iter().map(|(id, goal)| Measured::of(id, *goal)).collect();
    let sync = bench.ours(&["sync", &bench.folder("sync")?, &SECONDS.to_string()])?;
    all.extend(pieces("sync", &sync));
    for callers in CALLERS {
        print::error(&format!(
            "measuring ledger: {callers} callers, ours and Tessera …"
        ));
        let folder = bench.folder("ours")?;
        let ours = bench.ours(&["append", &folder, &callers.to_string(), &SECONDS.to_string()])?;
        all.extend(pieces(&format!("ours/{callers}"), &ours));
        let theirs = bench.best_of_tessera(callers)?;
        all.extend(pieces(&format!("tessera/{callers}"), &theirs));
    }
    print::error("measuring ledger: audit …");
    let folder = bench.folder("audited")?;
    let stored = bench.ours(&["fill", &folder, &AUDITED.to_string()])?;
    for what in ["published_bytes", "journal_bytes"] {
        all.push(Measured::of(&format!("bytes/{what}"), number(&stored, what)?));
    }
    for cores in [1u8, 2] {
        let audit = bench.ours(&["audit", &folder, &cores.to_string()])?;
        all.push(Measured::of(
            &format!("audit/ours/{cores}"),
            number(&audit, "per_second")?,
        ));
        all.push(Measured::of(
            &format!("audit/fsck/{cores}"),
            bench.fsck(&folder, cores)?,
        ));
    }
    bench.clear();
    Ok(all)
}

/// What an append costs at each power of ten up to so many entries.
pub(super) fn growth(log: &Log, entries: u64) -> Result<Vec<Growth>> {
    let bench = Bench::build(log)?;
    print::error(&format!("measuring ledger: growth to {entries} entries …"));
    let output = bench.run(&["growth", &bench.folder("growth")?, &entries.to_string()])?;
    bench.clear();
    let points = output.lines().map(|line| {
        let point: Value = serde_json::from_str(line).context("the bench printed no JSON")?;
        let whole = |name: &str| point.get(name).and_then(Value::as_u64).unwrap_or_default();
        Ok(Growth {
            size: whole("size"),
            microseconds: number(&point, "us")?,
            resident_bytes: whole("resident_bytes"),
        })
    });
    points.collect()
}

struct Bench {
    tools: Tools,
    program: PathBuf,
    folder: PathBuf,
}

impl Bench {
    /// Builds both programs. What they write goes below the target folder: a memory file system would prove nothing.
    fn build(log: &Log) -> Result<Self> {
        let tools = Tools::build(log)?;
        let mut build = cargo(3600);
        build.args([
            "bench",
            "--locked",
            "-p",
            "countersign-ledger",
            "--bench",
            "hammer",
            "--no-run",
        ]);
        log.run(build.args(["--message-format", "json-render-diagnostics"]))?;
        let text = log.text();
        let messages = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut programs = messages.filter_map(|it| Some(PathBuf::from(it.get("executable")?.as_str()?)));
        Ok(Self {
            tools,
            program: programs.next().context("cargo built no bench")?,
            folder: workspace::target_directory().join("xtask/bench"),
        })
    }

    fn folder(&self, name: &str) -> Result<String> {
        let folder = self.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder.display().to_string())
    }

    fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = crate::process::limited(7200, &self.program.display().to_string())
            .args(arguments)
            .output()
            .context("cannot run the bench")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "hammer {arguments:?}: {}", words.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn ours(&self, arguments: &[&str]) -> Result<Value> {
        serde_json::from_str(&self.run(arguments)?).context("the bench printed no JSON")
    }

    /// Tessera with several sizes and ages of its batches; the one that appends most.
    fn best_of_tessera(&self, callers: u32) -> Result<Value> {
        let mut best: Option<Value> = None;
        for batch in [256, callers.max(1), callers.div_ceil(2)] {
            for age in ["1ms", "10ms"] {
                let mut hammer = self.tools.foreign(300, "hammer");
                hammer.args(["-folder", &self.folder("tessera")?, "-length", ENTRY_BYTES]);
                hammer.args(["-callers", &callers.to_string(), "-batch", &batch.to_string()]);
                hammer.args(["-age", age, "-checkpoints", "10s", "-for", &format!("{SECONDS}s")]);
                let output = hammer.output().context("cannot run Tessera")?;
                let words = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.success(), "Tessera: {}", words.trim());
                let found: Value = serde_json::from_slice(&output.stdout).context("no JSON of Tessera")?;
                let speed = |it: &Value| number(it, "per_second").unwrap_or_default();
                if best.as_ref().is_none_or(|best| speed(best) < speed(&found)) {
                    best = Some(found);
                }
            }
        }
        best.context("Tessera was not measured")
    }

    /// Entries a second of Tessera's fsck, with so many cores; the best of three.
    fn fsck(&self, folder: &str, cores: u8) -> Result<f64> {
        let mut best = 0.0f64;
        for _ in 0..3 {
            let mut fsck = self.tools.foreign(600, "fsck");
            fsck.env("GOMAXPROCS", cores.to_string())
                .args(["-limit", "500s", "-log", folder, "-key"])
                .arg(Path::new(folder).join("key.vkey"));
            let output = fsck.output().context("cannot run fsck")?;
            let words = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "fsck: {}", words.trim());
            let told: Value = serde_json::from_slice(&output.stdout).context("no JSON of fsck")?;
            best = best.max(f64::from(AUDITED) / number(&told, "seconds")?);
        }
        Ok(best)
    }
}

fn pieces(id: &str, found: &Value) -> Vec<Measured> {
    let piece = |name: &&str| {
        let value = number(found, name).ok()?;
        Some(Measured::of(&format!("{id}/{name}"), value))
    };
    PERCENTILES.iter().filter_map(piece).collect()
}

fn number(from: &Value, name: &str) -> Result<f64> {
    from.get(name)
        .and_then(Value::as_f64)
        .with_context(|| format!("no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_bench_becomes_its_parts() {
        let line = serde_json::json!({"per_second": 12.5, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0});
        let ids: Vec<_> = pieces("ours/64", &line).into_iter().map(|it| it.id).collect();
        assert_eq!(
            ids,
            [
                "ours/64/per_second",
                "ours/64/p50_ms",
                "ours/64/p99_ms",
                "ours/64/p999_ms"
            ]
        );
    }
}
