//! The follow stream and the barrier read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::unfold;
use tokio::sync::watch;

use super::BYTES;
use crate::frame::Frame;
use crate::head::{Nonce, parse_nonce};
use crate::hub::{Hub, HubError, News};
use crate::ledger::Ledger;

/// A follower hears something this often; several times in the time after which it takes the ledger for stalled.
const QUIET_INTERVAL: Duration = Duration::from_secs(1);
/// Never out of a cache: it is asked for because it is new.
const NEVER: &str = "no-store";

/// `/head?from=N&nonce=X` and `/follow?from=N`.
pub(super) fn router(ledger: Ledger) -> Router {
    Router::new()
        .route("/head", get(head))
        .route("/follow", get(follow))
        .with_state(Hub::new(ledger))
}

/// The barrier read: everything from `from` on, and a head signed for this asker after its question came.
async fn head(State(hub): State<Hub>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Some((from, Some(nonce))) = parameters(&query) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match hub.news(from, Some(nonce)).await {
        Ok(news) => {
            let mut body = Vec::new();
            news.frames.iter().for_each(|frame| body.extend_from_slice(frame));
            ([(CONTENT_TYPE, BYTES)], [(CACHE_CONTROL, NEVER)], body).into_response()
        }
        Err(error) => refusal(error),
    }
}

/// Every entry from `from` on, as it becomes durable, with a head after each batch.
async fn follow(State(hub): State<Hub>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Some((from, None)) = parameters(&query) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let watch = hub.ledger().watch();
    match hub.news(from, None).await {
        Ok(news) => {
            let stream = unfold(Following::new(hub, watch, from, news), Following::next);
            let body = Body::from_stream(stream);
            ([(CONTENT_TYPE, BYTES)], [(CACHE_CONTROL, NEVER)], body).into_response()
        }
        Err(error) => refusal(error),
    }
}

fn refusal(error: HubError) -> Response {
    match error {
        HubError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        HubError::TooFarBehind => StatusCode::CONFLICT,
    }
    .into_response()
}

/// `from=N` or `from=N&nonce=X`, and nothing else.
fn parameters(query: &str) -> Option<(u64, Option<Nonce>)> {
    let (from, nonce) = match query.split_once('&') {
        Some((from, nonce)) => (from, Some(parse_nonce(nonce.strip_prefix("nonce=")?)?)),
        None => (query, None),
    };
    Some((from.strip_prefix("from=")?.parse().ok()?, nonce))
}

/// One connection. It is asked for the next frame only when the one before has left, so a slow reader holds up nobody;
/// one that falls out of what is kept is cut off and comes back by way of the tiles.
struct Following {
    hub: Hub,
    watch: watch::Receiver<u64>,
    position: u64,
    frames: VecDeque<Bytes>,
}

impl Following {
    fn new(hub: Hub, watch: watch::Receiver<u64>, from: u64, news: News) -> Self {
        Self {
            hub,
            watch,
            position: from.max(news.size),
            frames: news.frames,
        }
    }

    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some((Ok(frame), self));
            }
            let position = self.position;
            let grown = self.watch.wait_for(|head| *head > position);
            let grown = async { grown.await.map(drop) };
            match tokio::time::timeout(QUIET_INTERVAL, grown).await {
                Ok(Ok(())) => {
                    let news = self.hub.news(position, None).await.ok()?;
                    self.position = position.max(news.size);
                    self.frames = news.frames;
                }
                // The ledger has stopped.
                Ok(Err(_)) => return None,
                Err(_) => {
                    let quiet = Frame::Quiet { head: position }.encode();
                    self.frames.push_back(quiet.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_to_ask() {
        let nonce = "0123456789abcdef0123456789abcdef";
        assert_eq!(parameters("from=7"), Some((7, None)));
        let asked = parameters(&format!("from=7&nonce={nonce}")).unwrap();
        assert_eq!(asked.1.map(hex::encode).as_deref(), Some(nonce));
        for other in [
            "",
            "from=",
            "from=-1",
            "nonce=00",
            "from=1&nonce=",
            "from=1&nonce=00",
            "from=1&from=2",
        ] {
            assert_eq!(parameters(other), None, "{other:?}");
        }
        assert_eq!(parameters(&format!("from=7&nonce={nonce}&x=1")), None);
    }
}
