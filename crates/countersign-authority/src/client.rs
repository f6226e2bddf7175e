//! Registered clients and the proof of who they are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{JwksError, KeySet, assertion};
use zeroize::Zeroizing;

use crate::config::{Authentication, ClientConfig, Config};
use crate::durable::{self, FileError};
use crate::exchange::Requester;
use crate::issuer::Issuer;
use crate::keyring::Keyring;
use crate::private_key::{KeyError, PrivateKey};
use crate::state::StateError;

/// A secret is stored as one SHA-256, which is enough because it has at least 256 bits: 43 characters of base64url.
const SECRET_LENGTH_MIN: usize = 43;

/// Why a client's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The secret is short enough to be guessed from its hash.
    #[error("the secret of client {client} is shorter than {SECRET_LENGTH_MIN} characters")]
    SecretWeak {
        /// The client.
        client: String,
    },
    /// The key set file is not one.
    #[error("the key set of client {client} is unusable: {source}")]
    KeySetInvalid {
        /// The client.
        client: String,
        /// What is wrong with it.
        source: JwksError,
    },
    /// No key of the set can be used.
    #[error("the key set of client {client} holds no usable key")]
    KeySetEmpty {
        /// The client.
        client: String,
    },
    /// Credentials could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Credentials could not be remembered.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ClientError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SecretWeak { .. } => "client_secret_weak",
            Self::KeySetInvalid { .. } => "client_keys_invalid",
            Self::KeySetEmpty { .. } => "client_keys_empty",
            Self::Key(_) => "crypto_failed",
            Self::State(error) => error.code(),
            Self::File(error) => error.code(),
        }
    }

    /// What to do next.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::SecretWeak { .. } => Some("generate one: `openssl rand -hex 32`"),
            Self::KeySetInvalid { .. } => Some("the file must be a JWK set: {\"keys\": [...]}"),
            Self::KeySetEmpty { .. } => {
                Some("give it a public key that docs/key-set.md lists, for example one for ES256")
            }
            Self::Key(_) => None,
            Self::State(error) => error.hint(),
            Self::File(error) => error.hint(),
        }
    }
}

/// A registered client.
pub(crate) struct Client {
    pub(crate) id: String,
    /// The one issuer at which it is known.
    pub(crate) issuer: String,
    pub(crate) resource: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) subject_scopes: Vec<String>,
    pub(crate) exchange: bool,
    realm: String,
    tenant: Option<String>,
    credential: Credential,
}

enum Credential {
    /// SHA-256 of the secret.
    Secret([u8; 32]),
    Keys(KeySet),
}

impl Client {
    /// Whether this is the client's secret. A client that has keys has none.
    pub(crate) fn has_secret(&self, secret: &[u8]) -> bool {
        let hash = digest(&SHA256, secret);
        match &self.credential {
            Credential::Secret(expected) => {
                constant_time::verify_slices_are_equal(hash.as_ref(), expected).is_ok()
            }
            Credential::Keys(_) => false,
        }
    }

    /// The client's public keys, if that is how it authenticates.
    pub(crate) fn keys(&self) -> Option<&KeySet> {
        match &self.credential {
            Credential::Keys(keys) => Some(keys),
            Credential::Secret(_) => None,
        }
    }

    pub(crate) fn requester(&self) -> Requester<'_> {
        Requester {
            id: &self.id,
            realm: &self.realm,
            tenant: self.tenant.as_deref(),
            resource: self.resource.as_deref(),
            audiences: &self.audiences,
            scopes: &self.scopes,
            subject_scopes: &self.subject_scopes,
            exchange: self.exchange,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Client({} at {})", self.id, self.issuer)
    }
}

/// Reads, or on first sight generates, the credentials of every client.
pub(crate) async fn open(
    keyring: &Keyring,
    config: &Config,
    issuers: &BTreeMap<String, Arc<Issuer>>,
) -> Result<BTreeMap<String, Arc<Client>>, ClientError> {
    let mut clients = BTreeMap::new();
    for client in &config.clients {
        let tenant = config
            .realm(&client.realm)
            .and_then(|realm| realm.tenant(client.tenant.as_deref()?))
            .map(|tenant| tenant.id.clone());
        // Validated before: every client has its issuer.
        let own = |issuer: &&Arc<Issuer>| issuer.realm == client.realm && issuer.tenant == tenant;
        let Some(issuer) = issuers.values().find(own) else {
            continue;
        };
        let credential = credential(keyring, client).await?;
        let opened = Client {
            id: client.id.clone(),
            issuer: issuer.url.clone(),
            resource: client.resource.clone(),
            audiences: client.audiences.clone(),
            scopes: client.scopes.clone(),
            subject_scopes: client.subject_scopes.clone(),
            exchange: client.exchange,
            realm: client.realm.clone(),
            tenant,
            credential,
        };
        clients.insert(opened.id.clone(), Arc::new(opened));
    }
    Ok(clients)
}

