//! A witness over HTTP: `add-checkpoint` and the monitors' `checkpoint`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::{Refusal, Witness};
use crate::follow::Clock;

/// 63 proof lines and a checkpoint with 16 post-quantum signatures are some 115 KB.
const BODY_BYTES_MAX: usize = 256 << 10;
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const SIZE: HeaderValue = HeaderValue::from_static("text/x.tlog.size");
const A_SECOND: HeaderValue = HeaderValue::from_static("public, max-age=1");

#[derive(Clone)]
struct Service {
    witness: Arc<Witness>,
    clock: Clock,
}

/// `POST /add-checkpoint` and `GET /<hex SHA-256 of the origin>/checkpoint`: submission and monitoring prefix are one.
pub fn router(witness: Arc<Witness>, clock: Clock) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin_hash}/checkpoint", get(checkpoint))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Service { witness, clock })
}

async fn add_checkpoint(State(service): State<Service>, body: Bytes) -> Response {
    let work = move || {
        let now = (service.clock)();
        service.witness.add_checkpoint(&body, now)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(lines)) => ([(CONTENT_TYPE, TEXT)], lines).into_response(),
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Refusal::Conflict { size } = refusal {
        return (status, [(CONTENT_TYPE, SIZE)], format!("{size}\n")).into_response();
    }
    tracing::warn!(code = refusal.code(), "a checkpoint was not cosigned");
    (status, [(CONTENT_TYPE, TEXT)], format!("{refusal}\n")).into_response()
}

async fn checkpoint(State(service): State<Service>, Path(origin_hash): Path<String>) -> Response {
    // The lock of a ledger is held while its state is made durable.
    let read = tokio::task::spawn_blocking(move || service.witness.latest(&origin_hash)).await;
    match read {
        Ok(Some(note)) => ([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, A_SECOND)], note).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
