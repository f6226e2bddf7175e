//! `countersign completions`: made from the command definitions, so never stale.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::failure::Exit;
use crate::printer::Printer;

pub(crate) fn run(shell: clap_complete::Shell, printer: Printer) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut script);
    printer.line(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}
