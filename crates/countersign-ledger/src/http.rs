//! The ledger over HTTP, exactly as C2SP tlog-tiles serves a log, plus `/checkpoint.witnessed`,
//! `/key` and `/freshness-key`.

mod follow;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::ledger::Ledger;
use crate::tile::TileName;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// A full tile never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A partial tile never changes either, but the full one supersedes it soon.
const A_MINUTE: HeaderValue = HeaderValue::from_static("public, max-age=60, immutable");
/// Short enough to see a new head soon, long enough to take a crowd off the origin.
const A_SECOND: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// `/checkpoint`, `/checkpoint.witnessed` (the latest with cosignatures of witnesses), `/tile/<L>/<N>[.p/<W>]`, `/tile/entries/<N>[.p/<W>]`, `/key` (the vkey) and `/freshness-key`
/// (the vkey of the freshness lines); `/head` and `/follow` as `docs/follow.md` says. To be mounted below the ledger's
/// prefix. Anything that is not the one spelling of a published file is 404.
pub fn router(ledger: Ledger) -> Router {
    Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/checkpoint.witnessed", get(witnessed))
        .route("/key", get(key))
        .route("/freshness-key", get(freshness_key))
        .route("/tile/{*rest}", get(tile))
        .with_state(ledger.clone())
        .merge(follow::router(ledger))
}

async fn checkpoint(State(ledger): State<Ledger>) -> Response {
    (
        [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, A_SECOND)],
        ledger.checkpoint().to_vec(),
    )
        .into_response()
}

async fn witnessed(State(ledger): State<Ledger>) -> Response {
    match ledger.witnessed() {
        Some(note) => ([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, A_SECOND)], note.to_vec()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn key(State(ledger): State<Ledger>) -> Response {
    (
        [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, A_MINUTE)],
        format!("{}\n", ledger.verifier_key()),
    )
        .into_response()
}

async fn freshness_key(State(ledger): State<Ledger>) -> Response {
    let Some(key) = ledger.freshness_key() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    (
        [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, A_MINUTE)],
        format!("{key}\n"),
    )
        .into_response()
}

async fn tile(State(ledger): State<Ledger>, Path(rest): Path<String>) -> Response {
    let Some(name) = TileName::parse(&format!("tile/{rest}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let read = tokio::task::spawn_blocking(move || ledger.tile(name)).await;
    let bytes = match read {
        Ok(Ok(Some(bytes))) => bytes,
        Ok(Ok(None)) => return StatusCode::NOT_FOUND.into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, file = %name, "a tile could not be read");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let caching = if name.is_full() { FOR_EVER } else { A_MINUTE };
    ([(CONTENT_TYPE, BYTES), (CACHE_CONTROL, caching)], bytes).into_response()
}
