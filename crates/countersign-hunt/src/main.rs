//! The `countersign-hunt` command: reads what was typed, runs the hunt, ends with the exit code it earned.

mod cli;
mod printer;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;
use countersign_hunt::hunt::reconcile::{self, ReconcileError};
use countersign_hunt::report::{Outcome, Report};

use crate::cli::{Cli, Command, Failure};
use crate::printer::Printer;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let printer = Printer::new(cli.json);
    match run(&cli.command) {
        Ok(report) => {
            printer.report(&report);
            ExitCode::from(match report.outcome {
                Outcome::NoFindings => 0,
                Outcome::Findings => 1,
                Outcome::CannotTell => 2,
            })
        }
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

/// Help and version are answers; anything else that clap refuses is a usage error (64).
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(cli::EXIT_USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

fn run(command: &Command) -> Result<Report, Failure> {
    match command {
        Command::Reconcile(arguments) => {
            let options = arguments.options()?;
            reconcile::reconcile(&options).map_err(|error| failure(&error))
        }
    }
}

/// Without a verified ledger or a readable log nothing can be told.
fn failure(error: &ReconcileError) -> Failure {
    Failure {
        code: error.code(),
        message: error.to_string(),
        hint: error.hint().map(str::to_owned),
        exit: cli::EXIT_CANNOT_TELL,
    }
}
