//! `cargo xtask semver REVISION`: what changed in the public face of the library that others embed.

use anyhow::Result;

use crate::process::limited;
use crate::run::Run;
use crate::{Usage, install, workspace};

const PACKAGE: &str = "countersign-token";

/// Runs the command; true means that nothing changed that its version does not allow.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let revision = revision(arguments)?;
    let mut run = Run::start()?;
    let mut program = None;
    run.step("semver: cargo-semver-checks is there", |log| {
        program = Some(install::cargo_semver_checks(log)?);
        Ok(String::new())
    });
    if let Some(program) = program {
        let name = format!("semver: {PACKAGE} against {revision}");
        let mut checks = limited(1200, &program.to_string_lossy());
        checks.current_dir(workspace::root()).args([
            "semver-checks",
            "--color=never",
            "-p",
            PACKAGE,
            "--baseline-rev",
            revision,
        ]);
        run.step(&name, |log| {
            log.run(&mut checks)?;
            let output = log.text();
            let told = output.lines().rev().find(|line| line.contains("Checked"));
            Ok(told.unwrap_or_default().trim().to_owned())
        });
    }
    Ok(run.finish())
}

/// Never read as an option by the program that it is given to.
fn revision(arguments: &[String]) -> Result<&str, Usage> {
    match arguments {
        [revision] if !revision.is_empty() && !revision.starts_with('-') => Ok(revision),
        _ => Err(Usage("semver takes the git revision to compare with".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_revision_is_taken() {
        let read = |line: &str| {
            let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            revision(&arguments).map(str::to_owned).ok()
        };
        assert_eq!(read("v0.1.0").as_deref(), Some("v0.1.0"));
        for bad in ["", "a b", "--baseline-version=1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
