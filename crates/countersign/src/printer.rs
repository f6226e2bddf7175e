//! The one place that writes to the terminal. Data goes to standard output, all else to standard error.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Decides form (text or JSON) and colour once, for every command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
    colour: bool,
}

/// What a piece of text means; the printer decides how that looks.
#[derive(Debug, Clone, Copy)]
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

    pub(crate) fn json(self) -> bool {
        self.json
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

    /// One line of data. A closed pipe is not an error: the reader has had enough.
    #[expect(clippy::unused_self, reason = "who writes must have been handed the printer")]
    pub(crate) fn line(self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A JSON document on one line.
    pub(crate) fn document(self, value: &serde_json::Value) {
        self.line(&value.to_string());
    }

    /// Whether a person sees what goes to standard error.
    #[expect(clippy::unused_self, reason = "who asks must have been handed the printer")]
    pub(crate) fn is_watched(self) -> bool {
        io::stderr().is_terminal()
    }

    /// How far something is: on a terminal always on the same line, and nothing removes it; elsewhere a line each.
    pub(crate) fn progress(self, text: &str) {
        if self.is_watched() {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K{text}");
        } else if !text.is_empty() {
            self.note(text);
        }
    }

    /// A remark for the person, never part of the data.
    #[expect(clippy::unused_self, reason = "who writes must have been handed the printer")]
    pub(crate) fn note(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// An error with its code and, after a blank line, its hint.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            let body = serde_json::json!({"error": {
                "code": failure.code, "message": failure.message, "hint": failure.hint,
            }});
            self.note(&body.to_string());
            return;
        }
        self.note(&format!("error[{}]: {}", failure.code, failure.message));
        if let Some(hint) = &failure.hint {
            self.note(&format!("\nhint: {hint}"));
        }
    }
}
