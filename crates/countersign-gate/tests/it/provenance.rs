use std::sync::Arc;
use std::time::Duration;

use countersign_ledger::draft::DenialDraft;
use countersign_ledger::entry::{Denied, ReasonCode, issuer_id, session_id};
use countersign_ledger::follow::{Source, SourceError};
use countersign_ledger::{Entry, FollowOptions, Follower, IssuanceKind};
use countersign_token::TrustBundle;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::fixture::{Issuer, NOW, Stack, config, fingerprint};

#[tokio::test]
async fn a_recorded_token_is_admitted() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    let index = stack.record(&token, IssuanceKind::Access).await;
    let line = stack.check("mail", &token, 200, None).await;
    assert_eq!(
        (&line["provenance"], &line["ledger_index"]),
        (&json!("recorded"), &json!(index))
    );
    assert_eq!((&line["mode"], &line["bundle"]), (&json!("enforce"), &json!(7)));
}

#[tokio::test]
async fn what_was_never_issued_is_refused_or_observed() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    let line = stack.check("mail", &token, 401, Some("never_issued")).await;
    assert_eq!(line["provenance"], "not_recorded");
    let line = stack.check("observed", &token, 200, Some("never_issued")).await;
    assert_eq!(line["provenance"], "not_recorded");
    let line = stack.check("unasked", &token, 200, None).await;
    assert_eq!(line["provenance"], "not_asked");
}

#[tokio::test]
async fn a_token_issued_as_something_else_was_never_issued_as_access() {
    let stack = Stack::start(config()).await;
    for (kind, status) in [
        (IssuanceKind::Id, 401),
        (IssuanceKind::Refresh, 401),
        (IssuanceKind::Exchanged, 200),
        (IssuanceKind::Foreign, 200),
    ] {
        let token = stack.issuer.token(&json!({"jti": format!("{kind:?}")}));
        stack.record(&token, kind).await;
        let reason = (status == 401).then_some("never_issued");
        stack.check("mail", &token, status, reason).await;
    }
}

#[tokio::test]
async fn a_suspect_key_needs_the_record_in_every_mode() {
    let stack = Stack::start(config()).await;
    let issuers = vec![stack.issuer.record("suspect")];
    stack.bundle.send_replace(Arc::new(TrustBundle::new(8, issuers)));
    let issued = stack.issuer.token(&json!({"jti": "issued"}));
    stack.record(&issued, IssuanceKind::Access).await;
    let forged = stack.issuer.token(&json!({"jti": "forged"}));
    for resource in ["mail", "observed", "unasked"] {
        let line = stack.check(resource, &issued, 200, None).await;
        assert_eq!((&line["mode"], &line["bundle"]), (&json!("enforce"), &json!(8)));
        stack.check(resource, &forged, 401, Some("never_issued")).await;
    }
}

#[tokio::test]
async fn without_a_ledger_nothing_is_known_to_be_issued() {
    let stack = Stack::without_ledger(config()).await;
    let token = stack.issuer.token(&json!({}));
    let response = stack.ask("mail", &token).await;
    assert_eq!(response.headers()["retry-after"], "2");
    let line = stack.check("mail", &token, 403, Some("provenance_unknown")).await;
    assert_eq!(line["provenance"], "cannot_tell");
    stack
        .check("observed", &token, 200, Some("provenance_unknown"))
        .await;
    stack.check("unasked", &token, 200, None).await;
    let (status, health) = stack.health().await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    assert_eq!(health["ledger"], json!({"state": "none", "position": null}));

    let caddy = serde_json::from_value(json!({
        "dialect": "caddy",
        "resources": [{"name": "mail", "audience": crate::fixture::MAIL, "realm": "enterprise"}],
    }));
    let stack = Stack::without_ledger(caddy.unwrap()).await;
    stack
        .check(
            "mail",
            &stack.issuer.token(&json!({})),
            503,
            Some("provenance_unknown"),
        )
        .await;
}

#[tokio::test]
async fn a_closed_ledger_cannot_tell() {
    let mut stack = Stack::start(config()).await;
    stack.ledger.take().unwrap().close();
    let token = stack.issuer.token(&json!({}));
    stack.check("mail", &token, 403, Some("provenance_unknown")).await;
}

#[tokio::test]
async fn a_revocation_counts_from_the_moment_it_is_published() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    stack.check("unasked", &token, 200, None).await;
    let revoked = TrustBundle::new(8, vec![stack.issuer.record("revoked")]);
    stack.bundle.send_replace(Arc::new(revoked));
    stack.check("unasked", &token, 401, Some("key_revoked")).await;
    // An older bundle played back undoes nothing.
    let older = TrustBundle::new(7, vec![stack.issuer.record("active")]);
    stack.bundle.send_replace(Arc::new(older));
    let line = stack.check("unasked", &token, 401, Some("key_revoked")).await;
    assert_eq!(line["bundle"], 8);
}

