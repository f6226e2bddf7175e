//! What a data directory says of itself, read beside whoever works in it.

use std::path::Path;

use crate::layout::Layout;
use crate::open::OpenError;
use crate::publish::KeySummary;
use crate::state::State;

/// The base URL and the keys that a data directory holds.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Every issuer of the directory begins with it.
    pub base_url: String,
    /// All keys, without their private parts.
    pub keys: Vec<KeySummary>,
}

/// Reads the state of `directory` without taking it; `None` where no authority was ever opened.
pub async fn recorded(directory: &Path) -> Result<Option<Recorded>, OpenError> {
    let path = Layout::new(directory).state();
    if !path.exists() {
        return Ok(None);
    }
    let Some(state) = State::open_to_read(&path).await? else {
        return Ok(None);
    };
    let base_url = state.meta("base_url").await?;
    let keys = state.keys().await?.iter().map(KeySummary::from).collect();
    state.close().await?;
    Ok(base_url.map(|base_url| Recorded { base_url, keys }))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::recorded;
    use crate::layout::Layout;
    use crate::state::State;

    #[tokio::test]
    async fn looking_changes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = Layout::new(directory.path()).state();
        let state = State::open(&path).await.unwrap();
        state.set_meta("base_url", "http://127.0.0.1:1").await.unwrap();
        state.close().await.unwrap();
        let before = fs::read(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let found = recorded(directory.path()).await.unwrap().unwrap();
        assert_eq!(found.base_url, "http://127.0.0.1:1");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[tokio::test]
    async fn a_first_start_cut_off_before_the_schema_has_no_state() {
        let directory = tempfile::tempdir().unwrap();
        fs::File::create(Layout::new(directory.path()).state()).unwrap();
        assert!(recorded(directory.path()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn where_nothing_is_nothing_is_made() {
        let directory = tempfile::tempdir().unwrap();
        assert!(recorded(directory.path()).await.unwrap().is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
