//! Metadata and key sets.

use serde_json::json;

use crate::world::{BASE_URL, CONTOSO, FABRIKAM, World};

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_at_both_well_known_paths_and_names_what_exists() {
    let world = World::first_run().await;
    for issuer in ["/consumer", CONTOSO, FABRIKAM] {
        let openid = world
            .get(&format!("{issuer}/.well-known/openid-configuration"), &[])
            .await;
        let oauth = world
            .get(&format!("/.well-known/oauth-authorization-server{issuer}"), &[])
            .await;
        assert_eq!((openid.status, oauth.status), (200, 200));
        assert_eq!(openid.headers["content-type"], "application/json");
        let metadata = openid.json();
        assert_eq!(metadata, oauth.json());
        assert_eq!(
            metadata,
            json!({
                "issuer": format!("{BASE_URL}{issuer}"),
                "token_endpoint": format!("{BASE_URL}{issuer}/token"),
                "jwks_uri": format!("{BASE_URL}{issuer}/jwks"),
                "response_types_supported": [],
                "grant_types_supported":
                    ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": [
                    "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
                    "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
                ],
                "subject_types_supported": ["public"],
            })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tenant_is_not_found() {
    let world = World::first_run().await;
    let unknown = "/enterprise/00000000-0000-0000-0000-000000000000";
    for path in ["/.well-known/openid-configuration", "/jwks", "/token"] {
        assert_eq!(world.get(&format!("{unknown}{path}"), &[]).await.status, 404);
    }
    assert_eq!(
        world
            .get(&format!("/.well-known/oauth-authorization-server{unknown}"), &[])
            .await
            .status,
        404
    );
    assert_eq!(
        world.get("/enterprise/%7Btenantid%7D/jwks", &[]).await.status,
        404
    );
    assert_eq!(world.get(&format!("{CONTOSO}/token"), &[]).await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_issuer_has_a_key_set_of_its_own() {
    let world = World::first_run().await;
    let mut seen = Vec::new();
    for (issuer, realm) in [
        ("/consumer", "consumer"),
        (CONTOSO, "enterprise"),
        (FABRIKAM, "enterprise"),
    ] {
        let answer = world.get(&format!("{issuer}/jwks"), &[]).await;
        assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
        assert_eq!(answer.headers["cache-control"], "public, max-age=300");
        let set = answer.json();
        let keys = set["keys"].as_array().unwrap();
        let mut states: Vec<&str> = keys.iter().map(|key| key["cs_state"].as_str().unwrap()).collect();
        states.sort_unstable();
        assert_eq!(states, ["active", "staged"]);
        for key in keys {
            assert_eq!(key["iss"], format!("{BASE_URL}{issuer}"));
            assert_eq!(
                (key["cs_realm"].as_str(), key["use"].as_str()),
                (Some(realm), Some("sig"))
            );
            assert!(
                key["cs_sign_from"].is_u64() && key.get("cs_sign_until").is_none() && key.get("d").is_none()
            );
            seen.push(key["kid"].as_str().unwrap().to_owned());
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_that_is_known_is_not_sent_again() {
    let world = World::first_run().await;
    let path = "/consumer/jwks";
    let etag = world.get(path, &[]).await.headers["etag"].clone();
    for value in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".to_owned(),
    ] {
        let answer = world.get(path, &[("If-None-Match", &value)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{value}");
        assert_eq!(answer.headers["etag"], etag);
    }
    assert_eq!(world.get(path, &[("If-None-Match", "\"x\"")]).await.status, 200);
    world
        .authority
        .activate(&format!("http://authority.example{}", "/consumer"))
        .await
        .unwrap();
    assert_eq!(world.get(path, &[("If-None-Match", &etag)]).await.status, 200);
}
