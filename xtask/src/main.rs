//! Developer tasks: `cargo xtask test`, `tidy`, `docs`, `corpus`, `foreign`, `semver` and `bench`.
//!
//! What it does: installs what a test needs, runs every test with the real components, checks the house rules that a
//! program can check, and measures. What it does not: build releases, or judge tokens; it only signs those of the corpus.
//! It links no crate of the product, so a broken crate cannot keep the checks from running.

mod bench;
mod corpus;
mod deny;
mod docs;
mod faults;
mod first_run;
mod foreign;
mod fuzz;
mod http;
mod install;
mod json;
mod peers;
mod print;
mod process;
mod run;
mod semver;
mod source;
mod stores;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [AREA…] [--kills N]           run everything with the real components, or only some areas:
                                     tidy lint rust deny fuzz peers foreign first-run model simulation stores
                                     faults crash
  tidy [--json]                      the house rules
  docs [--check]                     write docs/configuration.md from the sources, or only compare
  corpus [--check|--peers]           write testdata/tokens and docs/corpus.md, or only compare;
                                     --peers runs other verifiers and writes docs/peers.md
  foreign                            show our log, whole and damaged, to other people's verifiers and
                                     write docs/foreign-verifiers.md
  semver REVISION                    what changed in the public face of countersign-token since then
  bench [token|ledger|gate] [--json] [--write]
                                     measure ours and the peers; --write renews docs/performance.md;
                                     ledger --growth [N] measures the growth curve to N entries;
                                     token --instructions [--check|--write] counts them, compares them
                                     with the recorded ones or records them

example: cargo xtask test tidy rust
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let outcome = match command {
        "test" => test::command(rest),
        "tidy" => tidy::command(rest),
        "docs" => docs::command(rest),
        "corpus" => corpus::command(rest),
        "foreign" => foreign::command_line(rest),
        "semver" => semver::command(rest),
        "bench" => bench::command(rest),
        "help" | "--help" | "-h" => {
            print::out(USAGE);
            return ExitCode::SUCCESS;
        }
        unknown => Err(Usage(format!("there is no command {unknown:?}")).into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) if error.is::<Usage>() => {
            print::error(&format!("error: {error}\n\n{USAGE}"));
            ExitCode::from(64)
        }
        Err(error) => {
            print::error(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// The command line was wrong.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
