//! The checkout as the tidy rules see it: every file that is, or could be, committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The folder that holds the root manifest. Asked at run time: a program built in one clone may be taken for that of
/// another when they share a target folder.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    let manifest = manifest.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().unwrap_or(&manifest).to_path_buf()
}

/// Where cargo puts its results, as cargo itself decides it.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The text files of a checkout.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) files: Vec<File>,
    folders: BTreeSet<String>,
    /// Files that are no UTF-8 text: they exist, and no rule reads them.
    binaries: BTreeSet<String>,
}

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Workspace {
    /// Reads what git tracks and what it would track (not ignored).
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let listing = Command::new("git")
            .current_dir(root)
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()
            .context("cannot run git")?;
        ensure!(
            listing.status.success(),
            "git cannot list the files of {}",
            root.display()
        );
        let mut workspace = Self::default();
        for path in String::from_utf8_lossy(&listing.stdout)
            .split('\0')
            .filter(|path| !path.is_empty())
        {
            // A file that git tracks but that was just deleted.
            let Ok(bytes) = std::fs::read(root.join(path)) else {
                continue;
            };
            if let Ok(text) = String::from_utf8(bytes) {
                workspace.add(path, text);
            } else {
                workspace.binaries.insert(path.to_owned());
                workspace.add_folders(path);
            }
        }
        workspace.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(workspace)
    }

    fn add(&mut self, path: &str, text: String) {
        self.add_folders(path);
        self.files.push(File {
            path: path.to_owned(),
            text,
        });
    }

    fn add_folders(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            self.folders.extend(path.get(..end).map(str::to_owned));
        }
    }

    /// The file at exactly this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or folder stands at this path.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty()
            || self.file(path).is_some()
            || self.folders.contains(path)
            || self.binaries.contains(path)
    }

    /// The files whose name ends so.
    pub(crate) fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| {
            Path::new(&file.path)
                .extension()
                .is_some_and(|it| it == extension)
        })
    }

    /// Rust files of the product and of this tool.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.with_extension("rs")
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut workspace = Self::default();
        for (path, text) in files {
            workspace.add(path, (*text).to_owned());
        }
        workspace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_files_and_folders() {
        let workspace = Workspace::of(&[("docs/reasons.md", "x")]);
        assert!(workspace.exists("docs/reasons.md"));
        assert!(workspace.exists("docs/"));
        assert!(!workspace.exists("docs/reason.md"));
        assert_eq!(workspace.with_extension("md").count(), 1);
    }
}
