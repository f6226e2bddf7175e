//! The verifiers: three of other people, and our own auditor in two forms.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Site;
use super::damage::Work;
use super::log::Log;
use crate::process::{Server, free_port, limited};
use crate::run::Log as StepLog;
use crate::{install, workspace};

/// A key that signed none of our logs.
pub(super) const STRANGER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

/// What a verifier says of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passes,
    /// With its words.
    Finds(String),
    /// It gave no answer in time; counts as found: nobody would trust such a log.
    Hangs,
    /// It fell over.
    Crashes,
}

impl Verdict {
    pub(super) fn found(&self) -> bool {
        *self != Self::Passes
    }
}

#[derive(Debug)]
pub(crate) struct Tools {
    folder: PathBuf,
    countersign: String,
}

/// What `countersign ledger prove` says.
pub(super) struct Receipt {
    pub(super) entry: String,
    pub(super) proof: String,
}

impl Tools {
    /// Builds the programs of `tests/foreign` from its pinned modules.
    pub(crate) fn build(log: &StepLog) -> Result<Self> {
        let go = install::go(log)?;
        let folder = workspace::target_directory().join("xtask/foreign/bin");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for package in [".", "filippo.io/torchwood/cmd/litewitness"] {
            let mut build = limited(900, &go.display().to_string());
            build
                .current_dir(workspace::root().join("tests/foreign"))
                .args(["build", "-mod=readonly", "-trimpath", "-o"])
                .arg(&folder)
                .arg(package);
            log.run(&mut build)?;
        }
        Ok(Self {
            folder,
            countersign: countersign().get_program().to_string_lossy().into_owned(),
        })
    }

    pub(crate) fn foreign(&self, seconds: u32, verb: &str) -> Command {
        let mut foreign = limited(seconds, &self.folder.join("foreign").display().to_string());
        foreign.arg(verb);
        foreign
    }

    pub(super) fn litewitness(&self) -> PathBuf {
        self.folder.join("litewitness")
    }

    fn verifier(&self, verb: &str, log: &Log, more: &[&str]) -> Result<Verdict> {
        let mut verifier = self.foreign(60, verb);
        verifier
            .args(["-limit", "20s", "-log", &log.at, "-key"])
            .arg(&log.key);
        verdict(&verifier.args(more).output()?)
    }

    pub(crate) fn fsck(&self, log: &Log) -> Result<Verdict> {
        self.verifier("fsck", log, &[])
    }

    pub(super) fn proof(&self, log: &Log, entry: &str, proof: &Path, policy: &Path) -> Result<Verdict> {
        let (proof, policy) = (proof.display().to_string(), policy.display().to_string());
        let more = ["-entry", entry, "-proof", &proof, "-policy", &policy];
        self.verifier("proof", log, &more)
    }

    /// Our auditor.
    pub(crate) fn audit(&self, log: &Log, more: &[&str]) -> Result<Verdict> {
        let mut audit = limited(60, &self.countersign);
        audit.args(["ledger", "audit", &log.at, "--key"]).arg(&log.key);
        verdict(&audit.args(more).output()?)
    }

    /// Those that need no memory, on a log that should be whole.
    pub(super) fn everybody(&self, log: &Log) -> Result<Vec<(&'static str, Verdict)>> {
        Ok(vec![
            ("Tessera fsck", self.fsck(log)?),
            ("x/mod/sumdb", self.verifier("sumdb", log, &[])?),
            ("torchwood client", self.verifier("torchwood", log, &[])?),
            ("countersign audit", self.audit(log, &["--opaque"])?),
        ])
    }

    /// The columns of the page.
    pub(super) fn all_columns(&self, work: &Work<'_>, site: &Site) -> Result<Vec<(&'static str, Verdict)>> {
        let log = &work.log;
        let newest = site.newest.display().to_string();
        let port = free_port()?;
        let mut serve = self.foreign(600, "serve");
        serve.args(["-listen", &format!("127.0.0.1:{port}"), "-folder", &log.at]);
        let mut server = Server::start("serve", serve, &site.folder)?;
        server.wait_for_port(port)?;
        let by_url = Log::at_url(&format!("http://127.0.0.1:{port}"), &log.key);
        let state = work.state.display().to_string();
        Ok(vec![
            ("Tessera fsck", self.fsck(log)?),
            ("x/mod/sumdb", self.verifier("sumdb", log, &[])?),
            (
                "x/mod/sumdb, newest seen",
                self.verifier("sumdb", log, &[&newest])?,
            ),
            ("torchwood client", self.verifier("torchwood", log, &[])?),
            ("countersign, URL", self.audit(&by_url, &[])?),
            (
                "countersign, URL with state",
                self.audit(&by_url, &["--state", &state])?,
            ),
            ("countersign, directory", self.audit(log, &[])?),
        ])
    }

    /// Has an audit see the log whole, and remember it.
    pub(super) fn remember(&self, site: &Site) -> Result<()> {
        let state = site.folder.join("seen.state");
        match self.audit(&site.log, &["--state", &state.display().to_string()])? {
            Verdict::Passes => Ok(()),
            verdict => bail!("the audit to be remembered says {verdict:?}"),
        }
    }

    /// Our monitor, without a memory: the number of entries that it shows, or why it does not.
    pub(super) fn watch(&self, log: &Log) -> Result<std::result::Result<usize, String>> {
        let mut watch = limited(60, &self.countersign);
        watch
            .args(["ledger", "watch", "--once", &log.at, "--key"])
            .arg(&log.key);
        let output = watch.output().context("cannot run countersign ledger watch")?;
        if output.status.success() {
            return Ok(Ok(output.stdout.split(|byte| *byte == b'\n').count() - 1));
        }
        Ok(Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    pub(super) fn receipt(&self, log: &Log, fingerprint: &str, policy: &Path) -> Result<Receipt> {
        let mut prove = limited(60, &self.countersign);
        prove.args(["--json", "ledger", "prove", &log.at, "--fingerprint", fingerprint]);
        prove.arg("--policy").arg(policy);
        let output = prove.output().context("cannot run countersign ledger prove")?;
        let told: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Receipt {
            entry: text("entry").context("no entry")?,
            proof: text("proof").context("no proof")?,
        })
    }

    pub(super) fn write_tessera(&self, folder: &Path, count: u32) -> Result<()> {
        let mut write = self.foreign(120, "write");
        write
            .arg("-folder")
            .arg(folder)
            .args(["-count", &count.to_string()]);
        let output = write.output().context("cannot run Tessera")?;
        let words = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{}", words.trim());
        Ok(())
    }
}

/// The program under test.
pub(crate) fn countersign() -> Command {
    let program = workspace::target_directory().join("release/countersign");
    crate::process::command(&program.display().to_string())
}

/// 0 passes, 1 finds; a Go program that falls over ends with 2.
fn verdict(output: &Output) -> Result<Verdict> {
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words
        .lines()
        .find(|line| !line.starts_with('I'))
        .unwrap_or_default();
    Ok(match output.status.code() {
        Some(0) => Verdict::Passes,
        Some(1) if words.contains("timed out") => Verdict::Hangs,
        Some(1) => Verdict::Finds(last.chars().take(160).collect()),
        Some(2) if words.contains("panic:") => Verdict::Crashes,
        Some(124 | 137) => Verdict::Hangs,
        code => bail!("ended with {code:?}: {}", words.trim()),
    })
}
