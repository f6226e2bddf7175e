//! Real clients, real providers and a real proxy around the real binary.
//!
//! Two sites are built on loopback, each of nginx (with the documented configuration), a backend that knows nothing
//! of tokens, and `countersign serve`: one with our own authority, and one whose gate trusts somebody else's provider.

mod site;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::site::{Site, client, provider};
use crate::process::cargo;
use crate::run::Run;
use crate::{install, json};

const AUDIENCE: &str = "https://mail.example";

pub(crate) fn run(run: &mut Run) {
    let ready = run.step("peers: nginx, node and its modules are there", |log| {
        install::programs(&["nginx"], log)?;
        install::node_modules("tests/peers", log)?;
        Ok(String::new())
    });
    let mut build = cargo(1500);
    build.args(["build", "--locked", "--release", "-p", "countersign"]);
    if ready && run.command("peers: countersign builds", build) {
        own_authority(run);
        foreign_provider(run);
    }
}

/// Our authority, the certified client openid-client, and two thieves.
fn own_authority(run: &mut Run) {
    let mut started = None;
    run.step("peers: authority, gate, nginx, backend start", |_| {
        started = Some(Site::start("own", None)?);
        Ok(String::new())
    });
    let Some(mut site) = started else { return };
    let mut token = String::new();
    run.step("peers: openid-client gets in", |_| {
        let contoso = site.issuer(1)?;
        let results = client(
            &site,
            &contoso,
            &[
                json::object([
                    ("id", "mail-app".into()),
                    ("secretFile", site.data("clients/mail-app.secret").into()),
                    ("metadata", "oidc".into()),
                ]),
                json::object([
                    ("id", "reports-job".into()),
                    ("jwkFile", site.data("clients/reports-job.jwk").into()),
                    ("metadata", "oauth2".into()),
                ]),
            ],
        )?;
        for (result, name) in results.iter().zip(["mail-app", "reports-job"]) {
            admitted(&site, result, name, "enterprise", "recorded")?;
            let shown = result.get("token").and_then(Value::as_str);
            shown.unwrap_or_default().clone_into(&mut token);
        }
        ensure!(results.len() == 2, "{} clients came back", results.len());
        Ok("client_secret_basic, private_key_jwt".to_owned())
    });
    run.step("peers: stolen consumer key is refused", |_| {
        let token = site.forge(&site.issuer(0)?, &site.issuer(1)?, AUDIENCE)?;
        site.refused("/stolen-consumer-key", Some(&token), "key_realm_mismatch")
    });
    run.step("peers: stolen active key is refused", |_| {
        let token = site.forge(&site.issuer(1)?, &site.issuer(1)?, AUDIENCE)?;
        site.refused("/stolen-active-key", Some(&token), "never_issued")
    });
    run.step("peers: no token is refused", |_| {
        site.refused("/no-token", None, "token_missing")
    });
    run.step("peers: a gate in trouble lets nobody in", |_| {
        a_gate_in_trouble_lets_nobody_in(&mut site, &token)
    });
}

/// A good token while nobody, or somebody who talks nonsense, answers in the gate's place (G05).
fn a_gate_in_trouble_lets_nobody_in(site: &mut Site, token: &str) -> Result<String> {
    const ANSWERS: &[(&str, &str)] = &[
        (
            "503",
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        ),
        ("500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        (
            "a redirection",
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        ),
        ("half a line", "HTTP/1.1 20"),
        ("no HTTP", "let him in\r\n"),
        ("nothing, and the end", ""),
    ];
    ensure!(site.status("/before", token)? == 200, "the token is not good");
    site.stop_gate();
    ensure!(site.status("/down", token)? == 500, "a gate that is down lets in");
    for (what, answer) in ANSWERS {
        site.answer_for_gate(Some(answer))?;
        let status = site.status("/trouble", token)?;
        ensure!(status == 500, "a gate that answers {what} makes {status}");
    }
    site.answer_for_gate(None)?;
    let status = site.status("/silence", token)?;
    ensure!(status == 500, "a gate that is silent makes {status}");
    Ok(format!("500 for {} kinds of it", ANSWERS.len() + 2))
}

