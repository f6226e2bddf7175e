//! An axum service that lets in only what carries a good token.
//!
//! ```text
//! cargo run -p countersign-token --example axum_service
//! curl -i http://127.0.0.1:8421/me -H "Authorization: Bearer $TOKEN"
//! ```
//!
//! What stands between the two marks is the front page of the crate (`README.md`); `tests/it/front_page.rs` compares
//! them, and asks this service over HTTP.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "a program of its own, written as a reader would write his"
)]

// front page: begin
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router, routing::get};
use countersign_token::{
    Authorization, Check, IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, Registry, Resource,
    VerifiedToken, verify,
};

pub struct Guard {
    registry: Registry,
    resource: Resource,
}

type Answer = Result<Response, (StatusCode, [(HeaderName, &'static str); 1])>;

async fn protect(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Answer {
    let check = Check::new(&guard.registry, &guard.resource, now());
    let token = Authorization::of(request.headers().get_all(header::AUTHORIZATION).iter())
        .and_then(|authorization| authorization.bearer()?.parse())
        .and_then(|token| verify(&token, &check)?.without_ledger())
        .inspect_err(|refusal| eprintln!("refused: {refusal}"))
        .map_err(|_| (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]))?;
    request.extensions_mut().insert(token);
    Ok(next.run(request).await)
}

async fn me(Extension(token): Extension<VerifiedToken>) -> String {
    format!("{}\n", token.principal())
}

pub fn service(guard: Guard) -> Router {
    let guard = from_fn_with_state(Arc::new(guard), protect);
    Router::new().route("/me", get(me)).layer(guard)
}

/// Whom to trust, once at the start: here one issuer, whose key set was fetched as `jwks`.
pub fn guard(jwks: &[u8]) -> Result<Guard, Box<dyn std::error::Error>> {
    let issuer = IssuerName::parse("https://id.example/enterprise/{tenantid}")?;
    let keys = KeySet::parse(
        jwks,
        &KeyContext::new(&issuer, "enterprise", KeyMetadata::Declared),
    )?;
    let registry = Registry::new(vec![IssuerRecord::new(issuer, "enterprise", 3_600, keys)])?;
    let resource = Resource::new("mail", "https://mail.example", "enterprise");
    Ok(Guard { registry, resource })
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
// front page: end

#[allow(dead_code, reason = "the test starts the service itself")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let jwks = include_bytes!("../../../testdata/tokens/enterprise.jwks.json");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8421").await?;
    axum::serve(listener, service(guard(jwks)?)).await?;
    Ok(())
}