async fn credential(keyring: &Keyring, client: &ClientConfig) -> Result<Credential, ClientError> {
    // Relative paths are those of the data directory, wherever the process was started.
    let path = |file: &PathBuf| keyring.layout.root().join(file);
    match (client.authentication, &client.secret_file, &client.jwks_file) {
        (Authentication::ClientSecretBasic, Some(file), _) => {
            hash_secret(&client.id, &durable::read_secret(&path(file))?).map(Credential::Secret)
        }
        (Authentication::ClientSecretBasic, None, _) => generated_secret(keyring, client).await,
        (Authentication::PrivateKeyJwt, _, Some(file)) => {
            read_keys(&client.id, &durable::read_public(&path(file))?).map(Credential::Keys)
        }
        (Authentication::PrivateKeyJwt, _, None) => generated_key(keyring, client).await,
    }
}

/// The state keeps the hash, so the file can go once the client has the secret.
async fn generated_secret(keyring: &Keyring, client: &ClientConfig) -> Result<Credential, ClientError> {
    if let Some(hash) = keyring.state.client_secret(&client.id).await? {
        return Ok(Credential::Secret(hash));
    }
    let path = keyring.layout.client_secret(&client.id);
    let secret = match durable::read_secret(&path) {
        // A crash came between the file and the state.
        Ok(secret) => secret,
        Err(FileError::Missing(_)) => {
            let mut bytes = Zeroizing::new([0; 32]);
            rand::fill(&mut *bytes).map_err(|_| KeyError)?;
            let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes).into_bytes());
            durable::write_secret(&path, &secret)?;
            secret
        }
        Err(error) => return Err(error.into()),
    };
    let hash = hash_secret(&client.id, &secret)?;
    keyring.state.set_client(&client.id, Some(&hash), None).await?;
    Ok(Credential::Secret(hash))
}

/// The state keeps the public key, so the file can go once the client has the private one.
async fn generated_key(keyring: &Keyring, client: &ClientConfig) -> Result<Credential, ClientError> {
    if let Some(jwks) = keyring.state.client_jwks(&client.id).await? {
        return read_keys(&client.id, jwks.as_bytes()).map(Credential::Keys);
    }
    // A file without state is a crash's: nobody was given that key.
    let (jwk, public) = PrivateKey::generate_client_jwk()?;
    durable::write_secret(&keyring.layout.client_jwk(&client.id), jwk.as_bytes())?;
    let jwks = format!(
        r#"{{"keys":[{{{},"kid":"{}"}}]}}"#,
        public.members(),
        public.key_id()
    );
    keyring.state.set_client(&client.id, None, Some(&jwks)).await?;
    read_keys(&client.id, jwks.as_bytes()).map(Credential::Keys)
}

/// White space at the ends is the editor's, not the secret's.
fn hash_secret(client: &str, secret: &[u8]) -> Result<[u8; 32], ClientError> {
    let secret = secret.trim_ascii();
    if secret.len() < SECRET_LENGTH_MIN {
        return Err(ClientError::SecretWeak {
            client: client.to_owned(),
        });
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    Ok(hash)
}

fn read_keys(client: &str, jwks: &[u8]) -> Result<KeySet, ClientError> {
    let invalid = |source| ClientError::KeySetInvalid {
        client: client.to_owned(),
        source,
    };
    let keys = assertion::client_keys(jwks, client).map_err(invalid)?;
    for refused in keys.refused() {
        tracing::warn!(client, %refused, "a key of the client is not used");
    }
    if keys.is_empty() {
        Err(ClientError::KeySetEmpty {
            client: client.to_owned(),
        })
    } else {
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_by_its_hash() {
        let secret = "s".repeat(43);
        let client = Client {
            id: "client".to_owned(),
            issuer: "https://i.example".to_owned(),
            resource: None,
            audiences: vec![],
            scopes: vec![],
            subject_scopes: vec![],
            exchange: false,
            realm: "realm".to_owned(),
            tenant: None,
            credential: Credential::Secret(hash_secret("client", format!("{secret}\n").as_bytes()).unwrap()),
        };
        assert!(client.has_secret(secret.as_bytes()));
        assert!(!client.has_secret(b""));
        assert!(!client.has_secret(&secret.as_bytes()[1..]));
        assert!(client.keys().is_none());
        assert!(!format!("{client:?}").contains(&secret));
    }

    #[test]
    fn weak_secrets_and_unusable_key_sets_are_refused() {
        assert_eq!(
            hash_secret("client", b"password\n").unwrap_err().code(),
            "client_secret_weak"
        );
        assert_eq!(
            read_keys("client", b"[]").unwrap_err().code(),
            "client_keys_invalid"
        );
        assert_eq!(
            read_keys("client", br#"{"keys":[]}"#).unwrap_err().code(),
            "client_keys_empty"
        );
    }

    #[test]
    fn a_generated_client_key_is_usable() {
        let (jwk, public) = PrivateKey::generate_client_jwk().unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&jwk).unwrap();
        assert_eq!(parsed["kid"], public.key_id());
        let jwks = format!(r#"{{"keys":[{{{}}}]}}"#, public.members());
        assert_eq!(read_keys("client", jwks.as_bytes()).unwrap().len(), 1);
    }
}
