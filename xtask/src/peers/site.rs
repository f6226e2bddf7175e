//! The processes of one site, and what a test asks of them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::{Server, command, free_port, limited, wait_for, write};
use crate::{http, json, workspace};

/// A decision is in the log before its answer; the file system needs no longer than this to show it.
const LOG_MAX: Duration = Duration::from_secs(5);
/// No node program of ours runs longer.
const PROGRAM_SECONDS: u32 = 600;
const SCOPE: &str = "mail.read";

/// nginx in front of a backend, asking a gate. Stopped when dropped.
pub(super) struct Site {
    folder: PathBuf,
    nginx_port: u16,
    gate_port: u16,
    _nginx: Server,
    _backend: Server,
    countersign: Option<Server>,
}

impl Site {
    /// Starts all of it in `target/xtask/peers/NAME`, with the built-in demonstration or with this configuration.
    pub(super) fn start(name: &str, config: Option<&str>) -> Result<Self> {
        let folder = fresh_folder(name)?;
        let (gate_port, backend_port, nginx_port) = (free_port()?, free_port()?, free_port()?);
        let mut serve = command(&binary());
        serve
            .arg("--json")
            .arg("serve")
            .arg("--data")
            .arg(folder.join("data"));
        serve.arg("--listen").arg(format!("127.0.0.1:{gate_port}"));
        if let Some(config) = config {
            write(&folder.join("countersign.toml"), config)?;
            serve.arg("--config").arg(folder.join("countersign.toml"));
        }
        let mut countersign = Server::start("countersign", serve, &folder)?;
        let mut backend = Server::start(
            "backend",
            node("backend.mjs", &[&backend_port.to_string()]),
            &folder,
        )?;
        let mut nginx = Server::start(
            "nginx",
            nginx(&folder, gate_port, backend_port, nginx_port)?,
            &folder,
        )?;
        countersign.wait_for_port(gate_port)?;
        backend.wait_for_port(backend_port)?;
        nginx.wait_for_port(nginx_port)?;
        Ok(Self {
            folder,
            nginx_port,
            gate_port,
            _nginx: nginx,
            _backend: backend,
            countersign: Some(countersign),
        })
    }

    /// A path in the data directory.
    pub(super) fn data(&self, path: &str) -> String {
        self.folder.join("data").join(path).display().to_string()
    }

    /// The issuers in the order in which `serve` lists them: the consumer one, then the tenants.
    pub(super) fn issuer(&self, index: usize) -> Result<String> {
        let up = wait_for(LOG_MAX, || {
            let text = std::fs::read_to_string(self.folder.join("countersign.out")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let up = up.context("countersign serve --json did not say that it is up")?;
        let issuer = up
            .get("issuers")
            .and_then(|it| it.get(index))
            .and_then(Value::as_str);
        Ok(issuer
            .context("countersign serve --json lists no such issuer")?
            .to_owned())
    }

    /// A token that the thief of a key signs: perfect in form, and issued by nobody.
    pub(super) fn forge(&self, key_of: &str, issuer: &str, audience: &str) -> Result<String> {
        let mut forge = limited(60, &binary());
        forge
            .args(["token", "forge", "--data"])
            .arg(self.folder.join("data"));
        forge.args([
            "--key-of",
            key_of,
            "--issuer",
            issuer,
            "--audience",
            audience,
            "--subject",
            "alice",
        ]);
        forge.args(["--scope", SCOPE]);
        let output = forge.output().context("cannot run countersign token forge")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "countersign token forge: {}",
            words.trim()
        );
        Ok(String::from_utf8(output.stdout)
            .context("the token is not text")?
            .trim()
            .to_owned())
    }

    /// nginx answers 401, and the decision log says why.
    pub(super) fn refused(&self, path: &str, token: Option<&str>, reason: &str) -> Result<String> {
        let header = format!("Bearer {}", token.unwrap_or_default());
        let headers = [("Authorization", header.as_str())];
        let answer = http::get(
            self.nginx_port,
            path,
            if token.is_some() { &headers } else { &[] },
        )?;
        ensure!(answer.status == 401, "nginx answered {}", answer.status);
        ensure!(
            !answer.body.contains(reason),
            "the answer tells the forger the reason"
        );
        let decision = self.decision("path", path)?;
        let found = decision.get("reason").and_then(Value::as_str);
        ensure!(found == Some(reason), "the decision log says {found:?}");
        ensure!(
            decision.get("decision") == Some(&"refuse".into()),
            "the decision log does not say refuse"
        );
        Ok(format!("401, {reason}"))
    }

    /// What nginx answers to a request with this token.
    pub(super) fn status(&self, path: &str, token: &str) -> Result<u16> {
        let header = format!("Bearer {token}");
        Ok(http::get(self.nginx_port, path, &[("Authorization", &header)])?.status)
    }

    /// From here on nobody answers nginx.
    pub(super) fn stop_gate(&mut self) {
        self.countersign = None;
    }

    /// Answers nginx once in the gate's place, with these bytes or with silence.
    pub(super) fn answer_for_gate(&self, answer: Option<&'static str>) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.gate_port))
            .context("the gate's port is not free")?;
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            // The port is free again before nginx hears anything.
            drop(listener);
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request)?;
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()),
                // Until nginx gives up.
                None => stream.read(&mut request).map(drop),
            }
        });
        Ok(())
    }

    /// The newest line of the decision log with this member.
    pub(super) fn decision(&self, member: &str, value: &str) -> Result<Value> {
        let look = || {
            let log = std::fs::read_to_string(self.data("decisions.ndjson")).ok()?;
            let mut lines = log
                .lines()
                .rev()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|it| it.get(member).and_then(Value::as_str) == Some(value))
        };
        wait_for(LOG_MAX, look).with_context(|| format!("no decision with {member} {value:?} is in the log"))
    }
}

