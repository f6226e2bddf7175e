//! What a newcomer does: a clean clone, the commands of the README, then the lines that `serve` prints, all as printed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::process::{Scratch, Server, command, limited, listens, wait_for, write};
use crate::run::{Log, Run};
use crate::{install, workspace};

/// Where `serve` listens when nobody says otherwise.
const PORT: u16 = 8420;
/// The README's commands, as they must stand there.
const SERVE: &str = "cargo run --release -- serve";
const TEST: &str = "cargo xtask test";
/// How the README's other commands begin; each must succeed as it stands there.
const RUN: &str = "cargo run --release -- ";
/// What a call of the gate contains, and no path of a folder: a clone may stand below one that is called `check`.
const CHECK: &str = "/check?";
/// A release build on a slow machine.
const BUILD_SECONDS: u32 = 1500;
/// From listening to the last line of the banner.
const BANNER_MAX: Duration = Duration::from_secs(10);

pub(crate) fn run(run: &mut Run) {
    let mut scratch = None;
    run.step("first-run: a folder of its own", |_| {
        scratch = Some(Scratch::create("first-run")?);
        Ok(String::new())
    });
    let Some(scratch) = scratch else { return };
    let clone = scratch.path.join("countersign");
    let mut commands = Vec::new();
    let cloned = run.step("first-run: clean clone, commands of the README", |log| {
        install::programs(&["curl", "git"], log)?;
        log.run(
            limited(120, "git")
                .args(["clone", "--quiet"])
                .arg(workspace::root())
                .arg(&clone),
        )?;
        let readme = std::fs::read_to_string(clone.join("README.md")).context("there is no README.md")?;
        commands = fenced_commands(&readme);
        for wanted in [SERVE, TEST] {
            ensure!(
                commands.iter().any(|it| it == wanted),
                "README.md does not show `{wanted}`"
            );
        }
        Ok(String::new())
    });
    if !cloned {
        return;
    }
    // The README's second command is the one that runs this: its quick part shows that it works there.
    run.step("first-run: cargo xtask test tidy", |log| {
        let mut test = in_clone(&clone, limited(BUILD_SECONDS, "bash"));
        log.run(test.args(["-c", &format!("{TEST} tidy")]))?;
        Ok(String::new())
    });
    let built = run.step("first-run: release build", |log| {
        seed(log)?;
        let mut build = in_clone(&clone, limited(BUILD_SECONDS, "cargo"));
        log.run(build.args(["build", "--release", "--bin", "countersign"]))?;
        Ok(String::new())
    });
    if !built {
        return;
    }
    run.step("first-run: serve, and every line it prints", |log| {
        serve(&scratch, &clone, log)
    });
    for shown in commands.iter().filter(|it| it.starts_with(RUN) && *it != SERVE) {
        let mut shell = in_clone(&clone, limited(300, "bash"));
        shell.args(["-c", shown]);
        run.command(&format!("first-run: {shown}"), shell);
    }
}

/// Runs in the clone, with a target folder of its own. The checkout's would do harm: cargo tells clones apart by the
/// age of their files alone, and would afterwards take what was built here for the checkout's.
fn in_clone(clone: &Path, mut command: std::process::Command) -> std::process::Command {
    command
        .current_dir(clone)
        .env("CARGO_TARGET_DIR", target_directory());
    command
}

/// Kept between runs, so that the dependencies are built once.
fn target_directory() -> std::path::PathBuf {
    workspace::target_directory().join("xtask/first-run")
}

/// The first time, the dependencies that the checkout has already built are copied.
fn seed(log: &Log) -> Result<()> {
    let built = workspace::target_directory().join("release");
    let own = target_directory();
    std::fs::create_dir_all(&own).with_context(|| format!("cannot create {}", own.display()))?;
    if built.is_dir() && !own.join("release").exists() {
        log.run(command("cp").arg("-a").arg(built).arg(own))?;
    }
    Ok(())
}

fn serve(scratch: &Scratch, clone: &Path, log: &Log) -> Result<String> {
    ensure!(!listens(PORT), "port {PORT} is taken: stop what listens there");
    let mut shell = in_clone(clone, command("bash"));
    shell.args(["-c", &format!("exec {SERVE}")]);
    let mut server = Server::start("serve", shell, &scratch.path)?;
    server.wait_for_port(PORT)?;
    let printed = || std::fs::read_to_string(scratch.path.join("serve.out")).unwrap_or_default();
    let banner = wait_for(BANNER_MAX, || Some(printed()).filter(|it| it.contains("Ctrl-C")));
    let banner = banner.context("serve listens and does not say so")?;
    log.line(&banner)?;
    let lines = printed_commands(&banner);
    ensure!(lines.len() >= 4, "serve prints {} commands", lines.len());
    let script = scratch.path.join("printed.sh");
    write(&script, &as_script(&lines))?;
    let output = in_clone(clone, limited(120, "bash"))
        .arg(&script)
        .output()
        .context("cannot run bash")?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    log.line(&without_tokens(&output))?;
    judge(&lines, &output)?;
    Ok(format!(
        "{} commands: 200 for the token, 401 for the forgery",
        lines.len()
    ))
}

