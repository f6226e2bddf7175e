//! Other programs: how they are called, started, waited for and always stopped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often something outside is looked at again.
const POLL: Duration = Duration::from_millis(50);
/// A server on loopback is up within this, even on a busy machine.
const START_MAX: Duration = Duration::from_mins(1);
/// After this a server that was asked to stop is killed.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A program, called without what cargo added to our own environment: a nested cargo would see it as a change.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let of_cargo = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name.starts_with("CARGO_BIN_")
        });
        if of_cargo {
            command.env_remove(&name);
        }
    }
    command
}

/// The same with a limit: ended after `seconds`, killed ten seconds later.
pub(crate) fn limited(seconds: u32, program: &str) -> Command {
    let mut limited = command("timeout");
    limited
        .arg("--kill-after=10")
        .arg(seconds.to_string())
        .arg(program);
    limited
}

/// The cargo that runs us.
pub(crate) fn cargo(seconds: u32) -> Command {
    let mut cargo = limited(seconds, "cargo");
    cargo.current_dir(crate::workspace::root());
    cargo
}

/// Whether a program of this name stands in `PATH`.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A port of loopback that is free now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr().context("no free port")?.port())
}

/// Whether something listens there.
pub(crate) fn listens(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Looks again and again until there is something, or the time is over.
pub(crate) fn wait_for<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if started.elapsed() > limit {
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "another process can only be polled")]
        std::thread::sleep(POLL);
    }
}

/// A program that runs beside us until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it with its output in `folder/NAME.log` (standard output in `NAME.out`).
    pub(crate) fn start(name: &'static str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let create = |path: &Path| {
            std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))
        };
        command
            .stdin(Stdio::null())
            .stdout(create(&folder.join(format!("{name}.out")))?)
            .stderr(create(&log)?);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until it listens; an error with its last words when it ends instead.
    pub(crate) fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let outcome = wait_for(START_MAX, || match self.child.try_wait() {
            Ok(None) => listens(port).then_some(true),
            _ => Some(false),
        });
        if outcome == Some(true) {
            return Ok(());
        }
        let words = std::fs::read_to_string(&self.log).unwrap_or_default();
        let ended = if outcome.is_none() {
            "does not listen"
        } else {
            "ended"
        };
        bail!("{} {ended} (port {port}): {}", self.name, words.trim());
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop; an error with its last words unless it ends well.
    pub(crate) fn end(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        asked.with_context(|| format!("cannot stop {}", self.name))?;
        let status = wait_for(START_MAX, || self.child.try_wait().ok().flatten());
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        let words = std::fs::read_to_string(&self.log).unwrap_or_default();
        bail!("{} ended with {status:?}: {}", self.name, words.trim());
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, then insists.
    fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let asked = Command::new("kill").arg(self.child.id().to_string()).status();
            let ended = || self.child.try_wait().ok().flatten();
            if asked.is_err() || wait_for(STOP_MAX, ended).is_none() {
                self.kill();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A folder of its own that goes when this is dropped, unless it is kept to be looked at.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    pub(crate) keep: bool,
}

impl Scratch {
    pub(crate) fn create(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("countersign-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path, keep: false })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes a file of a test.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a developer tool's file need not survive a crash"
    )]
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_waited_for_and_stopped() {
        let folder = Scratch::create("server-test").unwrap();
        let port = free_port().unwrap();
        let mut python = command("python3");
        python
            .args(["-m", "http.server", "--bind", "127.0.0.1"])
            .arg(port.to_string())
            .current_dir(&folder.path);
        let mut server = Server::start("python", python, &folder.path).unwrap();
        server.wait_for_port(port).unwrap();
        drop(server);
        assert!(!listens(port));
    }

    #[test]
    fn a_server_that_ends_is_reported_with_its_last_words() {
        let folder = Scratch::create("dead-server-test").unwrap();
        let mut shell = command("sh");
        shell.args(["-c", "echo no config >&2; exit 3"]);
        let mut server = Server::start("sh", shell, &folder.path).unwrap();
        let error = server.wait_for_port(free_port().unwrap()).unwrap_err();
        assert!(error.to_string().ends_with("no config"), "{error}");
    }

    #[test]
    fn waiting_ends() {
        assert_eq!(wait_for(Duration::from_millis(1), || None::<()>), None);
    }
}
