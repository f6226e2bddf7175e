//! The fuzz targets, each for ten seconds, built with the stable toolchain.
//!
//! `cargo fuzz` asks for a nightly compiler because of its sanitizers. Coverage feedback alone needs none: the flags
//! below are the ones it passes with `--sanitizer none`, and all of them are stable. With `--target` given, build
//! scripts and procedural macros are not instrumented.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::process::{cargo, limited};
use crate::run::{Log, Run};
use crate::{install, workspace};

const PLATFORM: &str = "x86_64-unknown-linux-gnu";
const SECONDS: u32 = 10;
/// Inputs are no longer than this: above the token's and the key set's own limits.
const LENGTH_MAX: u32 = 128 * 1024;
/// One input that takes longer is a finding.
const INPUT_SECONDS_MAX: u32 = 5;

const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

pub(crate) fn run(run: &mut Run) {
    let folder = workspace::root().join("fuzz");
    let mut targets = Vec::new();
    let built = run.step("fuzz: targets build", |log| {
        targets = targets_of(&folder)?;
        install::programs(&["c++"], log)?;
        let mut build = cargo(1200);
        build.args([
            "build",
            "--locked",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--bins",
            "--target",
            PLATFORM,
        ]);
        build
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
        log.run(&mut build)?;
        Ok(format!("{} targets", targets.len()))
    });
    if built {
        for target in &targets {
            run.step(&format!("fuzz: {target} for {SECONDS} s"), |log| {
                fuzz(&folder, target, log)
            });
        }
    }
}

/// The targets are the files of `fuzz_targets/`; each must be named in the manifest and the other way round.
fn targets_of(folder: &Path) -> Result<Vec<String>> {
    let manifest =
        std::fs::read_to_string(folder.join("Cargo.toml")).context("cannot read fuzz/Cargo.toml")?;
    let manifest: toml::Table = manifest.parse().context("fuzz/Cargo.toml is not TOML")?;
    let bins = manifest
        .get("bin")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    let mut named: Vec<String> = bins
        .filter_map(|it| Some(it.get("name")?.as_str()?.to_owned()))
        .collect();
    named.sort();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.join("fuzz_targets")).context("cannot list fuzz/fuzz_targets")? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "rs") {
            files.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
        }
    }
    files.sort();
    ensure!(
        named == files,
        "fuzz/Cargo.toml names {named:?}, fuzz/fuzz_targets holds {files:?}"
    );
    ensure!(!named.is_empty(), "there are no fuzz targets");
    Ok(named)
}

fn fuzz(folder: &Path, target: &str, log: &Log) -> Result<String> {
    let found = folder.join("target/corpus").join(target);
    let crashes = folder.join("artifacts").join(target);
    for needed in [&found, &crashes] {
        std::fs::create_dir_all(needed).with_context(|| format!("cannot create {}", needed.display()))?;
    }
    let stored = ["corpus", "regressions"].map(|kind| folder.join(kind).join(target));
    let stored: Vec<&PathBuf> = stored.iter().filter(|it| it.is_dir()).collect();
    let program = folder.join("target").join(PLATFORM).join("debug").join(target);
    let mut fuzzer = limited(SECONDS * 6 + 60, &program.to_string_lossy());
    fuzzer
        .arg(format!("-max_total_time={SECONDS}"))
        .arg(format!("-max_len={LENGTH_MAX}"));
    fuzzer
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg("-print_final_stats=1");
    fuzzer
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg(&found)
        .args(stored);
    log.run(&mut fuzzer)
        .with_context(|| format!("input stored below fuzz/artifacts/{target}/"))?;
    let text = log.text();
    let runs = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(format!(
        "{} inputs",
        runs.context("the fuzzer printed no statistics")?.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Scratch, write};

    #[test]
    fn a_target_that_the_manifest_forgets_is_found() {
        let scratch = Scratch::create("fuzz-test").unwrap();
        std::fs::create_dir_all(scratch.path.join("fuzz_targets")).unwrap();
        write(&scratch.path.join("Cargo.toml"), "[[bin]]\nname = \"token\"\n").unwrap();
        assert!(targets_of(&scratch.path).is_err());
        write(&scratch.path.join("fuzz_targets/token.rs"), "").unwrap();
        assert_eq!(targets_of(&scratch.path).unwrap(), ["token"]);
        write(&scratch.path.join("fuzz_targets/jwks.rs"), "").unwrap();
        assert!(targets_of(&scratch.path).is_err());
    }
}
