//! The end of a file of lines, read backwards and never more than a bound.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::moment::wide;

/// How much is read at a time.
const CHUNK_BYTES: u64 = 64 * 1024;

/// How much of a file to read.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    /// At most this many bytes.
    pub(crate) bytes: u64,
    /// At most this many lines.
    pub(crate) lines: usize,
}

/// The end of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    /// Whether the file begins before what was read.
    pub(crate) more: bool,
}

impl Tail {
    /// The complete lines, newest first, without their line feeds.
    ///
    /// What follows the last line feed is not a line yet: it is being written, or its writer died.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut pieces = self.bytes.rsplit(|byte| *byte == b'\n');
        pieces.next();
        pieces
    }
}

/// Reads the end of the file at `path`.
pub(crate) fn read(path: &Path, bound: Bound) -> Result<Tail, ReadError> {
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut file = File::open(path)?;
    let mut start = file.metadata()?.len();
    let end = start;
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut line_feeds = 0usize;
    // One more line feed than lines: the one before the oldest line.
    while start > 0 && end.saturating_sub(start) < bound.bytes && line_feeds <= bound.lines {
        let room = bound.bytes.saturating_sub(end.saturating_sub(start));
        let length = CHUNK_BYTES.min(room).min(start);
        start = start.saturating_sub(length);
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = Vec::new();
        // A file that was truncated meanwhile gives less, which is no error.
        file.by_ref().take(length).read_to_end(&mut chunk)?;
        line_feeds = line_feeds.saturating_add(chunk.split(|byte| *byte == b'\n').skip(1).count());
        chunks.push(chunk);
    }
    chunks.reverse();
    Ok(whole_lines(&chunks.concat(), start > 0, bound.lines))
}

/// Drops the part of a line at the start, and lines above the bound.
fn whole_lines(bytes: &[u8], cut: bool, lines: usize) -> Tail {
    let line_feeds = bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    let mut line_starts = line_feeds.map(|(position, _)| position.saturating_add(1));
    let surplus = line_starts.clone().nth(lines);
    let oldest = if cut { line_starts.next_back() } else { Some(0) };
    let from = surplus.or(oldest).unwrap_or(bytes.len());
    Tail {
        more: cut || from > 0,
        bytes: bytes.get(from..).unwrap_or_default().to_vec(),
    }
}

/// Why the decision log is not shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReadError {
    /// There is no such file.
    #[error("the decision log does not exist yet")]
    Missing,
    /// The path names something else.
    #[error("the decision log is not a regular file")]
    NotAFile,
    /// No permission to read.
    #[error("this user may not read the decision log")]
    Forbidden,
    /// The disk failed in another way.
    #[error("the decision log cannot be read")]
    Io(#[source] io::Error),
}

impl ReadError {
    /// Stable code.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "decision_log_missing",
            Self::NotAFile => "decision_log_not_a_file",
            Self::Forbidden => "decision_log_forbidden",
            Self::Io(_) => "decision_log_io",
        }
    }

    /// What to do next.
    pub(crate) const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing => {
                Some("the gate creates it when it starts: check that this is the file it writes")
            }
            Self::NotAFile => {
                Some("give the console the file that the gate writes, not a pipe or a directory")
            }
            Self::Forbidden => Some("run the console as the user that runs the gate"),
            Self::Io(_) => None,
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Io(error),
        }
    }
}

/// How many bytes the lines of a tail have.
pub(crate) fn length(tail: &Tail) -> u64 {
    wide(tail.bytes.len())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const ALL: Bound = Bound {
        bytes: 1 << 20,
        lines: 1000,
    };

    fn tail(content: &[u8], bound: Bound) -> (Vec<String>, bool) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let tail = read(file.path(), bound).unwrap();
        let lines = tail
            .lines()
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        (lines, tail.more)
    }

    fn check(content: &str, bound: Bound, lines: &[&str], more: bool) {
        assert_eq!(
            tail(content.as_bytes(), bound),
            (lines.iter().map(ToString::to_string).collect(), more)
        );
    }

    #[test]
    fn lines_come_newest_first() {
        check("", ALL, &[], false);
        check("a\n", ALL, &["a"], false);
        check("a\n\nb\n", ALL, &["b", "", "a"], false);
    }

    #[test]
    fn an_unfinished_line_is_not_a_line() {
        check("a", ALL, &[], false);
        check("a\nb", ALL, &["a"], false);
    }

    #[test]
    fn lines_are_bounded() {
        check("a\nb\nc\n", Bound { lines: 2, ..ALL }, &["c", "b"], true);
        check("a\nb\n", Bound { lines: 2, ..ALL }, &["b", "a"], false);
        check("a\nb\nc", Bound { lines: 1, ..ALL }, &["b"], true);
    }

    #[test]
    fn bytes_are_bounded_and_a_cut_line_is_dropped() {
        check("aaaa\nbb\ncc\n", Bound { bytes: 8, ..ALL }, &["cc", "bb"], true);
        check("aaaa\nbb\ncc\n", Bound { bytes: 7, ..ALL }, &["cc", "bb"], true);
        check("aaaaaaaaaaaaa\n", Bound { bytes: 4, ..ALL }, &[], true);
        check("aaaaaaaaaaaaa", Bound { bytes: 4, ..ALL }, &[], true);
    }

    #[test]
    fn lines_across_chunks_are_whole() {
        let count = 3 * usize::try_from(CHUNK_BYTES).unwrap() / 10;
        let content = (0..count).fold(String::new(), |all, number| all + &format!("{number:09}\n"));
        let (lines, more) = tail(
            content.as_bytes(),
            Bound {
                bytes: 1 << 20,
                lines: usize::MAX,
            },
        );
        let expect: Vec<String> = (0..count).rev().map(|number| format!("{number:09}")).collect();
        assert_eq!((lines, more), (expect, false));
    }

    #[test]
    fn what_is_not_a_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let check = |path: &Path, code| assert_eq!(read(path, ALL).unwrap_err().code(), code);
        check(directory.path(), "decision_log_not_a_file");
        check(&directory.path().join("absent"), "decision_log_missing");
        check(Path::new("/dev/full"), "decision_log_not_a_file");
    }
}
