//! npm `jose`, timed by a script of its own language.

use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::results::Measured;
use crate::process::limited;
use crate::run::Log;
use crate::{install, print, workspace};

const FOLDER: &str = "tests/peers/verify";

/// One token after the other, as ours.
pub(super) fn measure(log: &Log) -> Result<Vec<Measured>> {
    install::node_modules(FOLDER, log)?;
    print::error(&format!("measuring token: {FOLDER}/bench.mjs …"));
    let mut node = limited(600, "node");
    node.current_dir(workspace::root().join(FOLDER)).arg("bench.mjs");
    let output = node.output().context("cannot run node")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "bench.mjs failed: {problem}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(parse)
        .collect()
}

/// `{"id":…,"nanoseconds":…}`: a function and its fastest sample.
fn parse(line: &str) -> Result<Measured> {
    let line: Value = serde_json::from_str(line).context("bench.mjs wrote no JSON")?;
    let id = line.get("id").and_then(Value::as_str).context("no id")?;
    let nanoseconds = line.get("nanoseconds").and_then(Value::as_f64);
    Ok(Measured {
        id: id.to_owned(),
        per_second: 1e9 / nanoseconds.context("no nanoseconds")?,
        written: SystemTime::UNIX_EPOCH,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_is_a_function() {
        let measured = super::parse(r#"{"id":"RS256/jose","nanoseconds":50000}"#).unwrap();
        assert_eq!(measured.id, "RS256/jose");
        assert!((measured.per_second - 20_000.0).abs() < 0.1);
        assert!(super::parse(r#"{"id":"RS256/jose"}"#).is_err());
    }
}
