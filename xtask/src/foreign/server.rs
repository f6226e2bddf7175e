//! `countersign serve`, and clients that ask it for tokens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::tools::{Tools, countersign};
use crate::process::{Server, wait_for};
use crate::{http, workspace};

const CLIENT: &str = "mail-app";
/// From listening to the document that says so.
const UP_MAX: Duration = Duration::from_secs(10);
/// A checkpoint follows the last entry sooner.
const PUBLISHED_MAX: Duration = Duration::from_secs(20);

pub(super) struct Authority {
    data: PathBuf,
    port: u16,
    issuer: String,
    server: Server,
}

impl Authority {
    /// Starts it; a data directory belongs to one address for ever.
    pub(super) fn start(data: &Path, folder: &Path, port: u16) -> Result<Self> {
        Self::start_with(data, folder, port, None)
    }

    /// Starts it with a configuration.
    pub(super) fn start_with(data: &Path, folder: &Path, port: u16, config: Option<&Path>) -> Result<Self> {
        let mut serve = countersign();
        serve.args(["--json", "serve", "--data"]).arg(data);
        serve.arg("--listen").arg(format!("127.0.0.1:{port}"));
        if let Some(config) = config {
            serve.arg("--config").arg(config);
        }
        let mut server = Server::start("countersign", serve, folder)?;
        server.wait_for_port(port)?;
        let issuer = issuer(&mut server, folder)?;
        Ok(Self {
            data: data.to_owned(),
            port,
            issuer,
            server,
        })
    }

    pub(super) fn ledger_url(&self) -> String {
        format!("http://127.0.0.1:{}/ledger", self.port)
    }

    /// Has so many tokens issued; the fingerprint of one of the last.
    pub(super) fn issue(&mut self, tools: &Tools, count: u32) -> Result<String> {
        let mut load = tools.foreign(300, "load");
        load.args(["-token-endpoint", &format!("{}/token", self.issuer)])
            .args(["-client", CLIENT, "-count", &count.to_string(), "-secret-file"])
            .arg(self.data.join(format!("clients/{CLIENT}.secret")));
        let output = load.output().context("cannot run the load")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", words.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Waits until the checkpoint stands still: everything that was appended is published.
    pub(super) fn wait_until_published(&self) -> Result<()> {
        let checkpoint = || http::get(self.port, "/ledger/checkpoint", &[]).ok();
        let mut last = checkpoint();
        let mut alike = 0;
        wait_for(PUBLISHED_MAX, || {
            let now = checkpoint();
            alike = if now.as_ref().map(|it| &it.body) == last.as_ref().map(|it| &it.body) {
                alike + 1
            } else {
                0
            };
            last = now;
            (alike > 10).then_some(())
        })
        .context("the checkpoint never stands still")
    }

    /// Asks it to stop, and waits for a good end.
    pub(super) fn stop(self) -> Result<()> {
        self.server.end()
    }
}

/// The second issuer that the server in this folder says it has. Not waited for once it has ended.
pub(crate) fn issuer(server: &mut Server, folder: &Path) -> Result<String> {
    let up = wait_for(UP_MAX, || {
        let running = server.is_running();
        let text = std::fs::read_to_string(folder.join("countersign.out")).ok()?;
        let up = serde_json::from_str::<Value>(&text).ok();
        (up.is_some() || !running).then_some(up)
    });
    let issuer = up
        .as_ref()
        .and_then(|it| it.as_ref()?.get("issuers")?.get(1)?.as_str());
    Ok(issuer.context("serve lists no second issuer")?.to_owned())
}

/// An empty folder below the target folder; it is left there to be looked at.
pub(crate) fn fresh_folder(name: &str) -> Result<PathBuf> {
    let folder = workspace::target_directory().join("xtask/foreign").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", folder.display()))
}
