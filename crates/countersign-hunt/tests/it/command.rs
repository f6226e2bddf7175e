//! Runs the command.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `countersign-hunt` in `directory` and returns exit code, standard output and standard error.
pub(crate) fn run(directory: &Path, arguments: &str) -> (i32, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_countersign-hunt"))
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Runs `reconcile --json` on the fixture ledger.
pub(crate) fn reconcile(directory: &Path, arguments: &str) -> (i32, Value) {
    let (code, out, err) = run(
        directory,
        &format!("reconcile --ledger ledger --key ledger.vkey --json {arguments}"),
    );
    assert_eq!(err, "", "nothing but the document");
    assert_eq!(out.lines().count(), 1);
    (code, serde_json::from_str(&out).unwrap())
}

/// Writes a file.
#[expect(clippy::disallowed_methods, reason = "a fixture need not survive a power cut")]
pub(crate) fn file(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(directory.join(name), bytes).unwrap();
}
