//! The configuration of a first run without a file: small, and shaped like the incident.

use super::{
    ACCESS_TOKEN_LIFETIME_SECONDS, Authentication, ClientConfig, Config, LIFETIME_MAX_SECONDS, RealmConfig,
    SigningAlgorithm, TenantConfig,
};

/// Fixed, so that the commands printed by a first run can be copied into notes and tests.
const CONTOSO: &str = "8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01";
/// Fixed for the same reason.
const FABRIKAM: &str = "c1f0b7de-2a94-4c39-8e0a-6d2b9f3e7a02";

const MAIL: &str = "https://mail.example";
const FILES: &str = "https://files.example";

impl Config {
    /// The built-in demonstration: consumer and enterprise accounts, two tenants, a mail service with an API behind
    /// it, and a way back from there: the two together could renew a token for ever, if exchange allowed it.
    pub fn first_run() -> Self {
        Self {
            realms: vec![
                realm("consumer", "/consumer", vec![]),
                realm(
                    "enterprise",
                    "/enterprise/{tenantid}",
                    vec![
                        tenant(CONTOSO, "contoso", "contoso.example"),
                        tenant(FABRIKAM, "fabrikam", "fabrikam.example"),
                    ],
                ),
            ],
            clients: vec![
                contoso_client(
                    "mail-app",
                    Authentication::ClientSecretBasic,
                    MAIL,
                    &["mail.read", "mail.send"],
                ),
                contoso_client("reports-job", Authentication::PrivateKeyJwt, MAIL, &["mail.read"]),
                ClientConfig {
                    resource: Some(MAIL.to_owned()),
                    exchange: true,
                    subject_scopes: vec!["mail.read".to_owned()],
                    ..contoso_client(
                        "mail-frontend",
                        Authentication::ClientSecretBasic,
                        FILES,
                        &["files.read"],
                    )
                },
                ClientConfig {
                    resource: Some(FILES.to_owned()),
                    exchange: true,
                    subject_scopes: vec!["files.read".to_owned()],
                    ..contoso_client(
                        "files-api",
                        Authentication::ClientSecretBasic,
                        MAIL,
                        &["mail.read"],
                    )
                },
                ClientConfig {
                    realm: "consumer".to_owned(),
                    tenant: None,
                    ..contoso_client(
                        "consumer-app",
                        Authentication::ClientSecretBasic,
                        "https://outlook.example",
                        &["mail.read"],
                    )
                },
            ],
        }
    }
}

fn realm(name: &str, issuer: &str, tenants: Vec<TenantConfig>) -> RealmConfig {
    RealmConfig {
        name: name.to_owned(),
        access_token_lifetime_seconds: ACCESS_TOKEN_LIFETIME_SECONDS,
        lifetime_max_seconds: LIFETIME_MAX_SECONDS,
        algorithm: SigningAlgorithm::Es256,
        issuer: issuer.to_owned(),
        tenants,
    }
}

fn tenant(id: &str, name: &str, email_domain: &str) -> TenantConfig {
    TenantConfig {
        id: id.to_owned(),
        name: name.to_owned(),
        email_domains: vec![email_domain.to_owned()],
    }
}

fn contoso_client(id: &str, authentication: Authentication, audience: &str, scopes: &[&str]) -> ClientConfig {
    ClientConfig {
        id: id.to_owned(),
        realm: "enterprise".to_owned(),
        tenant: Some("contoso".to_owned()),
        authentication,
        secret_file: None,
        jwks_file: None,
        resource: None,
        audiences: vec![audience.to_owned()],
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        exchange: false,
        subject_scopes: vec![],
    }
}