/// Somebody else's provider.
pub(super) struct Provider {
    pub(super) issuer: String,
    secret_file: PathBuf,
    _server: Server,
}

impl Provider {
    /// Its one client, as `client.mjs` takes it.
    pub(super) fn client(&self) -> Value {
        json::object([
            ("id", "peer-app".into()),
            ("secretFile", self.secret_file.display().to_string().into()),
            ("metadata", "oidc".into()),
        ])
    }
}

/// Starts an oidc-provider with a key of its own and one client.
pub(super) fn provider(name: &'static str, audience: &str) -> Result<Provider> {
    const SECRET: &str = "a secret of this test alone";
    let folder = fresh_folder(name)?;
    let secret_file = folder.join("secret");
    write(&secret_file, SECRET)?;
    let port = free_port()?;
    let arguments = [&port.to_string(), "peer-app", SECRET, audience, SCOPE];
    let mut server = Server::start(name, node("provider.mjs", &arguments), &folder)?;
    server.wait_for_port(port)?;
    Ok(Provider {
        issuer: format!("http://127.0.0.1:{port}"),
        secret_file,
        _server: server,
    })
}

/// Runs the certified client: what each of its clients got.
pub(super) fn client(site: &Site, issuer: &str, clients: &[Value]) -> Result<Vec<Value>> {
    let task = json::object([
        ("issuer", issuer.into()),
        (
            "backend",
            format!("http://127.0.0.1:{}/mailbox", site.nginx_port).into(),
        ),
        ("scope", SCOPE.into()),
        ("resource", super::AUDIENCE.into()),
        ("clients", clients.into()),
    ]);
    let output = node("client.mjs", &[&task.to_string()])
        .output()
        .context("cannot run node")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the client failed: {}", words.trim());
    serde_json::from_slice(&output.stdout).context("the client printed no JSON")
}

fn node(program: &str, arguments: &[&str]) -> Command {
    let mut node = limited(PROGRAM_SECONDS, "node");
    node.arg(workspace::root().join("tests/peers").join(program))
        .args(arguments);
    node
}

fn binary() -> String {
    workspace::target_directory()
        .join("release/countersign")
        .display()
        .to_string()
}

/// An empty folder below the target folder; it is left there to be looked at.
fn fresh_folder(name: &str) -> Result<PathBuf> {
    let folder = workspace::target_directory().join("xtask/peers").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // The processes get absolute paths: they do not all run in our folder.
    folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", folder.display()))
}

/// nginx with the configuration that the manual shows, its addresses replaced.
fn nginx(folder: &Path, gate: u16, backend: u16, port: u16) -> Result<Command> {
    const DOCUMENTED: &str = "docs/gate/nginx.conf";
    let text = std::fs::read_to_string(workspace::root().join(DOCUMENTED));
    let text = text.with_context(|| format!("cannot read {DOCUMENTED}"))?;
    let config = folder.join("nginx.conf");
    write(&config, &moved(&text, gate, backend, port)?)?;
    let mut nginx = command("nginx");
    nginx
        .arg("-p")
        .arg(folder)
        .args(["-e", "stderr", "-g", "daemon off;", "-c"])
        .arg(config);
    Ok(nginx)
}

fn moved(documented: &str, gate: u16, backend: u16, port: u16) -> Result<String> {
    let mut moved = documented.to_owned();
    for (from, to) in [
        ("server 127.0.0.1:8420;", format!("server 127.0.0.1:{gate};")),
        ("server 127.0.0.1:9000;", format!("server 127.0.0.1:{backend};")),
        ("listen 8080;", format!("listen 127.0.0.1:{port};")),
    ] {
        ensure!(
            moved.contains(from),
            "the documented configuration has no line `{from}`"
        );
        moved = moved.replace(from, &to);
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_address_that_is_gone_is_found() {
        let text = "server 127.0.0.1:8420; # gate\nserver 127.0.0.1:9000;\nlisten 8080;";
        let wanted = "server 127.0.0.1:1; # gate\nserver 127.0.0.1:2;\nlisten 127.0.0.1:3;";
        assert_eq!(moved(text, 1, 2, 3).unwrap(), wanted);
        assert!(moved(&text.replace("8420", "8421"), 1, 2, 3).is_err());
    }
}
