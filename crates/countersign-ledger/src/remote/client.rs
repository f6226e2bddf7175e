//! The HTTP half: bounded in time and size, no redirects, no proxies of the environment.

use std::time::Duration;

use reqwest::{Response, StatusCode, Url};
use tokio::time::Instant;

use super::RemoteError;
use crate::follow::SourceError;

/// How long a connection may take to come about.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// The longest answer: the entries that a ledger keeps for late comers, and then some.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Asks one ledger.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    /// With a slash at its end.
    prefix: Url,
    timeout: Duration,
}

/// What came of a question.
pub(super) enum Answer {
    Body(Vec<u8>),
    /// 409: what was asked for is in the tiles.
    TooFarBehind,
    /// 404.
    NotFound,
}

impl Client {
    pub(super) fn new(prefix: &str, timeout: Duration) -> Result<Self, RemoteError> {
        let prefix = format!("{}/", prefix.trim_end_matches('/'));
        let prefix = Url::parse(&prefix).map_err(|_| RemoteError::UrlInvalid)?;
        if prefix.cannot_be_a_base() || prefix.query().is_some() || prefix.fragment().is_some() {
            return Err(RemoteError::UrlInvalid);
        }
        if !is_secure(&prefix) {
            return Err(RemoteError::UrlInsecure);
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIME_MAX.min(timeout))
            .user_agent(concat!("countersign-ledger/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(RemoteError::Client)?;
        Ok(Self {
            http,
            prefix,
            timeout,
        })
    }

    /// The whole answer to a question below the prefix.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, SourceError> {
        let url = self.url(path)?;
        let request = self.http.get(url).timeout(self.timeout);
        let response = request.send().await.map_err(|error| failed(&error))?;
        let mut response = match answered(response)? {
            Ok(response) => response,
            Err(answer) => return Ok(answer),
        };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
                return Err(SourceError::Unverified);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::Body(body))
    }

    /// An answer that goes on.
    pub(super) async fn stream(&self, path: &str) -> Result<Result<Stream, Answer>, SourceError> {
        let request = self.http.get(self.url(path)?).send();
        let response = tokio::time::timeout(self.timeout, request).await;
        let response = response.map_err(|_| SourceError::Unavailable)?;
        let response = answered(response.map_err(|error| failed(&error))?)?;
        Ok(response.map(|response| Stream {
            response,
            heard: Instant::now(),
        }))
    }

    fn url(&self, path: &str) -> Result<Url, SourceError> {
        self.prefix.join(path).map_err(|_| SourceError::Unavailable)
    }
}

/// A stream of bytes that is cut off when it stalls.
pub(super) struct Stream {
    response: Response,
    /// When something came last.
    heard: Instant,
}

impl Stream {
    /// The next bytes. May be dropped and called again: none are lost.
    pub(super) async fn chunk(&mut self, patience: Duration) -> Result<Vec<u8>, SourceError> {
        let limit = self.heard.checked_add(patience).unwrap_or(self.heard);
        let chunk = tokio::time::timeout_at(limit, self.response.chunk()).await;
        self.heard = Instant::now();
        let chunk = chunk.map_err(|_| SourceError::Unavailable)?;
        match chunk.map_err(|error| failed(&error))? {
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(SourceError::Unavailable),
        }
    }
}

fn answered(response: Response) -> Result<Result<Response, Answer>, SourceError> {
    match response.status() {
        StatusCode::OK => Ok(Ok(response)),
        StatusCode::CONFLICT => Ok(Err(Answer::TooFarBehind)),
        StatusCode::NOT_FOUND => Ok(Err(Answer::NotFound)),
        status => {
            tracing::debug!(%status, "the ledger refused to answer");
            Err(SourceError::Unavailable)
        }
    }
}

fn failed(error: &reqwest::Error) -> SourceError {
    tracing::debug!(%error, "the ledger could not be asked");
    SourceError::Unavailable
}

/// https, or a loopback address, which nobody else can listen to.
fn is_secure(url: &Url) -> bool {
    let loopback = match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let address = host.trim_start_matches('[').trim_end_matches(']');
            address
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
        }
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_elsewhere_is_not_followed_in_the_clear() {
        let code = |url: &str| Client::new(url, CONNECT_TIME_MAX).err().map(|error| error.code());
        assert_eq!(code("https://login.example/ledger"), None);
        assert_eq!(code("http://127.0.0.1:8420/ledger/"), None);
        assert_eq!(code("http://[::1]:8420/ledger"), None);
        assert_eq!(code("http://localhost/ledger"), None);
        for url in [
            "http://login.example/ledger",
            "http://10.0.0.1/ledger",
            "http://localhost.evil.example",
            "ftp://127.0.0.1/ledger",
        ] {
            assert_eq!(code(url), Some("ledger_url_insecure"), "{url}");
        }
        for url in ["", "ledger", "mailto:a@b.example", "https://a.example/l?x=1"] {
            assert_eq!(code(url), Some("ledger_url_invalid"), "{url}");
        }
    }

    #[test]
    fn paths_are_below_the_prefix() {
        let client = Client::new("https://a.example/ledger", CONNECT_TIME_MAX).unwrap();
        let url = client.url("tile/0/000").unwrap();
        assert_eq!(url.as_str(), "https://a.example/ledger/tile/0/000");
    }
}
