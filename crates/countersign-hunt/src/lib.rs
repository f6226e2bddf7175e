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

pub mod coverage;
pub mod issuances;
pub mod normal_form;
pub mod rejects;
pub mod source;
pub mod timestamp;
pub mod verdict;
