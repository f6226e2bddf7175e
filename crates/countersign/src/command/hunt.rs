//! `countersign hunt`: hands over to the program `countersign-hunt`, as git hands over to `git-foo`.
//!
//! The hunt has a query engine of its own that no server must carry, so it is another program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;

const PROGRAM: &str = "countersign-hunt";

/// Becomes the other program; comes back only if there is none.
pub(crate) fn run(arguments: &[OsString], printer: Printer) -> Result<Exit, Failure> {
    let mut program = Command::new(beside_us().unwrap_or_else(|| PathBuf::from(PROGRAM)));
    program.args(arguments);
    if printer.json() {
        program.arg("--json");
    }
    let error = program.exec();
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "build it: cargo build --release -p countersign-hunt",
        _ => "check that it may be executed",
    };
    Err(Failure::unavailable("hunt_missing", format!("cannot run {PROGRAM}: {error}")).hint(hint))
}

/// The one built or installed together with this program, before any other on the path.
fn beside_us() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    beside.is_file().then_some(beside)
}
