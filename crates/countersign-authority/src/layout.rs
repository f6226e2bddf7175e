//! Where each file of the data directory lies.

use std::fs;
use std::path::{Path, PathBuf};

use crate::durable::FileError;

/// The authority's data directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("authority.lock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state.sqlite3")
    }

    /// The directories that hold secrets.
    pub(crate) fn directories(&self) -> [PathBuf; 3] {
        ["seal", "keys", "clients"].map(|name| self.root.join(name))
    }

    pub(crate) fn sealing_key(&self, realm: &str) -> PathBuf {
        self.root.join("seal").join(format!("{realm}.key"))
    }

    pub(crate) fn sealed_key(&self, key_id: &str) -> PathBuf {
        self.root.join("keys").join(format!("{key_id}.sealed"))
    }

    /// Whether the private key of any issuer lies here. The ledger's own is none.
    pub(crate) fn has_keys(&self) -> Result<bool, FileError> {
        let directory = self.root.join("keys");
        let io = |source| FileError::Io {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(&directory).map_err(io)? {
            if !entry
                .map_err(io)?
                .file_name()
                .as_encoded_bytes()
                .starts_with(b"_ledger.")
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn client_secret(&self, client: &str) -> PathBuf {
        self.root.join("clients").join(format!("{client}.secret"))
    }

    pub(crate) fn client_jwk(&self, client: &str) -> PathBuf {
        self.root.join("clients").join(format!("{client}.jwk"))
    }
}
