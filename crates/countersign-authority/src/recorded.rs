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
    let state = State::open(&path).await?;
    let base_url = state.meta("base_url").await?;
    let keys = state.keys().await?.iter().map(KeySummary::from).collect();
    state.close().await?;
    Ok(base_url.map(|base_url| Recorded { base_url, keys }))
}
