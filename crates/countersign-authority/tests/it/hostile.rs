//! What an attacker tries at the token endpoint.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use countersign_authority::Grant;
use countersign_ledger::Provenance;
use countersign_token::{ParsedToken, dangerous};
use serde_json::json;

use crate::client::{ClientKey, claims};
use crate::world::{Answer, BASE_URL, CONTOSO, FABRIKAM, MAIL, World, basic};

const GRANT: &str = "grant_type=client_credentials";

fn endpoint() -> String {
    format!("{CONTOSO}/token")
}

fn job_key(world: &World) -> ClientKey {
    let path = world.data().join("clients/reports-job.jwk");
    ClientKey::from_jwk(&std::fs::read_to_string(path).unwrap())
}

/// A request of the job, authenticated by an assertion with that `jti`.
fn job_body(world: &World, token_id: &str) -> String {
    let claims = claims(
        "reports-job",
        &format!("{BASE_URL}{CONTOSO}"),
        world.now(),
        token_id,
    );
    format!("{GRANT}&{}", job_key(world).parameters(&claims))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_uses_of_an_assertion_at_once_one_counts() {
    let world = World::first_run().await;
    let head = world.ledger.head();
    let body = job_body(&world, "one");
    let endpoint = endpoint();
    let ask = || world.post(&endpoint, &[], &body);
    let answers: [Answer; 6] = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask()).into();
    let issued = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(issued, 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.is_error(401, "invalid_client");
    }
    assert_eq!(world.ledger.head(), head + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_for_this_server_and_nobody_else() {
    let world = World::first_run().await;
    let key = job_key(&world);
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let token_endpoint = format!("{issuer}/token");
    let cases = [
        (json!([issuer, token_endpoint]), 200),
        (json!([issuer, "https://other.example"]), 401),
        (json!(["https://other.example", token_endpoint]), 401),
        (json!(format!("{BASE_URL}{FABRIKAM}")), 401),
        (json!(BASE_URL), 401),
        (json!(format!("{issuer}/")), 401),
    ];
    for (number, (audience, status)) in cases.into_iter().enumerate() {
        let mut claims = claims("reports-job", "", world.now(), &number.to_string());
        claims["aud"] = audience;
        let body = format!("{GRANT}&{}", key.parameters(&claims));
        let answer = world.post(&endpoint(), &[], &body).await;
        assert_eq!(answer.status, status, "{claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_works_at_the_clients_own_issuer_only() {
    let world = World::first_run().await;
    let key = job_key(&world);
    for issuer in [FABRIKAM, "/consumer"] {
        let claims = claims("reports-job", &format!("{BASE_URL}{issuer}"), world.now(), issuer);
        let body = format!("{GRANT}&{}", key.parameters(&claims));
        world
            .post(&format!("{issuer}/token"), &[], &body)
            .await
            .is_error(401, "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_signed_by_an_issuers_key_is_none() {
    let world = World::first_run().await;
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let stolen = countersign_authority::dangerous::unseal_signing_key(&world.data(), &issuer, "active")
        .await
        .unwrap();
    for kid in [Some(stolen.key_id()), None] {
        let mut header = json!({"alg": "ES256", "typ": "JWT"});
        if let Some(kid) = kid {
            header["kid"] = json!(kid);
        }
        let assertion = stolen
            .sign(&header, &claims("reports-job", &issuer, world.now(), "one"))
            .unwrap();
        let body = format!(
            "{GRANT}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
        );
        world
            .post(&endpoint(), &[], &body)
            .await
            .is_error(401, "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_read_in_one_way_only() {
    let world = World::first_run().await;
    let secret = world.secret("mail-app");
    let hash = "0".repeat(64);
    let refused = [
        basic("MAIL-APP", &secret),
        basic("mail-app ", &secret),
        basic("mail-app%00", &secret),
        basic("mail-app%20", &secret),
        basic("mail-app%3A", &secret),
        basic("", &secret),
        basic("", ""),
        basic("mail-app", ""),
        basic("mail-app", "%"),
        basic("mail-app", &format!("{secret}%00")),
        basic("mail-app", &format!("{secret}%0A")),
        basic("mail-app", &format!(":{secret}")),
        basic("mail-app", &hash),
        basic("reports-job", ""),
        format!("{}=", basic("mail-app", &secret)),
        format!("{} {}", basic("mail-app", &secret), "x"),
    ];
    for authorization in refused {
        let headers = [("Authorization", authorization.as_str())];
        let answer = world.post(&endpoint(), &headers, GRANT).await;
        answer.is_error(401, "invalid_client");
    }
    // Every character encoded is still the same client and secret.
    let encoded = |text: &str| {
        hex::encode(text)
            .as_bytes()
            .chunks(2)
            .fold(String::new(), |encoded, digits| {
                format!("{encoded}%{}", std::str::from_utf8(digits).unwrap())
            })
    };
    let same = basic(&encoded("mail-app"), &encoded(&secret));
    let answer = world.post(&endpoint(), &[("Authorization", &same)], GRANT).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proofs_are_refused_however_they_are_written() {
    let world = World::first_run().await;
    let secret = world.secret("mail-app");
    let good = world.basic("mail-app");
    let assertion = job_body(&world, "one");
    let authorization = ("Authorization", good.as_str());
    for (headers, body) in [
        (vec![authorization], assertion.clone()),
        (vec![authorization], format!("{GRANT}&client%5Fsecret={secret}")),
        (vec![authorization], format!("{GRANT}&client_secret=wrong")),
        (vec![authorization], format!("{GRANT}&client_assertion_type=x")),
        (vec![authorization, authorization], GRANT.to_owned()),
        (vec![], format!("{assertion}&client_secret={secret}")),
        (vec![], format!("{assertion}&client_id=mail-app")),
        (vec![], format!("{assertion}&client%5Fassertion=a.b.c")),
    ] {
        world
            .post(&endpoint(), &headers, &body)
            .await
            .is_error(400, "invalid_request");
    }
    // What is empty was not sent.
    let empty = format!(
        "{GRANT}&client_secret=&client_assertion=&client_assertion_type=&client_id=&scope=&resource="
    );
    assert_eq!(
        world.post(&endpoint(), &[authorization], &empty).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_stand_in_the_body_only() {
    let world = World::first_run().await;
    let (secret, good) = (world.secret("mail-app"), world.basic("mail-app"));
    let query = format!("{CONTOSO}/token?{GRANT}&client_id=mail-app&client_secret={secret}");
    world.post(&query, &[], "").await.is_error(401, "invalid_client");
    let query = format!("{CONTOSO}/token?{GRANT}");
    world
        .post(&query, &[("Authorization", &good)], "")
        .await
        .is_error(400, "invalid_request");
    let unknown = format!(
        "{GRANT}&lifetime=86400&expires_in=86400&sub=alice&aud=https%3A%2F%2Fx.example&audience=https%3A%2F%2Fx.example"
    );
    let answer = world.token(CONTOSO, "mail-app", &unknown).await;
    let verified = world.verify(&answer.access_token(), "enterprise", MAIL);
    assert_eq!(
        (verified.subject(), verified.audience().collect()),
        ("mail-app", vec![MAIL])
    );
    assert_eq!(verified.expires_at(), world.now() + 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_not_allowed() {
    let world = World::first_run().await;
    let good = world.basic("mail-app");
    let headers = [
        ("Authorization", good.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = world.send(method, &endpoint(), &headers, "").await;
        assert_eq!(
            (answer.status, answer.headers["allow"].as_str()),
            (405, "POST"),
            "{method}"
        );
    }
    for path in ["jwks", ".well-known/openid-configuration"] {
        let answer = world
            .send("POST", &format!("{CONTOSO}/{path}"), &headers, "")
            .await;
        assert_eq!(answer.status, 405);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuance_that_is_given_up_holds_nothing_up() {
    let world = World::first_run().await;
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let mut released = Vec::new();
    for round in 0..60 {
        let (authority, issuer) = (world.authority.clone(), issuer.clone());
        let task = tokio::spawn(async move {
            let grant = Grant::new(issuer, "alice", "mail-app", MAIL);
            authority.issue(grant).await.unwrap().token
        });
        for _ in 0..round % 6 {
            tokio::task::yield_now().await;
        }
        task.abort();
        released.extend(task.await.ok());
    }
    // The signer is free again, and what was released is in the ledger.
    let activated = tokio::time::timeout(Duration::from_secs(10), world.authority.activate(&issuer));
    activated.await.unwrap().unwrap();
    released.push(
        world
            .authority
            .issue(Grant::new(issuer, "alice", "mail-app", MAIL))
            .await
            .unwrap()
            .token,
    );
    for token in released {
        let token = ParsedToken::parse(&token).unwrap();
        let expires_at = dangerous::Unverified::of(&token).expires_at().unwrap();
        let provenance = world
            .follower
            .provenance(token.fingerprint().as_bytes(), expires_at)
            .await;
        assert!(matches!(provenance, Provenance::Recorded { .. }));
    }
}

/// Sends a request and goes away after some time, without reading.
fn send_and_leave(world: &World, body: &str, after: Duration) {
    let mut stream = TcpStream::connect(world.address()).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: authority.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        endpoint(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    let _elapsed = wait.recv_timeout(after);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_in_the_middle_break_nothing() {
    let world = World::first_run().await;
    for round in 0_u32..40 {
        let body = job_body(&world, &format!("left {round}"));
        send_and_leave(&world, &body, Duration::from_micros(u64::from(round) * 100));
    }
    let body = job_body(&world, "stays");
    let answer = world.post(&endpoint(), &[], &body).await;
    world.verify(&answer.access_token(), "enterprise", MAIL);
    world
        .post(&endpoint(), &[], &body)
        .await
        .is_error(401, "invalid_client");
    world
        .authority
        .activate(&format!("{BASE_URL}{CONTOSO}"))
        .await
        .unwrap();
}
