//! What a monitor remembers between runs: a position and a signed checkpoint, in a small text file.

use std::io;
use std::path::Path;

use crate::disk::{Disk as _, LocalDisk, replace_durably};

const HEADER: &str = "countersign/monitor/v1";

pub(super) fn encode(next: u64, note: &[u8]) -> Vec<u8> {
    let mut state = format!("{HEADER}\nnext {next}\n\n").into_bytes();
    state.extend_from_slice(note);
    state
}

pub(super) fn decode(state: &[u8]) -> Option<(u64, &[u8])> {
    let rest = state.strip_prefix(HEADER.as_bytes())?.strip_prefix(b"\nnext ")?;
    let end = rest.windows(2).position(|pair| pair == b"\n\n")?;
    let (digits, rest) = rest.split_at_checked(end)?;
    let digits = std::str::from_utf8(digits).ok()?;
    let next: u64 = digits.parse().ok()?;
    if next.to_string() != digits {
        return None;
    }
    Some((next, rest.strip_prefix(b"\n\n")?))
}

/// The file in which a monitor's state is kept: replaced as a whole, durable when written.
pub struct StateFile {
    directory: LocalDisk,
    name: String,
}

impl StateFile {
    /// The file at `path`; its directory exists.
    pub fn new(path: &Path) -> io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or_else(|| Path::new("."));
        Ok(Self {
            directory: LocalDisk::new(directory.to_owned()),
            name: name.to_owned(),
        })
    }

    /// The state; `None` if there is none yet.
    pub fn load(&self) -> io::Result<Option<Vec<u8>>> {
        self.directory.read(&self.name)
    }

    /// Replaces the state.
    pub fn store(&self, state: &[u8]) -> io::Result<()> {
        replace_durably(&self.directory, &self.name, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again_and_nothing_else_is_read() {
        assert_eq!(
            decode(&encode(7, b"o\n1\n\n-")),
            Some((7, b"o\n1\n\n-".as_slice()))
        );
        for state in [
            "",
            "countersign/monitor/v1",
            "countersign/monitor/v1\nnext 7\n",
            "countersign/monitor/v1\nnext 07\n\nx",
            "countersign/monitor/v1\nnext -7\n\nx",
            "countersign/monitor/v2\nnext 7\n\nx",
        ] {
            assert_eq!(decode(state.as_bytes()), None, "{state:?}");
        }
    }

    #[test]
    fn a_state_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(&directory.path().join("state")).unwrap();
        assert_eq!(file.load().unwrap(), None);
        file.store(b"long content").unwrap();
        file.store(b"short").unwrap();
        assert_eq!(file.load().unwrap().unwrap(), b"short");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
