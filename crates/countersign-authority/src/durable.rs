//! Secret files: written so that a crash leaves the old file or the new one, read only when nobody else can.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Readable and writable by the owner alone.
const SECRET_MODE: u32 = 0o600;
/// Entered by the owner alone.
const DIRECTORY_MODE: u32 = 0o700;
/// Every bit that would let somebody else in.
const OTHERS: u32 = 0o077;
/// The largest file read here; a client's key set is the largest that is sensible.
const SIZE_MAX: u64 = 1 << 20;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// Group or others may read or change it.
    #[error("{} is open to other users (mode {mode:04o})", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is larger than anything expected there.
    #[error("{} is larger than 1 MiB", .0.display())]
    TooLarge(PathBuf),
    /// The operating system said no.
    #[error("{} cannot be accessed: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "file_missing",
            Self::TooOpen { .. } => "permissions_too_open",
            Self::TooLarge(_) => "file_too_large",
            Self::Io { .. } => "file_inaccessible",
        }
    }

    /// What to do next.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some("restore the file from a backup"),
            Self::TooOpen { .. } => Some(
                "find out who read it; then close it with `chmod 600` and replace the secret if in doubt",
            ),
            Self::TooLarge(_) => Some("this is not the file that belongs here"),
            Self::Io { .. } => {
                Some("check that the disk has room and that the user who runs this owns the directory")
            }
        }
    }
}

/// Creates a directory for secrets, and those above it, unless it exists.
pub(crate) fn create_directory(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(at(path))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes an empty file for the owner alone, which somebody else fills. A file that is there already must be private.
pub(crate) fn create_private(path: &Path) -> Result<(), FileError> {
    let open = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(SECRET_MODE)
        .open(path);
    refuse_open(&open.map_err(at(path))?, path)
}

/// Writes a secret so that after a crash the file holds the old bytes or the new ones, never a part.
///
/// There is one writer (the directory's lock), hence one temporary name, which the next attempt overwrites.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary(path);
    let create = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(SECRET_MODE)
            .open(&temporary)?;
        // A file left by a crash keeps the mode it had.
        file.set_permissions(Permissions::from_mode(SECRET_MODE))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    create().map_err(at(path))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Reads a secret, unless somebody else could have read or changed it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = open(path)?;
    refuse_open(&file, path)?;
    read_open(file, path)
}

fn refuse_open(file: &File, path: &Path) -> Result<(), FileError> {
    let mode = file.metadata().map_err(at(path))?.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(FileError::TooOpen {
        path: path.to_owned(),
        mode,
    })
}

/// Reads a file that holds no secret.
pub(crate) fn read_public(path: &Path) -> Result<Vec<u8>, FileError> {
    read_open(open(path)?, path).map(|mut bytes| std::mem::take(&mut *bytes))
}

/// Removes a file for good, and what an interrupted write of it left; one that is already gone is fine.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let mut removed = false;
    for path in [path, &temporary(path)] {
        match fs::remove_file(path) {
            Ok(()) => removed = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(path)(error)),
        }
    }
    path.parent().filter(|_| removed).map_or(Ok(()), sync_directory)
}

/// Takes the directory for this process; `None` when another process has it. Held until the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<Option<File>, FileError> {
    let open = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(SECRET_MODE)
        .open(path);
    let file = open.map_err(at(path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(at(path)(error)),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(path.to_owned()),
        _ => at(path)(error),
    })
}

fn read_open(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let size = file.metadata().map_err(at(path))?.len();
    if size > SIZE_MAX {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    // Room for all of it from the start: growth would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(size).unwrap_or(0).saturating_add(1),
    ));
    file.take(SIZE_MAX).read_to_end(&mut bytes).map_err(at(path))?;
    Ok(bytes)
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write_secret(&path, b"one").unwrap();
        write_secret(&path, b"two").unwrap();
        assert_eq!(&**read_secret(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, SECRET_MODE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write_secret(&path, b"one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().code(), "permissions_too_open");
    }

    #[test]
    fn a_half_written_file_of_a_crash_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let left = directory.path().join("secret.tmp");
        File::create(&left)
            .unwrap()
            .write_all(b"half of something longer")
            .unwrap();
        fs::set_permissions(&left, Permissions::from_mode(0o644)).unwrap();
        write_secret(&path, b"whole").unwrap();
        assert_eq!(&**read_secret(&path).unwrap(), b"whole");
        File::create(&left).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists() && !left.exists());
    }

    #[test]
    fn missing_and_oversized_files_have_codes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert_eq!(read_secret(&path).unwrap_err().code(), "file_missing");
        remove(&path).unwrap();
        File::create(&path).unwrap().set_len(SIZE_MAX + 1).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(SECRET_MODE)).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().code(), "file_too_large");
    }

    #[test]
    fn a_locked_directory_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = lock(&path).unwrap();
        assert!(first.is_some());
        assert!(lock(&path).unwrap().is_none());
        drop(first);
        assert!(lock(&path).unwrap().is_some());
    }
}
