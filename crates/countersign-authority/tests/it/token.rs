//! `client_credentials`: both methods of authentication, every algorithm, every error.

use countersign_authority::config::{Authentication, ClientConfig, SigningAlgorithm};
use countersign_authority::{Config, Grant};
use countersign_ledger::{IssuanceKind, Provenance};
use countersign_token::ParsedToken;
use serde_json::{Value, json};

use crate::client::{ClientKey, claims};
use crate::world::{Answer, BASE_URL, CONTOSO, FABRIKAM, MAIL, World, basic, data};

const GRANT: &str = "grant_type=client_credentials";

fn payload(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(part)
            .unwrap(),
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_that_of_rfc_9068() {
    let world = World::first_run().await;
    let answer = world.token(CONTOSO, "mail-app", GRANT).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = answer.json();
    assert_eq!(
        (body["token_type"].as_str(), body["expires_in"].as_u64()),
        (Some("Bearer"), Some(600))
    );
    assert_eq!(body["scope"], "mail.read mail.send");
    assert_eq!(body.as_object().unwrap().len(), 4);
    let claims = payload(&answer.access_token());
    let token_id = claims["jti"].as_str().unwrap();
    assert_eq!(
        claims,
        json!({
            "iss": format!("{BASE_URL}{CONTOSO}"), "sub": "mail-app", "client_id": "mail-app", "aud": MAIL,
            "iat": world.now(), "exp": world.now() + 600, "jti": token_id, "scope": "mail.read mail.send",
            "tid": CONTOSO.rsplit('/').next().unwrap(),
        })
    );
    let again = payload(&world.token(CONTOSO, "mail-app", GRANT).await.access_token());
    assert_ne!(again["jti"], claims["jti"]);
    let consumer = payload(
        &world
            .token("/consumer", "consumer-app", GRANT)
            .await
            .access_token(),
    );
    assert_eq!(consumer.get("tid"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_and_method_gives_a_token_that_verifies_and_is_recorded() {
    for algorithm in [
        SigningAlgorithm::Es256,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::EdDsa,
    ] {
        let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
        let key = ClientKey::generate(algorithm.as_str());
        std::fs::create_dir(data(directory.path())).unwrap();
        let keys = std::fs::File::create(data(directory.path()).join("job.jwks")).unwrap();
        std::io::Write::write_all(&mut { keys }, key.jwks().as_bytes()).unwrap();
        let mut config = Config::first_run();
        config.realms[1].algorithm = algorithm;
        config.clients[1].jwks_file = Some("job.jwks".into());
        let world = World::start_in(directory, config).await.unwrap();

        let by_secret = world.token(CONTOSO, "mail-app", GRANT).await.access_token();
        let claims = claims(
            "reports-job",
            &format!("{BASE_URL}{CONTOSO}/token"),
            world.now(),
            "one",
        );
        let body = format!("{GRANT}&{}", key.parameters(&claims));
        let by_key = world
            .post(&format!("{CONTOSO}/token"), &[], &body)
            .await
            .access_token();
        for (token, client) in [(by_secret, "mail-app"), (by_key, "reports-job")] {
            let verified = world.verify(&token, "enterprise", MAIL);
            assert_eq!((verified.subject(), verified.client_id()), (client, Some(client)));
            assert_eq!(verified.algorithm().as_str(), algorithm.as_str());
            let fingerprint = verified.fingerprint();
            let provenance = world
                .follower
                .provenance(fingerprint.as_bytes(), verified.expires_at())
                .await;
            assert!(matches!(
                provenance,
                Provenance::Recorded {
                    kind: IssuanceKind::Access,
                    ..
                }
            ));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_generated_client_key_works_and_an_assertion_works_once() {
    let world = World::first_run().await;
    let path = world.data().join("clients/reports-job.jwk");
    let key = ClientKey::from_jwk(&std::fs::read_to_string(path).unwrap());
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let body = format!(
        "{GRANT}&{}",
        key.parameters(&claims("reports-job", &issuer, world.now(), "one"))
    );
    let endpoint = format!("{CONTOSO}/token");
    assert_eq!(world.post(&endpoint, &[], &body).await.status, 200);
    world
        .post(&endpoint, &[], &body)
        .await
        .is_error(401, "invalid_client");
    // Neither does a restart forget it.
    let world = world.restart(Config::first_run()).await.unwrap();
    world
        .post(&endpoint, &[], &body)
        .await
        .is_error(401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn unacceptable_assertions_are_refused() {
    let world = World::first_run().await;
    let path = world.data().join("clients/reports-job.jwk");
    let key = ClientKey::from_jwk(&std::fs::read_to_string(path).unwrap());
    let now = world.now();
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let check = async |change: fn(&mut Value, u64), key: &ClientKey| {
        let mut claims = claims("reports-job", &issuer, now, "one");
        change(&mut claims, now);
        let body = format!("{GRANT}&{}", key.parameters(&claims));
        world
            .post(&format!("{CONTOSO}/token"), &[], &body)
            .await
            .is_error(401, "invalid_client");
    };
    check(|_, _| (), &ClientKey::generate("ES256")).await;
    check(|_, _| (), &ClientKey::generate("EdDSA")).await;
    check(
        |claims, _| claims["aud"] = json!("http://authority.example/consumer"),
        &key,
    )
    .await;
    check(|claims, _| claims["iss"] = json!("mail-app"), &key).await;
    check(|claims, _| claims["sub"] = json!("mail-app"), &key).await;
    check(|claims, now| claims["exp"] = json!(now - 60), &key).await;
    check(|claims, now| claims["exp"] = json!(now + 3_600), &key).await;
    for claim in ["iss", "sub", "aud", "exp", "jti"] {
        let mut claims = claims("reports-job", &issuer, now, "one");
        claims.as_object_mut().unwrap().remove(claim);
        let body = format!("{GRANT}&{}", key.parameters(&claims));
        world
            .post(&format!("{CONTOSO}/token"), &[], &body)
            .await
            .is_error(401, "invalid_client");
    }
    let other_type = "client_assertion_type=urn%3Aother&client_assertion=a.b.c";
    let answer = world
        .post(&format!("{CONTOSO}/token"), &[], &format!("{GRANT}&{other_type}"))
        .await;
    answer.is_error(401, "invalid_client");
}

struct Request<'a> {
    authorization: Option<String>,
    body: &'a str,
}

async fn ask(world: &World, request: Request<'_>) -> Answer {
    let headers: Vec<(&str, &str)> = request
        .authorization
        .iter()
        .map(|value| ("Authorization", value.as_str()))
        .collect();
    world
        .post(&format!("{CONTOSO}/token"), &headers, request.body)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn client_authentication_fails_as_rfc_6749_says() {
    let world = World::first_run().await;
    let good = world.basic("mail-app");
    let secret = world.secret("mail-app");
    let encoded = basic("mail%2Dapp", &secret);
    assert_eq!(
        ask(
            &world,
            Request {
                authorization: Some(encoded),
                body: GRANT
            }
        )
        .await
        .status,
        200
    );
    let with_id = format!("{GRANT}&client_id=mail-app");
    assert_eq!(
        ask(
            &world,
            Request {
                authorization: Some(good.clone()),
                body: &with_id
            }
        )
        .await
        .status,
        200
    );

    let refused = [
        None,
        Some(basic("mail-app", "wrong")),
        Some(basic("nobody", &secret)),
        Some(basic("mail-app", "")),
        Some(basic("reports-job", &secret)),
        Some(world.basic("consumer-app")),
        Some("Bearer abc".to_owned()),
        Some("Basic ###".to_owned()),
    ];
    for authorization in refused {
        ask(
            &world,
            Request {
                authorization,
                body: GRANT,
            },
        )
        .await
        .is_error(401, "invalid_client");
    }
    let posted = format!("{GRANT}&client_id=mail-app&client_secret={secret}");
    ask(
        &world,
        Request {
            authorization: None,
            body: &posted,
        },
    )
    .await
    .is_error(401, "invalid_client");
    let bodies = [
        posted,
        format!("{GRANT}&client_id=other"),
        format!("{GRANT}&client_assertion_type=x&client_assertion=a.b.c"),
    ];
    for body in bodies {
        ask(
            &world,
            Request {
                authorization: Some(good.clone()),
                body: &body,
            },
        )
        .await
        .is_error(400, "invalid_request");
    }
    let challenge = ask(
        &world,
        Request {
            authorization: None,
            body: GRANT,
        },
    )
    .await
    .headers["www-authenticate"]
        .clone();
    assert_eq!(
        challenge,
        format!(r#"Basic realm="{BASE_URL}{CONTOSO}", charset="UTF-8""#)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_unknown_at_another_tenant() {
    let world = World::first_run().await;
    world
        .token(FABRIKAM, "mail-app", GRANT)
        .await
        .is_error(401, "invalid_client");
    world
        .token("/consumer", "mail-app", GRANT)
        .await
        .is_error(401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_fail_as_rfc_6749_says() {
    let world = World::first_run().await;
    let cases = [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        (
            "grant_type=password&username=a&password=b",
            "unsupported_grant_type",
        ),
        ("grant_type=authorization_code&code=a", "unsupported_grant_type"),
        (
            "grant_type=refresh_token&refresh_token=a",
            "unsupported_grant_type",
        ),
        (
            "grant_type=client_credentials&grant_type=client_credentials",
            "invalid_request",
        ),
        (
            "grant_type=client_credentials&scope=mail.read&scope=mail.send",
            "invalid_request",
        ),
        ("grant_type=client_credentials&x=1&x=2", "invalid_request"),
        ("grant_type=client_credentials&scope=%zz", "invalid_request"),
        ("grant_type=client_credentials&scope=mail.write", "invalid_scope"),
        (
            "grant_type=client_credentials&scope=mail.read%22",
            "invalid_scope",
        ),
        (
            "grant_type=client_credentials&scope=mail.read+mail.write",
            "invalid_scope",
        ),
        (
            "grant_type=client_credentials&resource=https%3A%2F%2Ffiles.example",
            "invalid_target",
        ),
        (
            "grant_type=client_credentials&resource=https%3A%2F%2Fmail.example%2F",
            "invalid_target",
        ),
        (
            "grant_type=client_credentials&resource=https%3A%2F%2Fmail.example&resource=https%3A%2F%2Fmail.example",
            "invalid_target",
        ),
    ];
    for (body, error) in cases {
        let answer = world.token(CONTOSO, "mail-app", body).await;
        answer.is_error(400, error);
    }
    world
        .token(CONTOSO, "mail-frontend", GRANT)
        .await
        .is_error(400, "unauthorized_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_must_be_forms_of_bounded_size() {
    let world = World::first_run().await;
    let authorization = world.basic("mail-app");
    let authorization = ("Authorization", authorization.as_str());
    let path = format!("{CONTOSO}/token");
    let json = ("Content-Type", "application/json");
    let answer = world
        .send(
            "POST",
            &path,
            &[authorization, json],
            r#"{"grant_type":"client_credentials"}"#,
        )
        .await;
    answer.is_error(400, "invalid_request");
    world
        .send("POST", &path, &[authorization], GRANT)
        .await
        .is_error(400, "invalid_request");
    let charset = ("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8");
    assert_eq!(
        world
            .send("POST", &path, &[authorization, charset], GRANT)
            .await
            .status,
        200
    );
    let large = format!("{GRANT}&x={}", "a".repeat(64 * 1024));
    world
        .post(&path, &[authorization], &large)
        .await
        .is_error(400, "invalid_request");
    assert_eq!(world.send("GET", &path, &[authorization], "").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_never_echo_the_request() {
    let world = World::first_run().await;
    let marker = "zqxjkvbp";
    for body in [
        format!("grant_type={marker}"),
        format!("{GRANT}&scope={marker}"),
        format!("{GRANT}&resource=https%3A%2F%2F{marker}"),
        format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={marker}&subject_token_type={marker}"
        ),
    ] {
        for client in ["mail-app", "mail-frontend"] {
            let answer = world.token(CONTOSO, client, &body).await;
            assert!(answer.status >= 400 && !format!("{answer:?}").contains(marker));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scope_and_resource_narrow_the_token() {
    let mut config = Config::first_run();
    config.clients.push(ClientConfig {
        id: "wide".to_owned(),
        audiences: vec![MAIL.to_owned(), "https://calendar.example".to_owned()],
        authentication: Authentication::ClientSecretBasic,
        ..config.clients[0].clone()
    });
    let world = World::start(config).await;
    let answer = world
        .token(CONTOSO, "mail-app", &format!("{GRANT}&scope=mail.read+mail.read"))
        .await;
    assert_eq!(answer.json()["scope"], "mail.read");
    assert_eq!(payload(&answer.access_token())["scope"], "mail.read");
    world
        .token(CONTOSO, "wide", GRANT)
        .await
        .is_error(400, "invalid_target");
    let named = format!("{GRANT}&resource=https%3A%2F%2Fcalendar.example");
    let token = world.token(CONTOSO, "wide", &named).await.access_token();
    assert_eq!(payload(&token)["aud"], "https://calendar.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_released_that_the_ledger_does_not_take() {
    let world = World::first_run().await;
    let before = world.ledger.head();
    world.ledger.close();
    let answer = world.token(CONTOSO, "mail-app", GRANT).await;
    answer.is_error(503, "temporarily_unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    let grant = Grant::new(format!("{BASE_URL}{CONTOSO}"), "alice", "mail-app", MAIL);
    assert_eq!(
        world.authority.issue(grant).await.unwrap_err().code(),
        "record_failed"
    );
    assert_eq!(world.ledger.head(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_issues_in_process() {
    let world = World::first_run().await;
    let mut grant = Grant::new(format!("{BASE_URL}{CONTOSO}"), "alice", "mail-app", MAIL);
    grant.scope = vec!["mail.read".to_owned()];
    grant.lifetime_seconds = Some(60);
    grant.claims.email = Some("alice@contoso.example".to_owned());
    grant.claims.session_id = Some("session".to_owned());
    let issued = world.authority.issue(grant.clone()).await.unwrap();
    assert_eq!((issued.expires_in, issued.expires_at), (60, world.now() + 60));
    let verified = world.verify(&issued.token, "enterprise", MAIL);
    assert_eq!(
        (verified.subject(), verified.session_id()),
        ("alice", Some("session"))
    );
    assert_eq!(verified.fingerprint(), issued.fingerprint);
    assert_eq!(
        ParsedToken::parse(&issued.token).unwrap().fingerprint(),
        issued.fingerprint
    );
    assert!(!format!("{issued:?}").contains(issued.token.as_str()));

    let check = async |change: fn(&mut Grant), code: &str| {
        let mut grant = grant.clone();
        change(&mut grant);
        assert_eq!(world.authority.issue(grant).await.unwrap_err().code(), code);
    };
    check(
        |grant| grant.issuer = "https://other.example".to_owned(),
        "issuer_unknown",
    )
    .await;
    check(
        |grant| grant.lifetime_seconds = Some(3_601),
        "lifetime_not_allowed",
    )
    .await;
    check(|grant| grant.subject.clear(), "grant_invalid").await;
}
