//! A provider of keys that can be made to misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

/// What the provider says.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) issuer: Option<String>,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) keys: Vec<Value>,
    /// The discovery document is elsewhere, it says.
    pub(crate) redirects: bool,
    /// The key set is padded to this many bytes.
    pub(crate) padding: usize,
    pub(crate) status: u16,
    /// The key set never comes.
    pub(crate) stalls: bool,
}

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) url: String,
    pub(crate) script: Arc<Mutex<Script>>,
    /// How often the key set was asked for.
    fetches: Arc<AtomicUsize>,
    /// How many requests there were for anything.
    requests: Arc<AtomicUsize>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Script {
            issuer: None,
            jwks_uri: None,
            keys: Vec::new(),
            redirects: false,
            padding: 0,
            status: 200,
            stalls: false,
        };
        let provider = Self {
            url,
            script: Arc::new(Mutex::new(script)),
            fetches: Arc::default(),
            requests: Arc::default(),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/elsewhere", get(elsewhere))
            .route("/jwks", get(jwks))
            .layer(axum::middleware::map_request_with_state(provider.clone(), count))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn document(&self) -> Value {
        let script = self.script.lock().unwrap();
        json!({
            "issuer": script.issuer.as_ref().unwrap_or(&self.url),
            "jwks_uri": script.jwks_uri.clone().unwrap_or(format!("{}/jwks", self.url)),
            "response_types_supported": ["code"],
        })
    }
}

async fn count(State(provider): State<Provider>, request: Request) -> Request {
    provider.requests.fetch_add(1, Ordering::SeqCst);
    request
}

async fn discovery(State(provider): State<Provider>) -> Response {
    if provider.script.lock().unwrap().redirects {
        return (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response();
    }
    provider.document().to_string().into_response()
}

async fn elsewhere(State(provider): State<Provider>) -> String {
    provider.document().to_string()
}

async fn jwks(State(provider): State<Provider>) -> (StatusCode, String) {
    provider.fetches.fetch_add(1, Ordering::SeqCst);
    let script = provider.script.lock().unwrap().clone();
    if script.stalls {
        std::future::pending::<()>().await;
    }
    let text = json!({ "keys": script.keys }).to_string();
    let padding = " ".repeat(script.padding);
    (
        StatusCode::from_u16(script.status).unwrap(),
        format!("{text}{padding}"),
    )
}
