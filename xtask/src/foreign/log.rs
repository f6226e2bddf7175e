//! A published log: where it is, and the key it is checked with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// A folder or a URL.
    pub(crate) at: String,
    pub(crate) key: PathBuf,
}

impl Log {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            at: folder.display().to_string(),
            key: folder.join("key.vkey"),
        }
    }

    pub(super) fn at_url(url: &str, key: &Path) -> Self {
        Self {
            at: url.to_owned(),
            key: key.to_owned(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        Path::new(&self.at)
    }

    pub(super) fn vkey(&self) -> Result<String> {
        let text = std::fs::read_to_string(&self.key);
        Ok(text
            .with_context(|| format!("cannot read {}", self.key.display()))?
            .trim()
            .to_owned())
    }

    /// As its checkpoint says; 0 where that cannot be read as a file.
    pub(super) fn size(&self) -> Result<u64> {
        let Ok(text) = std::fs::read_to_string(self.folder().join("checkpoint")) else {
            return Ok(0);
        };
        let size = text.lines().nth(1).and_then(|line| line.parse().ok());
        size.with_context(|| format!("{}: the checkpoint has no size", self.at))
    }

    /// The path of a tile or bundle of the tree of this size, counted from the last (0) to the first.
    pub(super) fn tile(&self, row: &str, from_the_end: u64) -> Result<String> {
        let level: u32 = row.parse().unwrap_or(0);
        let count = self.size()? >> (8 * level);
        let number = (count.div_ceil(256) - 1)
            .checked_sub(from_the_end)
            .with_context(|| format!("row {row} has no {from_the_end} tiles"))?;
        let width = (count - number * 256).min(256);
        Ok(path(row, number, width))
    }
}

fn path(row: &str, number: u64, width: u64) -> String {
    let mut name = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        name = format!("x{:03}/{name}", rest % 1000);
        rest /= 1000;
    }
    let partial = if width < 256 {
        format!(".p/{width}")
    } else {
        String::new()
    };
    format!("tile/{row}/{name}{partial}")
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn tiles_are_named_as_c2sp_says() {
        assert_eq!(path("1", 7, 256), "tile/1/007");
        assert_eq!(path("entries", 1_234_067, 3), "tile/entries/x001/x234/067.p/3");
    }
}
