//! How a command ends when it does not succeed: a stable code, one sentence, a hint, an exit code.

use std::fmt::Display;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Yes, or done.
    Done = 0,
    /// Refused, findings, or a failed audit.
    Refused = 1,
    /// Cannot tell, or something needed is not available.
    CannotTell = 2,
    /// The command line or the configuration is wrong.
    Usage = 64,
    /// Our fault.
    Fault = 70,
}

/// An error as a person or a script sees it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Stable `snake_case` word for scripts.
    pub code: &'static str,
    /// What failed, on what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The process's exit code.
    pub exit: Exit,
}

impl Failure {
    /// A failure that ends with this code.
    pub fn new(exit: Exit, code: &'static str, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            hint: None,
            exit,
        }
    }

    /// What was typed, or a file that it names, is wrong.
    pub fn usage(code: &'static str, message: impl Display) -> Self {
        Self::new(Exit::Usage, code, message)
    }

    /// What is needed is not there now.
    pub fn unavailable(code: &'static str, message: impl Display) -> Self {
        Self::new(Exit::CannotTell, code, message)
    }

    /// Our fault.
    pub fn fault(code: &'static str, message: impl Display) -> Self {
        Self::new(Exit::Fault, code, message)
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same with what to do next, if that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<impl Display>) -> Self {
        self.hint = hint.map(|text| text.to_string());
        self
    }
}
