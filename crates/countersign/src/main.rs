//! The `countersign` command: reads what was typed, runs it, ends with the exit code it earned.

mod cli;
mod clock;
mod command;
mod drill;
mod instance;
mod listener;
mod printer;
mod serve;
mod store;
mod thief;
mod tiles;
mod witnesses;

use std::process::ExitCode;

use clap::Parser;
use countersign::{config, failure, policy};

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let printer = Printer::new(cli.json);
    let exit = match run(cli.command, printer) {
        Ok(exit) => exit,
        Err(failure) => {
            printer.failure(&failure);
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// Help and version are answers; anything else that clap refuses is a usage error (64).
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(Exit::Usage as u8)
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs the asynchronous part of a command.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::fault("runtime_failed", format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(work))
}

fn run(command: Command, printer: Printer) -> Result<Exit, Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments, printer),
        Command::Drill(arguments) => drill::run(&arguments, printer),
        Command::Verify(arguments) => command::verify::run(&arguments, printer),
        Command::Token(arguments) => command::token::run(&arguments, printer),
        Command::Key(arguments) => command::key::run(&arguments, printer),
        Command::Ledger(arguments) => command::ledger::run(&arguments, printer),
        Command::Config(arguments) => command::config::run(&arguments, printer),
        Command::Doctor(arguments) => Ok(command::doctor::run(&arguments, printer)),
        Command::Hunt { arguments } => command::hunt::run(&arguments, printer),
        Command::Completions { shell } => Ok(command::completions::run(shell, printer)),
    }
}
