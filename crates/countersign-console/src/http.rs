//! The two addresses.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::facts::Observer;
use crate::page::{self, Refresh};
use crate::{ConsoleOptions, host};

/// `GET /console` for people and `GET /console.json` for machines.
pub fn router(options: ConsoleOptions) -> Router {
    let observer = Arc::new(Observer::new(options));
    Router::new()
        .route("/console", get(html))
        .route("/console.json", get(json))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&observer), guard))
        .with_state(observer)
}

async fn html(State(observer): State<Arc<Observer>>, RawQuery(query): RawQuery) -> Response {
    let Some(facts) = observer.facts().await else {
        return unavailable();
    };
    let refresh = if query.as_deref() == Some("refresh=off") {
        Refresh::Off
    } else {
        Refresh::On
    };
    let html = page::render(&facts, refresh);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

async fn json(State(observer): State<Arc<Observer>>) -> Response {
    match observer.facts().await {
        Some(facts) => axum::Json(&*facts).into_response(),
        None => unavailable(),
    }
}

fn unavailable() -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "console_unavailable: the process is shutting down\n",
    )
        .into_response()
}

/// Refuses foreign host names and puts the security headers on every answer.
async fn guard(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    let names = &observer.options().host_names;
    let allowed = asked_host(&request).is_some_and(|host| host::is_allowed(host, names));
    let mut response = if allowed {
        next.run(request).await
    } else {
        let text = "host_unknown: this page does not answer to that host name\n\n\
                    hint: ask by IP address or localhost, or add the name to the console's configuration\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    };
    secure(response.headers_mut());
    response
}

fn asked_host(request: &Request) -> Option<&str> {
    let mut headers = request.headers().get_all(header::HOST).iter();
    match (headers.next(), headers.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, None) => request.uri().authority().map(axum::http::uri::Authority::as_str),
        _ => None,
    }
}

fn secure(headers: &mut HeaderMap) {
    const HEADERS: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
