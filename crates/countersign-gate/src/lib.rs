//! The gate: it admits only tokens that verify *and* that the ledger shows were issued.
//!
//! A reverse proxy (nginx, Caddy, Traefik) asks it about every request at `/check`. The gate finds the one
//! bearer token, chooses the issuer's record by `iss`, the key by `kid` inside that record, applies the token
//! rules of `countersign-token`, and then, only for a token whose signature is proved, asks the follower of
//! the ledger whether that token was ever issued. Every decision stands in the decision log before the
//! proxy hears it.
//!
//! ```text
//!  caller ──▶ proxy ──▶ service
//!               │  ▲
//!      /check   ▼  │ 200 + identity │ 401 │ 403 │ 503
//!            ┌────────┐   rules    ┌───────┐
//!            │  gate  │ ─────────▶ │ token │
//!            └────────┘            └───────┘
//!     trust ▲    │  │  issued?     ┌────────┐
//!    bundle │    │  └────────────▶ │ ledger │
//!  key sets ┘    ▼                 └────────┘
//!            decision log
//! ```
//!
//! What it deliberately does not do:
//!
//! - it holds no signing key and links no code that could use one;
//! - it never takes a key, or the address of one, from a token;
//! - it never tells the caller which rule refused him: the reason stands in the log;
//! - it never keeps, logs or passes on a token;
//! - it does not terminate TLS or proxy traffic: that is the proxy's work.
//!
//! # Example
//!
//! ```no_run
//! use countersign_gate::{Config, Gate, GateOptions};
//!
//! # async fn example(clock_ms: countersign_gate::ClockMs) -> Result<(), Box<dyn std::error::Error>> {
//! let gate = Gate::start(GateOptions {
//!     config: Config::first_run(),
//!     directory: "countersign-data".into(),
//!     bundle: None,
//!     follower: None,
//!     clock_ms,
//! })?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8420").await?;
//! axum::serve(listener, gate.router()).await?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod bearer;
mod clock;
pub mod config;
mod decision;
mod decision_log;
mod fetch;
mod foreign;
mod forwarded;
mod gate;
mod health;
mod http;
mod line;
mod redact;
mod start;
mod trust;
mod validate;

pub use clock::ClockMs;
pub use config::{Config, Dialect, ForeignIssuer, LedgerConfig, Mode, ResourceConfig};
pub use decision::{Decision, ProvenanceAnswer, Verdict};
pub use gate::{Gate, Request};
pub use start::{GateOptions, StartError};
pub use validate::Problem;
