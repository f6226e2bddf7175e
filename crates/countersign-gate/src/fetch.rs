use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::config::ForeignIssuer;

/// The largest document read. Entra's key set, the largest of the common ones, has some 20 KiB.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// How long one request may take, from the first byte sent to the last received.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);

/// How long the connection may take. A provider on another continent answers in a third of a second.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// Why a key set could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// No connection, or it broke, or TLS failed.
    #[error("the key server cannot be reached")]
    Unreachable,
    /// The answer did not come in time.
    #[error("the key server did not answer in time")]
    TimedOut,
    /// A redirect: where keys come from is configured, not decided by an answer.
    #[error("the key server answered with a redirect")]
    Redirected,
    /// Another status than 200.
    #[error("the key server answered with status {0}")]
    Status(u16),
    /// The answer is larger than any key set.
    #[error("the key server's answer is too large")]
    TooLarge,
    /// The discovery document is not one.
    #[error("the discovery document is not valid")]
    DiscoveryMalformed,
    /// The discovery document is that of another issuer.
    #[error("the discovery document names another issuer")]
    IssuerDiffers,
    /// The key set's address is not https.
    #[error("the key set must not be fetched in the clear")]
    Insecure,
    /// The key set is not one.
    #[error("the key set is not valid")]
    KeySetMalformed,
    /// The key set holds no key that can be used.
    #[error("the key set holds no usable key")]
    KeySetEmpty,
    /// The key file cannot be read.
    #[error("the key file cannot be read")]
    FileUnreadable,
}

impl FetchError {
    /// The stable word for this cause.
    #[must_use]
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Redirected => "redirected",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::DiscoveryMalformed => "discovery_malformed",
            Self::IssuerDiffers => "issuer_differs",
            Self::Insecure => "insecure",
            Self::KeySetMalformed => "key_set_malformed",
            Self::KeySetEmpty => "key_set_empty",
            Self::FileUnreadable => "file_unreadable",
        }
    }

    /// What to do about it.
    #[must_use]
    pub(crate) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Redirected => {
                Some("set `discovery_url` to the address it redirects to, if you trust that one")
            }
            Self::IssuerDiffers => {
                Some("set `issuer` to exactly what the provider's discovery document says")
            }
            Self::Insecure => Some("the provider must publish its keys over https"),
            Self::KeySetEmpty => {
                Some("if its keys carry no state and window, set `key_metadata = \"assumed\"`")
            }
            Self::FileUnreadable => Some("check `jwks_file` and its permissions"),
            Self::Unreachable
            | Self::TimedOut
            | Self::Status(_)
            | Self::TooLarge
            | Self::DiscoveryMalformed
            | Self::KeySetMalformed => None,
        }
    }
}

/// How an address may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// By https.
    Secure,
    /// In the clear, inside this machine.
    Loopback,
}

impl Endpoint {
    /// `None` for an address that must not be fetched.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let loopback = match url.host()? {
            url::Host::Domain(name) => name == "localhost",
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => Some(Self::Secure),
            "http" if loopback => Some(Self::Loopback),
            _ => None,
        }
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    File(PathBuf),
    Discovery { url: Url, issuer: String },
}

impl KeySource {
    /// `None` when the configuration names none; validation has said so then.
    pub(crate) fn of(issuer: &ForeignIssuer, directory: &Path) -> Option<Self> {
        if let Some(file) = &issuer.jwks_file {
            return Some(Self::File(directory.join(file)));
        }
        let text = match &issuer.discovery_url {
            Some(url) => url.clone(),
            // OpenID Connect Discovery 1.0 section 4: appended, after a terminating slash is removed.
            None => format!(
                "{}/.well-known/openid-configuration",
                issuer.issuer.trim_end_matches('/')
            ),
        };
        let url = Url::parse(&text).ok()?;
        Some(Self::Discovery {
            url,
            issuer: issuer.issuer.clone(),
        })
    }
}

/// Fetches key sets: no redirects, no proxies of the environment, bounded in time and size.
#[derive(Clone)]
pub(crate) struct Fetcher {
    client: reqwest::Client,
}

impl Fetcher {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(REQUEST_TIME_MAX)
            .connect_timeout(CONNECT_TIME_MAX)
            .user_agent(concat!("countersign-gate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }

    /// The bytes of the key set.
    pub(crate) async fn key_set(&self, source: &KeySource) -> Result<Vec<u8>, FetchError> {
        match source {
            KeySource::File(path) => read_file(path).await,
            KeySource::Discovery { url, issuer } => self.discover(url, issuer).await,
        }
    }

    async fn discover(&self, url: &Url, issuer: &str) -> Result<Vec<u8>, FetchError> {
        let endpoint = Endpoint::of(url).ok_or(FetchError::Insecure)?;
        let document = self.document(url).await?;
        let discovery: Discovery =
            serde_json::from_slice(&document).map_err(|_| FetchError::DiscoveryMalformed)?;
        if discovery.issuer != issuer {
            return Err(FetchError::IssuerDiffers);
        }
        let keys = Url::parse(&discovery.jwks_uri).map_err(|_| FetchError::DiscoveryMalformed)?;
        match (endpoint, Endpoint::of(&keys)) {
            (_, Some(Endpoint::Secure)) | (Endpoint::Loopback, Some(Endpoint::Loopback)) => {}
            // Also the downgrade: a document fetched by https never leads to what this machine serves in the clear.
            (_, None) | (Endpoint::Secure, Some(Endpoint::Loopback)) => return Err(FetchError::Insecure),
        }
        self.document(&keys).await
    }

    async fn document(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let request = self.client.get(url.clone()).header("accept", "application/json");
        let mut response = request.send().await.map_err(|error| cause(&error))?;
        match response.status().as_u16() {
            200 => {}
            300..=399 => return Err(FetchError::Redirected),
            other => return Err(FetchError::Status(other)),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
            if body.len().saturating_add(chunk.len()) > DOCUMENT_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The members of a discovery document that matter here; it has many more.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

fn cause(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::TimedOut
    } else {
        FetchError::Unreachable
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut body = Vec::new();
        let limit = u64::try_from(DOCUMENT_BYTES_MAX)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        std::fs::File::open(path)?.take(limit).read_to_end(&mut body)?;
        Ok::<_, std::io::Error>(body)
    });
    let body = read
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or(FetchError::FileUnreadable)?;
    if body.len() > DOCUMENT_BYTES_MAX {
        Err(FetchError::TooLarge)
    } else {
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: Option<Endpoint>) {
        assert_eq!(Endpoint::of(&Url::parse(url).unwrap()), expect, "{url}");
    }

    #[test]
    fn plain_http_stays_inside_the_machine() {
        check("https://login.example/x", Some(Endpoint::Secure));
        check("http://127.0.0.1:8080/x", Some(Endpoint::Loopback));
        check("http://[::1]:8080/x", Some(Endpoint::Loopback));
        check("http://localhost/x", Some(Endpoint::Loopback));
        check("http://localhost.evil.example/x", None);
        check("http://login.example/x", None);
        check("http://10.0.0.1/x", None);
        check("file:///etc/passwd", None);
    }
}