/// A provider that never heard of us: found by discovery, its tokens recorded by nobody.
fn foreign_provider(run: &mut Run) {
    let mut started = None;
    run.step("peers: oidc-provider and a gate that trusts it start", |_| {
        let trusted = provider("trusted", AUDIENCE)?;
        let unknown = provider("unknown", AUDIENCE)?;
        let config = format!(
            "[gate]\n\
             [[gate.resources]]\nname = \"mail\"\naudience = \"{AUDIENCE}\"\nrealm = \"partner\"\nmode = \"enforce\"\n\
             [[gate.issuers]]\nissuer = \"{}\"\nrealm = \"partner\"\ndiscovery = true\nprovenance = \"off\"\n",
            trusted.issuer,
        );
        started = Some((Site::start("foreign", Some(&config))?, trusted, unknown));
        Ok(String::new())
    });
    let Some((site, trusted, unknown)) = started else {
        return;
    };
    let mut token = None;
    run.step("peers: token of the trusted provider gets in", |_| {
        let results = client(&site, &trusted.issuer, &[trusted.client()])?;
        let result = results.first().context("the client printed nothing")?;
        admitted(&site, result, "peer-app", "partner", "not_asked")?;
        token = result.get("token").and_then(Value::as_str).map(str::to_owned);
        Ok("oidc-provider, discovery".to_owned())
    });
    run.step("peers: tampered token is refused", |_| {
        let token = tampered(token.as_deref().context("there is no token to tamper with")?)?;
        site.refused("/tampered", Some(&token), "signature_invalid")
    });
    run.step("peers: token of an unknown provider is refused", |_| {
        let results = client(&site, &unknown.issuer, &[unknown.client()])?;
        let result = results.first().context("the client printed nothing")?;
        ensure!(
            result.get("status") == Some(&401.into()),
            "the backend answered {:?}",
            result.get("status")
        );
        let token = result.get("token").and_then(Value::as_str);
        site.refused("/unknown-provider", token, "issuer_unknown")
    });
}

/// The backend was reached, saw who it is, and none of what the caller had written in these headers.
fn admitted(site: &Site, result: &Value, subject: &str, realm: &str, provenance: &str) -> Result<()> {
    let text = |name: &str| result.get(name).and_then(Value::as_str).unwrap_or_default();
    ensure!(
        result.get("status") == Some(&200.into()),
        "{subject}: status {:?}",
        result.get("status")
    );
    let headers = result
        .get("headers")
        .and_then(Value::as_object)
        .context("the backend saw no headers")?;
    let seen = |name: &str| headers.get(name).and_then(Value::as_str).unwrap_or_default();
    ensure!(
        seen("x-countersign-subject") == subject,
        "the backend saw {:?}",
        seen("x-countersign-subject")
    );
    ensure!(
        seen("x-countersign-realm") == realm,
        "the backend saw realm {:?}",
        seen("x-countersign-realm")
    );
    ensure!(
        seen("x-countersign-issuer") == text("issuer"),
        "the backend saw {:?}",
        seen("x-countersign-issuer")
    );
    ensure!(
        headers.values().all(|it| it != "forged"),
        "a forged header reached the backend"
    );
    let decision = site.decision("fingerprint", seen("x-countersign-fingerprint"))?;
    let decided = |name: &str| decision.get(name).and_then(Value::as_str).unwrap_or_default();
    ensure!(
        decided("decision") == "admit",
        "the decision log says {:?}",
        decided("decision")
    );
    ensure!(
        decided("provenance") == provenance,
        "the decision log says {:?}",
        decided("provenance")
    );
    Ok(())
}

/// The same token with another signature: its first character changed, so that it stays canonical base64url.
fn tampered(token: &str) -> Result<String> {
    let (signed, signature) = token.rsplit_once('.').context("this is no token")?;
    let rest = signature.get(1..).context("this token has no signature")?;
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    Ok(format!("{signed}.{first}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tampering_changes_the_signature_only() {
        assert_eq!(tampered("a.b.Cde").unwrap(), "a.b.Ade");
        assert_eq!(tampered("a.b.Ade").unwrap(), "a.b.Bde");
        assert!(tampered("a").is_err());
    }
}
