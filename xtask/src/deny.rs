//! Licences, sources, doubles, rival crypto libraries; advisories when their database can be reached.

use anyhow::Result;

use crate::process::limited;
use crate::run::Run;
use crate::{install, workspace};

const DATABASE: &str = "https://github.com/RustSec/advisory-db";

pub(crate) fn run(run: &mut Run) {
    let mut program = None;
    let found = run.step("deny: cargo-deny is there", |log| {
        program = Some(install::cargo_deny(log)?);
        Ok(String::new())
    });
    let Some(program) = program.filter(|_| found) else {
        return;
    };
    let check = |what: &[&str]| {
        let mut deny = limited(300, &program.to_string_lossy());
        deny.current_dir(workspace::root()).args([
            "--locked",
            "check",
            "-D",
            "unmatched-skip",
            "-D",
            "unnecessary-skip",
        ]);
        deny.args(what);
        deny
    };
    run.command(
        "deny: bans, licences, sources",
        check(&["bans", "licenses", "sources"]),
    );
    run.step("deny: advisories", |log| -> Result<String> {
        if !is_reachable() {
            return Ok(format!("NOT CHECKED: {DATABASE} cannot be reached from here"));
        }
        log.run(&mut check(&["advisories"]))?;
        Ok(String::new())
    });
}

fn is_reachable() -> bool {
    let mut git = limited(30, "git");
    git.args(["ls-remote", "--exit-code", DATABASE, "HEAD"])
        .env("GIT_TERMINAL_PROMPT", "0");
    git.output().is_ok_and(|it| it.status.success())
}
