//! `countersign config`: check a file, or show what runs without one.

use serde_json::json;

use crate::cli::ConfigCommand;
use crate::config::{Config, read_text};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

pub(crate) fn run(arguments: &ConfigCommand, printer: Printer) -> Result<Exit, Failure> {
    match arguments {
        ConfigCommand::Check { file } => check(file, printer),
        ConfigCommand::Show => {
            let config = Config::first_run();
            if printer.json() {
                printer.document(&json!(config));
            } else {
                let text = toml::to_string(&config).map_err(|error| {
                    Failure::fault("config_unprintable", format!("cannot print it: {error}"))
                })?;
                printer.line(text.trim_end());
            }
            Ok(Exit::Done)
        }
    }
}

fn check(file: &std::path::Path, printer: Printer) -> Result<Exit, Failure> {
    if !printer.json() {
        Config::load(Some(file))?;
        printer.line(&format!("{} is valid", file.display()));
        return Ok(Exit::Done);
    }
    let problems = Config::parse(&read_text(file)?).err().unwrap_or_default();
    let list: Vec<_> = problems
        .iter()
        .map(|problem| json!({"line": problem.line, "message": problem.message, "hint": problem.hint}))
        .collect();
    printer.document(&json!({"valid": list.is_empty(), "problems": list}));
    Ok(if list.is_empty() { Exit::Done } else { Exit::Usage })
}
