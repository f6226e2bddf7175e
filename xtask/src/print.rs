//! The one place that writes to the terminal.

/// Data: what one could pipe.
#[expect(clippy::print_stdout, reason = "this is the printer")]
pub(crate) fn out(text: &str) {
    println!("{}", text.trim_end_matches('\n'));
}

/// What went wrong, and what goes on.
#[expect(clippy::print_stderr, reason = "this is the printer")]
pub(crate) fn error(text: &str) {
    eprintln!("{}", text.trim_end_matches('\n'));
}
