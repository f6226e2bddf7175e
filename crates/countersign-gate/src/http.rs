use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::Response;
use axum::routing::{any, get};
use axum::{Json, Router};

use crate::answer::answer;
use crate::gate::{Gate, Request};
use crate::health::Health;

impl Gate {
    /// `/check` for a proxy, on any method, and `/healthz` for whoever watches.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/check", any(check))
            .route("/healthz", get(healthz))
            .with_state(self.clone())
    }
}

/// The body is never read: nothing in it counts.
async fn check(State(gate): State<Gate>, request: HttpRequest) -> Response<Body> {
    let request = Request {
        headers: request.headers(),
        query: request.uri().query(),
    };
    let decision = gate.decide(&request).await;
    answer(&decision, gate.config().dialect)
}

async fn healthz(State(gate): State<Gate>) -> (axum::http::StatusCode, Json<Health>) {
    let health = Health::of(&gate);
    (health.http_status(), Json(health))
}
