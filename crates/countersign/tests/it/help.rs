//! What a person reads: the help of every command, and the configuration of a first run, kept as files.
//!
//! After a change on purpose: `UPDATE=1 cargo test -p countersign --test it help; cargo xtask docs`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::process::countersign;

/// Runs another program, which a build of this crate alone does not make: its help is kept by its own tests.
const HANDED_OVER: &str = "hunt";
/// `countersign-hunt reconcile --help`
const HUNT_HELP: &str = "crates/countersign-hunt/tests/it/help.txt";

const PREFACE: &str = "\
# Command line

Every command with its `--help`, as a terminal of 100 columns shows it. Data goes to standard output, everything else to standard
error. `countersign hunt` hands its arguments over to the program `countersign-hunt`, whose help is shown here.

This page is made by `UPDATE=1 cargo test -p countersign --test it help` and compared by the same test.

";

#[test]
fn the_command_line_page_is_what_the_program_prints() {
    let mut page = PREFACE.to_owned();
    let mut sections = String::new();
    describe(&[], &mut page, &mut sections);
    page.push_str(&sections);
    check(&repository().join("docs/cli.md"), &page);
}

#[test]
fn the_first_run_is_what_config_show_prints() {
    let shown = output(&["config", "show"]);
    check(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/config_show.toml"),
        &shown,
    );
}

#[test]
fn the_example_of_the_configuration_page_is_valid() {
    let page = std::fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let (_, example) = page.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("example.toml");
    std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), example.as_bytes()).unwrap();
    output(&["config", "check", file.to_str().unwrap()]);
}

/// Adds the command and all below it: a line to the list, a section with the help.
fn describe(command: &[&str], list: &mut String, sections: &mut String) {
    if command == [HANDED_OVER] {
        let help = std::fs::read_to_string(repository().join(HUNT_HELP)).unwrap();
        return show("countersign hunt reconcile", &help, list, sections);
    }
    let help = output(&[command, &["--help"]].concat());
    let name = ["countersign"]
        .iter()
        .chain(command)
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    show(&name, &help, list, sections);
    for inner in commands_in(&help) {
        describe(&[command, &[inner]].concat(), list, sections);
    }
}

fn show(name: &str, help: &str, list: &mut String, sections: &mut String) {
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    writeln!(list, "- [`{name}`](#{})", name.replace(' ', "-")).unwrap();
    write!(sections, "\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n")).unwrap();
}

/// The names under `Commands:`, without clap's own `help`.
fn commands_in(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| line.starts_with(' '));
    list.filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

fn output(arguments: &[&str]) -> String {
    let output = countersign()
        .args(arguments)
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        !text.contains('\u{1b}'),
        "{arguments:?} prints colour into a pipe"
    );
    text
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares with the file, or writes it.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test asks by the environment to have the kept files written"
)]
fn check(file: &Path, text: &str) {
    if std::env::var("UPDATE").is_ok_and(|it| it == "1") {
        std::fs::write(file, text).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    let differs = kept.lines().zip(text.lines()).position(|(kept, now)| kept != now);
    assert!(
        kept == text,
        "{}, line {}, is not what the program prints. If that is right, run:\n\n  \
         UPDATE=1 cargo test -p countersign --test it help; cargo xtask docs\n",
        file.display(),
        differs.unwrap_or_else(|| kept.lines().count().min(text.lines().count())) + 1
    );
}