/// The commands of all fenced blocks.
fn fenced_commands(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let lines = markdown.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        fenced && !fence
    });
    lines
        .map(|line| line.trim_start_matches("$ ").trim().to_owned())
        .collect()
}

/// Lines indented by five spaces are commands; a `$ ` before one is the prompt, a `\` at its end continues it.
fn printed_commands(banner: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continued = false;
    for line in banner.lines() {
        let command = line
            .strip_prefix("     ")
            .filter(|it| continued || !it.starts_with(' '));
        let Some(command) = command else { continue };
        let command = command.strip_prefix("$ ").unwrap_or(command);
        match commands.last_mut().filter(|_| continued) {
            Some(last) => last.extend(["\n", command]),
            None => commands.push(command.to_owned()),
        }
        continued = command.ends_with('\\');
    }
    commands
}

/// One shell for all, as somebody at a terminal has, with a mark behind each command's output.
fn as_script(commands: &[String]) -> String {
    let mut script = String::new();
    for (index, command) in commands.iter().enumerate() {
        script.extend([command, "\necho \"@", &index.to_string(), " $?\"\n"]);
    }
    script
}

/// Every command succeeds; the first call of the gate is let in, the second refused, and the last line says why.
fn judge(commands: &[String], output: &str) -> Result<()> {
    let mut rest = output;
    let mut outputs = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let mark = format!("@{index} ");
        let (before, after) = rest
            .split_once(&mark)
            .with_context(|| format!("did not end: {command}"))?;
        let (code, after) = after.split_once('\n').unwrap_or((after, ""));
        ensure!(code == "0", "ended with {code}: {command}");
        outputs.push(before.trim());
        rest = after;
    }
    let calls = commands
        .iter()
        .zip(&outputs)
        .filter(|(command, _)| command.contains(CHECK));
    let answers: Vec<&str> = calls.map(|(_, output)| *output).collect();
    let shows = |index: usize, status: &str| {
        answers
            .get(index)
            .is_some_and(|it| it.split_whitespace().any(|word| word == status))
    };
    ensure!(
        shows(0, "200"),
        "the gate answered the token with {:?}, not 200",
        answers.first()
    );
    ensure!(
        shows(1, "401"),
        "the gate answered the forgery with {:?}, not 401",
        answers.get(1)
    );
    ensure!(
        outputs.last().is_some_and(|it| it.contains("never_issued")),
        "the last command does not say why"
    );
    Ok(())
}

/// A log keeps no token.
fn without_tokens(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace);
    words
        .map(|it| if it.starts_with("eyJ") { "(a token)\n" } else { it })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANNER: &str = "Up.\n  authority  http://x\n             http://y\n  1. get a token\n     TOKEN=$(a)\n     $ curl x \\\n         /check\n\nStop with Ctrl-C.\n";

    #[test]
    fn printed_commands_are_found() {
        assert_eq!(printed_commands(BANNER), ["TOKEN=$(a)", "curl x \\\n    /check"]);
        assert_eq!(
            fenced_commands("a\n```sh\n$ cargo x\ncargo y\n```\nb\n"),
            ["cargo x", "cargo y"]
        );
    }

    #[test]
    fn each_expectation_can_fail() {
        let gate = "curl 'http://x/check?resource=mail'";
        let commands = ["T=1", gate, "F=$(/check/out/countersign)", gate, "tail"].map(str::to_owned);
        let good = "@0 0\n200\n@1 0\n@2 0\n401\n@3 0\n{\"reason\":\"never_issued\"}\n@4 0\n";
        judge(&commands, good).unwrap();
        for (from, to) in [
            ("200", "401"),
            ("401", "200"),
            ("never_issued", "x"),
            ("@2 0", "@2 1"),
            ("@4 0\n", ""),
        ] {
            assert!(judge(&commands, &good.replace(from, to)).is_err(), "{from}");
        }
    }

    #[test]
    fn a_token_is_not_logged() {
        assert_eq!(without_tokens("a eyJx.y.z b"), "a (a token)\nb");
    }
}