#[tokio::test]
async fn a_revocation_outlives_the_authority() {
    let mut stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    let other = Issuer::new("https://other.example", "enterprise");
    let issuers = vec![stack.issuer.record("revoked"), other.record("active")];
    stack.bundle.send_replace(Arc::new(TrustBundle::new(8, issuers)));
    // The authority goes, and with it the channel. Nobody asked since it published.
    drop(std::mem::replace(
        &mut stack.bundle,
        tokio::sync::watch::channel(Arc::default()).0,
    ));
    stack.check("unasked", &token, 401, Some("key_revoked")).await;
    stack.check("unasked", &other.token(&json!({})), 200, None).await;
    let (status, health) = stack.health().await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    assert_eq!(health["trust_problem"], "bundle_stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_sees_trust_older_than_what_was_published_before_it() {
    let stack = Arc::new(Stack::start(config()).await);
    let token = stack.issuer.token(&json!({}));
    // Others make the trust anew all the time.
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (stack, token) = (Arc::clone(&stack), token.clone());
        askers.spawn(async move {
            loop {
                stack.ask("unasked", &token).await;
            }
        });
    }
    for number in 8..108 {
        let (state, status) = if number % 2 == 0 {
            ("revoked", 401)
        } else {
            ("active", 200)
        };
        let issuers = vec![stack.issuer.record(state)];
        stack
            .bundle
            .send_replace(Arc::new(TrustBundle::new(number, issuers)));
        let response = stack.ask("unasked", &token).await;
        assert_eq!(response.status().as_u16(), status, "bundle {number}");
    }
    askers.abort_all();
}

#[tokio::test]
async fn a_key_of_another_realm_is_the_alarm() {
    let stack = Stack::start(config()).await;
    let consumer = Issuer::new("https://consumer.example", "consumer");
    let issuers = vec![stack.issuer.record("active"), consumer.record("active")];
    stack.bundle.send_replace(Arc::new(TrustBundle::new(8, issuers)));
    let crossing = consumer.token(&json!({"iss": stack.issuer.iss}));
    let line = stack
        .check("mail", &crossing, 401, Some("key_realm_mismatch"))
        .await;
    assert_eq!(line["key_thumbprint"], json!(consumer.kid));
    assert_eq!(line["realm"], "enterprise");
    stack
        .check(
            "outlook",
            &stack.issuer.token(&json!({})),
            401,
            Some("resource_realm_mismatch"),
        )
        .await;
}

#[tokio::test]
async fn scope_and_tenant_are_authority_the_rest_is_the_token() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    stack
        .check("scoped", &token, 403, Some("scope_insufficient"))
        .await;
    stack
        .check("tenanted", &token, 403, Some("tenant_not_allowed"))
        .await;
    let challenge = stack.ask("scoped", &token).await.headers()["www-authenticate"].clone();
    assert_eq!(challenge, "Bearer error=\"insufficient_scope\"");
    let late = stack.issuer.token(&json!({"iat": NOW - 3000, "exp": NOW - 600}));
    stack.check("mail", &late, 401, Some("token_expired")).await;
    let challenge = stack.ask("mail", &late).await.headers()["www-authenticate"].clone();
    assert_eq!(challenge, "Bearer error=\"invalid_token\"");
}

/// An empty ledger that answers when it is allowed to.
struct Slow(Arc<Semaphore>);

impl Source for Slow {
    async fn head(&self) -> Result<u64, SourceError> {
        self.0.acquire().await.map_err(|_| SourceError::Stopped)?.forget();
        Ok(0)
    }

    async fn read(&self, _: u64, _: usize) -> Result<Vec<Entry>, SourceError> {
        Err(SourceError::Unavailable)
    }

    async fn changed(&self, _: u64) -> Result<(), SourceError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_key_revoked_while_the_ledger_is_asked_admits_nothing() {
    let allowed = Arc::new(Semaphore::new(1));
    let options = FollowOptions {
        timeout: Duration::from_mins(1),
        ..FollowOptions::default()
    };
    let follower = Follower::start_on(Slow(Arc::clone(&allowed)), Arc::new(|| NOW), options).await;
    let stack = Stack::following(config(), follower.clone()).await;
    let token = stack.issuer.token(&json!({}));
    let asked = stack.ask("observed", &token);
    let meanwhile = async {
        while follower.barrier_reads() == 0 {
            tokio::task::yield_now().await;
        }
        let revoked = TrustBundle::new(8, vec![stack.issuer.record("revoked")]);
        stack.bundle.send_replace(Arc::new(revoked));
        allowed.add_permits(10);
    };
    let (response, ()) = tokio::join!(asked, meanwhile);
    assert_eq!(response.status().as_u16(), 401);
    assert_eq!(stack.last_line()["reason"], "key_revoked");
}

#[tokio::test]
async fn a_denied_token_is_refused_in_every_mode_that_asks() {
    let stack = Stack::start(config()).await;
    let ledger = stack.ledger.clone().unwrap();
    let token = |id: &str| stack.issuer.token(&json!({"jti": id, "sid": id}));
    let (by_fingerprint, by_session, kept) = (token("a"), token("b"), token("c"));
    for token in [&by_fingerprint, &by_session, &kept] {
        stack.record(token, IssuanceKind::Access).await;
        stack.check("mail", token, 200, None).await;
    }
    for denied in [
        Denied::Token(fingerprint(&by_fingerprint)),
        Denied::Session(session_id(&issuer_id(&stack.issuer.iss), "b")),
    ] {
        let denial = DenialDraft {
            denied,
            reason: ReasonCode::Compromise,
            at: NOW,
        };
        ledger.append(denial).await.unwrap();
    }
    // The miss hears everything up to now.
    let forged = token("forged");
    stack.check("mail", &forged, 401, Some("never_issued")).await;
    for token in [&by_fingerprint, &by_session] {
        for resource in ["mail", "observed"] {
            let line = stack.check(resource, token, 401, Some("token_denied")).await;
            assert_eq!(line["provenance"], "recorded");
        }
        stack.check("unasked", token, 200, None).await;
    }
    stack.check("mail", &kept, 200, None).await;
}
