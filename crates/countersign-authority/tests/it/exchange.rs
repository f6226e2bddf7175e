//! Token exchange over HTTP: what it gives, and how it refuses.

use countersign_authority::dangerous::unseal_signing_key;
use countersign_authority::exchange::{
    ACCESS_TOKEN_TYPE, ExchangeRequest, Policy, Record, Requester, Subject, decide,
};
use countersign_authority::{Config, Grant};
use countersign_ledger::{Entry, IssuanceKind, Lineage, Provenance};
use countersign_token::ParsedToken;
use serde_json::json;

use crate::world::{Answer, BASE_URL, CONTOSO, FABRIKAM, FILES, MAIL, World};

const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
const ACCESS_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

/// Asks as an API that has received `subject_token`.
async fn exchange(world: &World, client: &str, subject_token: &str, more: &str) -> Answer {
    let body = format!("{EXCHANGE}&subject_token={subject_token}&subject_token_type={ACCESS_TOKEN}{more}");
    world.token(CONTOSO, client, &body).await
}

/// A token of a user for the mail API.
async fn user_token(world: &World, issuer: &str, audience: &str, lifetime_seconds: u64) -> String {
    let mut grant = Grant::new(format!("{BASE_URL}{issuer}"), "alice", "mail-app", audience);
    grant.lifetime_seconds = Some(lifetime_seconds);
    grant.scope = vec!["mail.read".to_owned()];
    world.authority.issue(grant).await.unwrap().token.to_string()
}

