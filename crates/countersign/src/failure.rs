//! How a command ends when it does not succeed: a stable code, one sentence, a hint, an exit code.

use std::fmt::Display;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
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
pub(crate) struct Failure {
    /// Stable `snake_case` word for scripts.
    pub(crate) code: &'static str,
    /// What failed, on what.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The process's exit code.
    pub(crate) exit: Exit,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            hint: None,
            exit,
        }
    }

    pub(crate) fn usage(code: &'static str, message: impl Display) -> Self {
        Self::new(Exit::Usage, code, message)
    }

    pub(crate) fn unavailable(code: &'static str, message: impl Display) -> Self {
        Self::new(Exit::CannotTell, code, message)
    }

    pub(crate) fn fault(code: &'static str, message: impl Display) -> Self {
        Self::new(Exit::Fault, code, message)
    }

    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    pub(crate) fn maybe_hint(mut self, hint: Option<impl Display>) -> Self {
        self.hint = hint.map(|text| text.to_string());
        self
    }
}
