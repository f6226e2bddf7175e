//! The console: one read-only page that says what this Countersign does right now, and the same facts as JSON.
//!
//! ```text
//!  ledger ──────────┐
//!  keys in force ───┼──▶ facts ──┬──▶ /console        HTML, no script
//!  decision log ────┘            └──▶ /console.json
//! ```
//!
//! What it deliberately does not do:
//!
//! - it changes nothing: there is no form, no button, and only GET is answered;
//! - it asks nobody who he is: serve it on loopback, or behind a proxy that does;
//! - it links neither the authority nor the gate: keys come to it as plain rows, decisions from the log's file;
//! - it believes nothing it shows: names in the log are an attacker's own words, and stay inert text.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use countersign_console::{ConsoleOptions, KeyTable, router};
//!
//! let page: axum::Router = router(ConsoleOptions {
//!     ledger: None,
//!     keys: Arc::new(KeyTable::default),
//!     decision_log: Some("countersign-data/decisions.ndjson".into()),
//!     clock: Arc::new(|| 1_772_366_400),
//!     host_names: Vec::new(),
//! });
//! # drop(page);
//! ```

mod alarm;
mod decisions;
mod facts;
mod host;
mod html;
mod http;
mod keys;
mod ledger;
mod moment;
mod page;
mod tail;

use std::path::PathBuf;
use std::sync::Arc;

pub use http::router;
pub use keys::{KeyRow, KeySource, KeyTable};

/// Gives the time in seconds since 1970 (UTC).
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the page is about.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// The ledger, where this process has one.
    pub ledger: Option<countersign_ledger::Ledger>,
    /// The keys in force.
    pub keys: KeySource,
    /// The file the gate writes its decisions to, where this machine has one.
    pub decision_log: Option<PathBuf>,
    /// The clock.
    pub clock: Clock,
    /// The host names under which browsers may ask for the page, besides `localhost` and IP addresses. Every other
    /// name is refused: a web site that points its own name at this machine would read the page through its visitor.
    pub host_names: Vec<String>,
}
