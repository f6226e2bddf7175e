//! Reconciles *uses* of tokens, as logs show them, with *issuances*, as the ledger proves them, and reports the
//! uses of tokens that were never issued.
//!
//! ```text
//! decision logs ──▶ Use ──────┐                  ┌─▶ findings, ranked
//!                             ├─ ladder of ──────┤
//! ledger ─ verified ─▶ Issuance  verdicts        └─▶ how many uses could be judged at all
//!                └─▶ coverage ┘
//! ```
//!
//! It does not decide about requests (that is the gate), it does not trust a ledger that it has not verified, and it
//! does not take silence for an answer: a use is `never_issued` only where the ledger would have to know the token.
//!
//! ```no_run
//! use countersign_hunt::hunt::reconcile::{Options, reconcile};
//!
//! let report = reconcile(&Options {
//!     decisions: vec!["decisions.ndjson".into()],
//!     ledger: "ledger".into(),
//!     verifier_key: std::fs::read_to_string("ledger.vkey")?,
//!     range_ms: 0..u64::MAX,
//!     clock_skew_seconds: countersign_hunt::coverage::CLOCK_SKEW_SECONDS,
//!     rejects: None,
//! })?;
//! for finding in &report.findings {
//!     println!("{}: {:?}", finding.verdict.as_str(), finding.key_id);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod coverage;
mod duplicates;
pub mod finding;
pub mod hunt;
pub mod issuances;
pub mod normal_form;
pub mod rejects;
pub mod report;
pub mod source;
pub mod timestamp;
pub mod verdict;
