use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Ends a part of a line. Not only a line feed: if nothing but that was missing, the line would be whole now and
/// tell of an admission that was taken back.
const TORN_LINE_END: &[u8] = b"~\n";

/// The decision log: one JSON object a line, appended with one write before the answer is released.
///
/// What was answered is in the kernel's hands, so a killed process loses nothing; a power cut may lose the
/// last lines, as with any log that does not wait for the disk.
pub(crate) struct DecisionLog {
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    /// The file ends in a part of a line: the next write ends that line first.
    torn: bool,
    failing: Option<io::ErrorKind>,
    /// Decisions that were refused because their line could not be written.
    unlogged: u64,
}

/// What the health page says of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LogHealth {
    /// `ok`, or `failing` since the newest write failed.
    pub(crate) state: &'static str,
    /// What failed, as far as the operating system says.
    pub(crate) error: Option<String>,
    /// How many decisions were refused for want of a line.
    pub(crate) unlogged: u64,
}

impl DecisionLog {
    /// Opens the log for appending, creating it readable by its owner only.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let torn = ends_in_part_of_a_line(path)?;
        Ok(Self {
            inner: Mutex::new(Inner {
                file,
                torn,
                failing: None,
                unlogged: 0,
            }),
        })
    }

    /// Appends one line; `line` ends in a line feed and holds no other.
    pub(crate) fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let result = inner.write(line);
        match &result {
            Ok(()) => inner.failing = None,
            Err(error) => {
                if inner.failing.is_none() {
                    tracing::error!(%error, "decision log cannot be written: every request is refused");
                }
                inner.failing = Some(error.kind());
                inner.unlogged = inner.unlogged.saturating_add(1);
            }
        }
        result
    }

    pub(crate) fn health(&self) -> LogHealth {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        LogHealth {
            state: if inner.failing.is_some() { "failing" } else { "ok" },
            error: inner.failing.map(|kind| kind.to_string()),
            unlogged: inner.unlogged,
        }
    }
}

impl Inner {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            return self.write_once(&[TORN_LINE_END, line].concat());
        }
        self.write_once(line)
    }

    /// One write(2): a reader never sees half a line, and lines of several writers never mix.
    fn write_once(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if written == bytes.len() {
            self.torn = false;
            return Ok(());
        }
        self.torn |= written > 0;
        Err(io::ErrorKind::StorageFull.into())
    }
}

/// A process that died in the middle of a write, or a disk that was full, leaves part of a line.
fn ends_in_part_of_a_line(path: &Path) -> io::Result<bool> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn lines_are_appended_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for line in [&b"{\"a\":1}\n"[..], b"{\"a\":2}\n"] {
            DecisionLog::open(&path).unwrap().append(line).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"a\":1}\n{\"a\":2}\n");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_torn_last_line_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        File::create(&path).unwrap().write_all(b"{}\n{\"a\":").unwrap();
        let log = DecisionLog::open(&path).unwrap();
        log.append(b"{\"b\":1}\n").unwrap();
        log.append(b"{\"b\":2}\n").unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"{}\n{\"a\":~\n{\"b\":1}\n{\"b\":2}\n"
        );
    }

    #[test]
    fn a_line_that_lacks_its_end_only_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        File::create(&path).unwrap().write_all(b"{\"a\":1}").unwrap();
        DecisionLog::open(&path).unwrap().append(b"{\"b\":1}\n").unwrap();
        let log = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = log
            .lines()
            .map(serde_json::from_str::<serde_json::Value>)
            .collect();
        assert!(matches!(lines.as_slice(), [Err(_), Ok(_)]), "{log}");
    }

    #[test]
    fn a_full_disk_is_an_error_each_time_and_counted() {
        let log = DecisionLog::open(Path::new("/dev/full")).unwrap();
        assert!(log.append(b"{}\n").is_err());
        assert!(log.append(b"{}\n").is_err());
        let health = log.health();
        assert_eq!((health.state, health.unlogged), ("failing", 2));
        assert!(health.error.is_some());
    }
}
