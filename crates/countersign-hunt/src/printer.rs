//! The one place that writes to the terminal. Data goes to standard output, all else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use countersign_hunt::report::Report;

use crate::cli::Failure;
use crate::terminal;

/// Decides form (text or JSON) and colour once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
    colour: bool,
}

/// What a piece of text means; the printer decides how that looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Strong,
    Dim,
    Good,
    Bad,
    Warn,
}

impl Printer {
    /// Colour only on a terminal, and not where `NO_COLOR` is set to anything (<https://no-color.org>).
    #[expect(
        clippy::disallowed_methods,
        reason = "NO_COLOR is the terminal's convention, not configuration"
    )]
    pub(crate) fn new(json: bool) -> Self {
        let refused = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        Self {
            json,
            colour: !refused && io::stdout().is_terminal(),
        }
    }

    /// Wraps `text` in the colour of `tone`, or leaves it alone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
        };
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A report, in the form that was asked for. A closed pipe is not an error: the reader has had enough.
    pub(crate) fn report(self, report: &Report) {
        let mut data = Vec::new();
        if self.json {
            // Writing into memory cannot fail.
            let _ = serde_json::to_writer(&mut data, report);
            data.push(b'\n');
        } else {
            data.extend(terminal::render(report, self).into_bytes());
        }
        let mut out = io::stdout().lock();
        let _ = out.write_all(&data).and_then(|()| out.flush());
    }

    /// An error with its code and, after a blank line, its hint.
    pub(crate) fn failure(self, failure: &Failure) {
        let mut out = io::stderr().lock();
        let _ = if self.json {
            let error = serde_json::json!({"error": {
                "code": failure.code, "message": failure.message, "hint": failure.hint,
            }});
            writeln!(out, "{error}")
        } else {
            let hint = failure
                .hint
                .as_ref()
                .map(|hint| format!("\n\nhint: {hint}"))
                .unwrap_or_default();
            writeln!(out, "error[{}]: {}{hint}", failure.code, failure.message)
        };
    }
}
