//! The endpoints of every issuer, at the paths of its URL. Described in `docs/endpoints.md`.

mod authenticate;
mod discovery;
mod error;
mod form;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::authority::Authority;
use crate::issuer::Issuer;

/// What a handler knows: the authority, and the one issuer whose path was asked.
#[derive(Clone)]
struct Endpoint {
    authority: Authority,
    issuer: Arc<Issuer>,
    documents: Arc<discovery::Documents>,
}

impl Authority {
    /// The endpoints of all issuers. A tenant that is not registered has none, so its paths are not found.
    pub fn router(&self) -> Router {
        let issuers = self.shared().issuers.values();
        issuers
            .map(|issuer| self.issuer_router(issuer))
            .fold(Router::new(), Router::merge)
    }

    fn issuer_router(&self, issuer: &Arc<Issuer>) -> Router {
        let path = &issuer.path;
        let documents = Arc::new(discovery::Documents::new(&issuer.url));
        let endpoint = Endpoint {
            authority: self.clone(),
            issuer: Arc::clone(issuer),
            documents,
        };
        Router::new()
            .route(
                &format!("{path}/.well-known/openid-configuration"),
                get(discovery::metadata),
            )
            .route(
                &format!("/.well-known/oauth-authorization-server{path}"),
                get(discovery::metadata),
            )
            .route(&format!("{path}/jwks"), get(discovery::key_set))
            .route(&format!("{path}/token"), post(token::token))
            .with_state(endpoint)
    }
}