fn fingerprint(token: &str) -> [u8; 32] {
    *ParsedToken::parse(token).unwrap().fingerprint().as_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_acts_for_the_user_and_is_recorded_with_its_line() {
    let world = World::first_run().await;
    let subject = user_token(&world, CONTOSO, MAIL, 300).await;
    world.pass(100);
    let answer = exchange(&world, "mail-frontend", &subject, "").await;
    let body = answer.json();
    assert_eq!(
        body["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    assert_eq!(
        (body["token_type"].as_str(), body["scope"].as_str()),
        (Some("Bearer"), Some("files.read"))
    );
    // Never longer: the subject has 200 of its 300 seconds left.
    assert_eq!(body["expires_in"], 200);
    assert_eq!(body.get("refresh_token"), None);

    let token = answer.access_token();
    let verified = world.verify(&token, "enterprise", FILES);
    assert_eq!(
        (verified.subject(), verified.client_id()),
        ("alice", Some("mail-frontend"))
    );
    assert_eq!(verified.actor(), Some("mail-frontend"));
    let expires_at = verified.expires_at();
    let provenance = world.follower.provenance(&fingerprint(&token), expires_at).await;
    let Provenance::Recorded {
        index: Some(index),
        kind,
    } = provenance
    else {
        panic!()
    };
    assert_eq!(kind, IssuanceKind::Exchanged);
    let Some(Entry::Issuance(record)) = world.ledger.read(index, 1).unwrap().pop() else {
        panic!()
    };
    let root = fingerprint(&subject);
    assert_eq!(record.lineage, Some(Lineage { parent: root, root }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_never_takes_its_own_output() {
    // The demonstration has an API behind the API that may exchange back: still nothing is renewed.
    let world = World::first_run().await;
    let subject = user_token(&world, CONTOSO, MAIL, 300).await;
    let first = exchange(&world, "mail-frontend", &subject, "")
        .await
        .access_token();
    let answer = exchange(&world, "files-api", &first, "").await;
    answer.is_error(400, "invalid_request");
    assert_eq!(
        answer.json()["error_description"],
        "a token from an exchange cannot be exchanged again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_that_are_not_good_here_are_refused() {
    let world = World::first_run().await;
    let fabrikam = user_token(&world, FABRIKAM, MAIL, 300).await;
    let consumer = user_token(&world, "/consumer", MAIL, 300).await;
    let other_audience = user_token(&world, CONTOSO, "https://other.example", 300).await;
    let expiring = user_token(&world, CONTOSO, MAIL, 10).await;
    let good = user_token(&world, CONTOSO, MAIL, 300).await;
    let broken = format!("{}A", good.split_at(good.len() - 2).0);
    world.pass(10);
    // The skew that gates forgive is not forgiven here: the tenth second is over.
    for subject in [
        &fabrikam,
        &consumer,
        &other_audience,
        &expiring,
        &broken,
        "a.b.c",
        "x",
    ] {
        exchange(&world, "mail-frontend", subject, "")
            .await
            .is_error(400, "invalid_request");
    }
    exchange(&world, "mail-app", &good, "")
        .await
        .is_error(400, "unauthorized_client");
    assert_eq!(exchange(&world, "mail-frontend", &good, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_subject_is_refused_because_it_was_never_issued() {
    let world = World::first_run().await;
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let stolen = unseal_signing_key(&world.data(), &issuer, "active")
        .await
        .unwrap();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": stolen.key_id()});
    let now = world.now();
    let claims = json!({"iss": issuer, "sub": "alice", "aud": MAIL, "client_id": "mail-app", "jti": "forged",
        "iat": now, "exp": now + 600, "tid": CONTOSO.rsplit('/').next().unwrap()});
    let forged = stolen.sign(&header, &claims).unwrap();
    // The signature is perfect.
    world.verify(&forged, "enterprise", MAIL);
    exchange(&world, "mail-frontend", &forged, "")
        .await
        .is_error(400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_would_widen_or_renew_are_refused() {
    let world = World::first_run().await;
    let subject = user_token(&world, CONTOSO, MAIL, 300).await;
    let refresh = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Arefresh_token";
    let cases = [
        ("&scope=files.read+files.write".to_owned(), "invalid_scope"),
        ("&scope=mail.read".to_owned(), "invalid_scope"),
        (
            "&resource=https%3A%2F%2Fother.example".to_owned(),
            "invalid_target",
        ),
        (
            "&resource=https%3A%2F%2Fmail.example".to_owned(),
            "invalid_target",
        ),
        (
            "&resource=https%3A%2F%2Ffiles.example&audience=https%3A%2F%2Ffiles.example".to_owned(),
            "invalid_target",
        ),
        (format!("&requested_token_type={refresh}"), "invalid_request"),
        (
            format!("&actor_token=a.b.c&actor_token_type={ACCESS_TOKEN}"),
            "invalid_request",
        ),
    ];
    for (more, error) in cases {
        exchange(&world, "mail-frontend", &subject, &more)
            .await
            .is_error(400, error);
    }
    let missing = format!("{EXCHANGE}&subject_token={subject}");
    world
        .token(CONTOSO, "mail-frontend", &missing)
        .await
        .is_error(400, "invalid_request");
    let other_type = format!("{EXCHANGE}&subject_token={subject}&subject_token_type={refresh}");
    world
        .token(CONTOSO, "mail-frontend", &other_type)
        .await
        .is_error(400, "invalid_request");
    let named = "&resource=https%3A%2F%2Ffiles.example&scope=files.read";
    assert_eq!(
        exchange(&world, "mail-frontend", &subject, named).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_without_the_scope_is_not_exchanged_for_more() {
    let world = World::first_run().await;
    for scope in [
        vec![],
        vec!["mail.send".to_owned()],
        vec!["files.read".to_owned()],
    ] {
        let mut grant = Grant::new(format!("{BASE_URL}{CONTOSO}"), "alice", "mail-app", MAIL);
        grant.scope = scope;
        let subject = world.authority.issue(grant).await.unwrap().token;
        for more in ["", "&scope=files.read"] {
            exchange(&world, "mail-frontend", &subject, more)
                .await
                .is_error(400, "invalid_scope");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_of_a_revoked_key_is_refused_and_one_of_a_suspect_key_is_not() {
    let world = World::first_run().await;
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let subject = user_token(&world, CONTOSO, MAIL, 300).await;
    let key = world
        .authority
        .keys()
        .into_iter()
        .find(|key| key.issuer == issuer && key.state.as_str() == "active");
    let key = key.unwrap().key_id;
    world.authority.suspect(&issuer, &key).await.unwrap();
    assert_eq!(exchange(&world, "mail-frontend", &subject, "").await.status, 200);
    world.authority.revoke(&issuer, &key).await.unwrap();
    exchange(&world, "mail-frontend", &subject, "")
        .await
        .is_error(400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_revoked_between_decision_and_signature_ends_the_exchange() {
    let world = World::first_run().await;
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let token = user_token(&world, CONTOSO, MAIL, 300).await;
    let verified = world.verify(&token, "enterprise", MAIL);
    let tenant = CONTOSO.rsplit('/').next();
    let client = Requester {
        id: "mail-frontend",
        realm: "enterprise",
        tenant,
        resource: Some(MAIL),
        audiences: &[FILES.to_owned()],
        scopes: &["files.read".to_owned()],
        subject_scopes: &["mail.read".to_owned()],
        exchange: true,
    };
    let request = ExchangeRequest {
        subject_token_type: ACCESS_TOKEN_TYPE,
        requested_token_type: None,
        actor_token: false,
        targets: &[],
        scope: &[],
    };
    let policy = Policy {
        issuer: &issuer,
        realm: "enterprise",
        tenant,
    };
    let subject = Subject::new(&verified, Record::Recorded(IssuanceKind::Access));
    let grant = decide(Ok(&subject), &client, &request, &policy, world.now()).unwrap();

    let key = verified.key_id();
    world.authority.suspect(&issuer, key).await.unwrap();
    world.authority.issue(grant.clone()).await.unwrap();
    world.authority.revoke(&issuer, key).await.unwrap();
    let head = world.ledger.head();
    let error = world.authority.issue(grant).await.unwrap_err();
    assert_eq!(error.code(), "subject_key_distrusted");
    assert_eq!(world.ledger.head(), head);
}

/// Offers `subject` to every exchanging client at every issuer, for every target; gives what was released.
async fn offer_everywhere(world: &World, subject: &str) -> Vec<Answer> {
    let mut released = Vec::new();
    for issuer in [CONTOSO, FABRIKAM, "/consumer"] {
        for client in ["mail-frontend", "files-api", "mail-app", "consumer-app"] {
            for target in [
                "",
                "&resource=https%3A%2F%2Fmail.example",
                "&audience=https%3A%2F%2Ffiles.example",
            ] {
                let body =
                    format!("{EXCHANGE}&subject_token={subject}&subject_token_type={ACCESS_TOKEN}{target}");
                let answer = world.token(issuer, client, &body).await;
                if answer.status == 200 {
                    released.push(answer);
                }
            }
        }
    }
    released
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_renews_whoever_asks_wherever_and_after_whatever() {
    let world = World::first_run().await;
    let issuer = format!("{BASE_URL}{CONTOSO}");
    let subject = user_token(&world, CONTOSO, MAIL, 300).await;
    let key = world.verify(&subject, "enterprise", MAIL).key_id().to_owned();
    let mut offspring: Vec<String> = Vec::new();
    // The subject leads to files and nowhere else, and never for longer than it lives itself.
    for answer in offer_everywhere(&world, &subject).await {
        let token = answer.access_token();
        assert_eq!(
            world.verify(&token, "enterprise", FILES).expires_at(),
            world.now() + 300
        );
        offspring.push(token);
    }
    assert_eq!(offspring.len(), 2);
    let child = offspring.remove(0);
    assert_eq!(offer_everywhere(&world, &child).await.len(), 0);
    // Neither a restart, nor a key that has retired or become suspect since, makes a child primary.
    let world = world.restart(Config::first_run()).await.unwrap();
    assert_eq!(offer_everywhere(&world, &child).await.len(), 0);
    world.authority.activate(&issuer).await.unwrap();
    assert_eq!(offer_everywhere(&world, &child).await.len(), 0);
    assert_eq!(offer_everywhere(&world, &subject).await.len(), 2);
    world.authority.suspect(&issuer, &key).await.unwrap();
    assert_eq!(offer_everywhere(&world, &child).await.len(), 0);
    assert_eq!(offer_everywhere(&world, &subject).await.len(), 2);
    world.pass(300);
    assert_eq!(offer_everywhere(&world, &subject).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_written_otherwise_is_the_same_subject() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let world = World::first_run().await;
    let subject = user_token(&world, CONTOSO, MAIL, 300).await;
    let child = exchange(&world, "mail-frontend", &subject, "")
        .await
        .access_token();
    // (r, n - s) verifies as (r, s) does: another text, the same signing input.
    let (input, signature) = child.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    negate(&mut signature[32..]);
    let twin = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert_ne!(twin, child);
    world.verify(&twin, "enterprise", FILES);
    assert_eq!(fingerprint(&twin), fingerprint(&child));
    exchange(&world, "files-api", &twin, "")
        .await
        .is_error(400, "invalid_request");
}

/// `n - s` for the order n of P-256.
fn negate(s: &mut [u8]) {
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let mut borrow = 0;
    for (digit, order) in s.iter_mut().zip(&order).rev() {
        let difference = i16::from(*order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
}
