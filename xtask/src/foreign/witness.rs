//! torchwood's litewitness and our own witness, both asked by torchwood's client: each cosigns what grows and refuses
//! what does not. And our server that asks litewitness by itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::Site;
use super::log::Log;
use super::server::{Authority, fresh_folder};
use super::tools::{Tools, Verdict, countersign};
use crate::process::{Server, command, free_port, wait_for, write};
use crate::run::Log as StepLog;

/// Whose witness it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Make {
    Litewitness,
    Ours,
}

pub(super) fn drill(tools: &Tools, site: &Site, log: &StepLog, make: Make) -> Result<String> {
    let folder = fresh_folder(match make {
        Make::Litewitness => "witness",
        Make::Ours => "witness-ours",
    })?;
    let mut witness = Witness::start(tools, site, &folder, make)?;
    if make == Make::Litewitness {
        witness.introduce(log)?;
    }
    // The log as it was, with all the tiles that it needed then.
    let before = folder.join("before");
    let mut copy = command("cp");
    copy.arg("-a").arg(site.log.folder()).arg(&before);
    log.run(&mut copy)?;
    std::fs::copy(&site.older, before.join("checkpoint")).context("there is no older checkpoint")?;
    let before = Log::in_folder(&before);

    witness.cosigns("the first checkpoint", &before)?;
    let cosignature = witness.cosigns("the one that grew", &site.log)?;
    witness.refuses("a fork of the same size", &site.fork, &[], "status 422")?;
    witness.refuses("an older checkpoint", &before, &[], "status 400")?;
    witness.refuses(
        "an older one as if it were new",
        &before,
        &["-old", "0"],
        "status 409",
    )?;
    witness.restart()?;
    witness.refuses("a fork after a restart", &site.fork, &[], "status 422")?;
    policy(tools, site, &folder, &witness.vkey, &cosignature)
}

/// A witness that runs.
struct Witness<'a> {
    make: Make,
    tools: &'a Tools,
    key: &'a Path,
    folder: &'a Path,
    port: u16,
    vkey: String,
    server: Option<Server>,
}

impl<'a> Witness<'a> {
    fn start(tools: &'a Tools, site: &'a Site, folder: &'a Path, make: Make) -> Result<Self> {
        let logs = format!("log {}\nquorum none\n", site.log.vkey()?);
        write(&folder.join("logs"), &logs)?;
        let mut witness = Self {
            make,
            tools,
            key: &site.log.key,
            folder,
            port: free_port()?,
            vkey: String::new(),
            server: None,
        };
        witness.restart()?;
        // The first line: Ed25519, which torchwood reads. Ours has a second key, ML-DSA-44.
        let file = folder.join(match make {
            Make::Litewitness => "witness.out",
            Make::Ours => "data/witness.vkey",
        });
        let printed = wait_for(Duration::from_secs(5), || {
            let text = std::fs::read_to_string(&file).ok()?;
            text.split_once('\n').map(|(line, _)| line.to_owned())
        });
        witness.vkey = printed.context("the witness does not tell its key")?;
        Ok(witness)
    }

    fn database(&self) -> PathBuf {
        self.folder.join("witness.db")
    }

    fn restart(&mut self) -> Result<()> {
        self.server = None;
        let listen = format!("127.0.0.1:{}", self.port);
        let start = match self.make {
            Make::Litewitness => {
                let mut start = self.tools.foreign(300, "witness");
                start.arg("-litewitness").arg(self.tools.litewitness());
                start.arg("-db").arg(self.database());
                start.args(["-listen", &listen]);
                start
            }
            Make::Ours => {
                let mut start = countersign();
                start.args([
                    "ledger",
                    "witness",
                    "--name",
                    "witness.example/ours",
                    "--listen",
                    &listen,
                ]);
                start.arg("--logs").arg(self.folder.join("logs"));
                start.arg("--data").arg(self.folder.join("data"));
                start
            }
        };
        let mut server = Server::start("witness", start, self.folder)?;
        server.wait_for_port(self.port)?;
        self.server = Some(server);
        Ok(())
    }

    /// Tells it of the log.
    fn introduce(&self, log: &StepLog) -> Result<()> {
        let mut introduce = self.tools.foreign(60, "witness-db");
        introduce.arg("-db").arg(self.database());
        log.run(introduce.arg("-key").arg(self.key))
    }

