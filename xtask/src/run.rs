//! Runs steps: one line each with its time, output to a log, the log's tail on failure.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::{print, workspace};

/// Lines of a failed step's log that are shown.
const TAIL_LINES: usize = 25;

/// The steps of one `cargo xtask test`.
#[derive(Debug)]
pub(crate) struct Run {
    logs: PathBuf,
    passed: usize,
    failed: usize,
}

/// Where one step's output goes.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
}

impl Run {
    pub(crate) fn start() -> Result<Self> {
        let logs = workspace::target_directory().join("xtask");
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        Ok(Self {
            logs,
            passed: 0,
            failed: 0,
        })
    }

    /// Does one step. What it returns is printed behind its name: a number, a warning, or nothing.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce(&Log) -> Result<String>) -> bool {
        let started = Instant::now();
        let outcome = Log::create(&self.logs, name).and_then(|log| {
            let result = work(&log);
            if let Err(error) = &result {
                log.line(&format!("error: {error:#}"))?;
            }
            Ok((log, result))
        });
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok((_, Ok(note))) => {
                self.passed += 1;
                print::out(&row("ok", name, seconds, &note));
                true
            }
            Ok((log, Err(error))) => {
                self.failed += 1;
                let shown = log.path.strip_prefix(workspace::root()).unwrap_or(&log.path);
                let problem = format!("{error:#}");
                let problem = problem.lines().next().unwrap_or_default();
                print::out(&row(
                    "FAIL",
                    name,
                    seconds,
                    &format!("{problem} ({})", shown.display()),
                ));
                print::out(&log.tail());
                false
            }
            Err(error) => {
                self.failed += 1;
                print::out(&row("FAIL", name, seconds, &format!("{error:#}")));
                false
            }
        }
    }

    /// A log of its own, for work that is not a step.
    pub(crate) fn log(&self, name: &str) -> Result<Log> {
        Log::create(&self.logs, name)
    }

    /// One step that is one command.
    pub(crate) fn command(&mut self, name: &str, mut command: Command) -> bool {
        self.step(name, |log| log.run(&mut command).map(|()| String::new()))
    }

    /// Prints the closing line; true when nothing failed.
    pub(crate) fn finish(&self) -> bool {
        print::out(&format!("{} passed, {} failed", self.passed, self.failed));
        self.failed == 0
    }
}

fn row(outcome: &str, name: &str, seconds: f64, note: &str) -> String {
    format!("{outcome:<4}  {name:<46} {seconds:>7.1} s  {note}")
        .trim_end()
        .to_owned()
}

impl Log {
    fn create(folder: &Path, name: &str) -> Result<Self> {
        let words = name
            .split(|it: char| !it.is_ascii_alphanumeric())
            .filter(|it| !it.is_empty());
        let file = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
        let path = folder.join(format!("{file}.log"));
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    /// Runs a command with its output in the log; an error unless it ends with 0.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        self.line(&format!("$ {}", shown(command)))?;
        command
            .stdin(Stdio::null())
            .stdout(self.open()?)
            .stderr(self.open()?);
        let status = command
            .status()
            .map_err(|error| anyhow!("cannot run {}: {error}", shown(command)))?;
        ensure!(status.success(), "{} ended with {status}", shown(command));
        Ok(())
    }

    /// The log, open at its end.
    pub(crate) fn open(&self) -> Result<File> {
        OpenOptions::new()
            .append(true)
            .open(&self.path)
            .with_context(|| format!("cannot open {}", self.path.display()))
    }

    pub(crate) fn line(&self, text: &str) -> Result<()> {
        writeln!(self.open()?, "{text}").context("cannot write the log")
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        std::fs::read(&self.path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(TAIL_LINES)..)
            .unwrap_or_default();
        tail.iter()
            .map(|line| format!("      | {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|it| it.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_in(folder: &Path) -> Run {
        std::fs::create_dir_all(folder).unwrap();
        Run {
            logs: folder.to_path_buf(),
            passed: 0,
            failed: 0,
        }
    }

    #[test]
    fn steps_are_counted_and_logged() {
        let folder = std::env::temp_dir().join(format!("xtask-run-{}", std::process::id()));
        let mut run = run_in(&folder);
        assert!(run.step("a good one", |log| log.line("fine").map(|()| "noted".to_owned())));
        assert!(!run.command("a bad one", crate::process::command("false")));
        assert!(!run.command("no such program", crate::process::command("no-such-program")));
        assert!(!run.finish());
        assert_eq!((run.passed, run.failed), (1, 2));
        let log = std::fs::read_to_string(folder.join("a-bad-one.log")).unwrap();
        assert!(log.starts_with("$ false\nerror: false ended with"), "{log}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