    fn submit(&self, log: &Log, more: &[&str]) -> Result<Result<String, String>> {
        let mut submit = self.tools.foreign(60, "submit");
        submit.args(["-log", &log.at, "-key"]).arg(self.key);
        submit.args(["-witness", &format!("http://127.0.0.1:{}", self.port)]);
        submit.args(["-witness-key", &self.vkey]);
        let output = submit.args(more).output().context("cannot submit")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        })
    }

    /// The cosignature: torchwood has verified it.
    fn cosigns(&self, name: &str, log: &Log) -> Result<String> {
        self.submit(log, &[])?
            .map_err(|words| anyhow!("{name} is refused: {words}"))
    }

    fn refuses(&self, name: &str, log: &Log, more: &[&str], status: &str) -> Result<()> {
        let words = self.submit(log, more)?.err().unwrap_or_default();
        ensure!(
            words.contains(status),
            "{name}: expected {status}, found {words:?}"
        );
        Ok(())
    }
}

/// A policy with a quorum: the cosigned checkpoint satisfies it, the bare one does not.
fn policy(tools: &Tools, site: &Site, folder: &Path, vkey: &str, cosignature: &str) -> Result<String> {
    let policy = folder.join("policy");
    write(
        &policy,
        &format!(
            "log {}\nwitness lite {vkey}\ngroup all-of-them all lite\nquorum all-of-them\n",
            site.log.vkey()?
        ),
    )?;
    let cosigned = folder.join("cosigned");
    std::fs::create_dir_all(&cosigned).context("cannot create a folder")?;
    let note = std::fs::read_to_string(site.log.folder().join("checkpoint")).context("no checkpoint")?;
    let satisfied = |note: &str| -> Result<bool> {
        write(&cosigned.join("checkpoint"), note)?;
        let mut check = tools.foreign(60, "policy");
        check.arg("-log").arg(&cosigned).arg("-key").arg(&site.log.key);
        Ok(check.arg("-policy").arg(&policy).output()?.status.success())
    };
    ensure!(
        satisfied(&format!("{note}{cosignature}"))?,
        "the cosigned checkpoint does not satisfy the policy"
    );
    ensure!(
        !satisfied(&note)?,
        "the bare checkpoint satisfies a policy with a quorum"
    );
    Ok("422 for a fork, 400 and 409 for a rollback, over a restart".to_owned())
}

/// Our server asks litewitness by itself; its receipt then meets a quorum that torchwood checks.
pub(super) fn asked_by_us(tools: &Tools, site: &Site, log: &StepLog) -> Result<String> {
    let folder = fresh_folder("witness-asked")?;
    let witness = Witness::start(tools, site, &folder, Make::Litewitness)?;
    witness.introduce(log)?;
    let policy = folder.join("policy");
    let quorum = format!(
        "witness lite {} http://127.0.0.1:{}\nquorum lite\n",
        witness.vkey, witness.port
    );
    write(&policy, &format!("log {}\n{quorum}", site.log.vkey()?))?;

    let data = site
        .log
        .folder()
        .parent()
        .context("the log lies in no data directory")?;
    let shown = countersign().args(["config", "show"]).output()?;
    let config = String::from_utf8_lossy(&shown.stdout).replace(
        "witness_interval_seconds = 10",
        &format!(
            "witness_interval_seconds = 1\nwitnesses = {:?}",
            policy.display().to_string()
        ),
    );
    let config_file = folder.join("config.toml");
    write(&config_file, &config)?;
    let server = Authority::start_with(data, &folder, site.port, Some(&config_file))?;
    let witnessed = site.log.folder().join("checkpoint.witnessed");
    let found = wait_for(Duration::from_secs(20), || {
        let text = std::fs::read_to_string(&witnessed).ok()?;
        text.contains("witness.example/lite ").then_some(())
    });
    found.context("no cosigned checkpoint")?;
    server.stop()?;

    let receipt = tools.receipt(&site.log, &site.fingerprint, &policy)?;
    let proof = folder.join("receipt.tlog-proof");
    write(&proof, &receipt.proof)?;
    let passes = |proof: &Path| tools.proof(&site.log, &receipt.entry, proof, &policy);
    ensure!(
        passes(&proof)? == Verdict::Passes,
        "torchwood refuses our cosigned proof"
    );
    let bare: Vec<&str> = receipt
        .proof
        .split_inclusive('\n')
        .filter(|line| !line.contains("witness.example/lite "))
        .collect();
    write(&proof, &bare.concat())?;
    ensure!(
        passes(&proof)? != Verdict::Passes,
        "torchwood takes the proof without its cosignature"
    );
    Ok("torchwood takes the receipt with its quorum, and not without".to_owned())
}
