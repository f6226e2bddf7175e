//! A ledger's published files from outside: by HTTP, and as entries and tiles.

use std::io;
use std::time::Duration;

use countersign_ledger::audit::{Source, SourceError};
use countersign_ledger::proof::Tiles;
use countersign_ledger::tile::{Row, TILE_WIDTH, TileName};
use reqwest::{StatusCode, Url};
use tokio::runtime::Runtime;

use crate::failure::Failure;

/// A bundle has 256 entries of at most 65,535 bytes, each behind a length of two bytes.
const BUNDLE_BYTES_MAX: usize = 256 * (65_535 + 2);
/// 256 hashes.
const TILE_BYTES_MAX: usize = 256 * 32;
/// A checkpoint is three lines and a few signatures, the longest of them (ML-DSA-44) of 3 KiB.
const NOTE_BYTES_MAX: usize = 1 << 17;
/// A tile is at most 8 KiB, a bundle of issuances some 45 KiB: whoever needs longer is not serving.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// After these pauses a request that failed for a passing reason is tried again.
const RETRY_AFTER: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Why one request brought nothing, and whether another may.
enum Fault {
    Passing(SourceError),
    Lasting(SourceError),
}

/// Reads a ledger below a URL (C2SP tlog-tiles).
pub(crate) struct HttpSource {
    prefix: Url,
    client: reqwest::Client,
    runtime: Runtime,
}

impl HttpSource {
    pub(crate) fn new(prefix: &str) -> Result<Self, Failure> {
        let prefix = Url::parse(&format!("{}/", prefix.trim_end_matches('/')))
            .map_err(|error| Failure::usage("url_invalid", format!("not a URL: {error}")))?;
        let runtime = Runtime::new().map_err(|error| {
            Failure::fault("runtime_failed", format!("cannot start the runtime: {error}"))
        })?;
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                Failure::fault("client_failed", format!("cannot make an HTTP client: {error}"))
            })?;
        Ok(Self {
            prefix,
            client,
            runtime,
        })
    }

    async fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let mut pauses = RETRY_AFTER.iter();
        loop {
            let error = match self.request(path).await {
                Ok(body) => return Ok(body),
                Err(Fault::Lasting(error)) => return Err(error),
                Err(Fault::Passing(error)) => error,
            };
            let pause = pauses.next().ok_or(error)?;
            #[expect(clippy::disallowed_methods, reason = "somebody else's server is given time")]
            tokio::time::sleep(*pause).await;
        }
    }

    async fn request(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        let passing = |error: reqwest::Error| Fault::Passing(SourceError::Other(Box::new(error)));
        let lasting = |text: String| Fault::Lasting(SourceError::Other(text.into()));
        let url = self
            .prefix
            .join(path)
            .map_err(|error| lasting(error.to_string()))?;
        let mut answer = self.client.get(url).send().await.map_err(passing)?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::OK => {}
            status => {
                let text = format!("HTTP status {status} for {path}");
                let passes = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                return Err(if passes {
                    Fault::Passing(SourceError::Other(text.into()))
                } else {
                    lasting(text)
                });
            }
        }
        if answer.headers().contains_key(reqwest::header::CONTENT_ENCODING) {
            return Err(lasting(format!(
                "{path} came in an encoding that was not asked for"
            )));
        }
        let limit = bytes_max(path);
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(passing)? {
            if body.len() + part.len() > limit {
                return Err(lasting(format!("{path} is longer than {limit} bytes")));
            }
            body.extend_from_slice(&part);
        }
        Ok(Some(body))
    }
}

/// No file of a log is longer.
fn bytes_max(path: &str) -> usize {
    if path.starts_with("tile/entries/") {
        BUNDLE_BYTES_MAX
    } else if path.starts_with("tile/") {
        TILE_BYTES_MAX
    } else {
        NOTE_BYTES_MAX
    }
}

impl Source for HttpSource {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        self.runtime.block_on(self.fetch(path))
    }
}

/// The tiles and entries of one tree size. Nothing here is checked; a proof built from it is.
pub(crate) struct PublishedTiles<'a> {
    source: &'a dyn Source,
    size: u64,
}

impl<'a> PublishedTiles<'a> {
    pub(crate) fn new(source: &'a dyn Source, size: u64) -> Self {
        Self { source, size }
    }

    /// How many bundles hold the entries.
    pub(crate) fn bundles(&self) -> u64 {
        self.size.div_ceil(u64::from(TILE_WIDTH))
    }

    /// The entries of one bundle with their indices.
    pub(crate) fn entries(&self, bundle: u64) -> Result<Vec<(u64, Vec<u8>)>, Failure> {
        let first = bundle.saturating_mul(u64::from(TILE_WIDTH));
        let width = u16::try_from(self.size.saturating_sub(first))
            .unwrap_or(TILE_WIDTH)
            .min(TILE_WIDTH);
        let name = TileName {
            row: Row::Entries,
            index: bundle,
            width,
        };
        let bytes = self
            .tile(name)
            .map_err(|error| Failure::unavailable("ledger_unreadable", error))?
            .ok_or_else(|| Failure::unavailable("ledger_missing", format!("the ledger has no {name}")))?;
        let entries = split(&bytes).ok_or_else(|| {
            Failure::new(
                crate::failure::Exit::Refused,
                "ledger_corrupt",
                format!("{name} is cut off"),
            )
        })?;
        Ok((first..).zip(entries).collect())
    }
}

impl Tiles for PublishedTiles<'_> {
    fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
        self.source.read(&name.to_string()).map_err(io::Error::other)
    }
}

/// A bundle is entries behind their length, a big-endian `u16`.
fn split(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    bytes.is_empty().then_some(entries)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// What the source makes of a server that gives this answer once.
    fn answered(answer: Vec<u8>, path: &str) -> Result<Option<Vec<u8>>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            // A client that has seen enough hangs up.
            let _ = stream.write_all(&answer);
        });
        let source = HttpSource::new(&format!("http://{address}/log")).unwrap();
        let read = source.read(path).map_err(|error| error.to_string());
        server.join().unwrap();
        read
    }

    fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n");
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_hostile_server_gets_no_further_than_the_longest_file() {
        let tile = vec![7; TILE_BYTES_MAX];
        assert_eq!(answered(ok("", &tile), "tile/0/000"), Ok(Some(tile)));
        let endless = ok("", &vec![7; TILE_BYTES_MAX + 1]);
        assert!(
            answered(endless, "tile/0/000")
                .unwrap_err()
                .contains("longer than 8192")
        );
        let endless = ok("", &vec![7; NOTE_BYTES_MAX + 1]);
        assert!(
            answered(endless, "checkpoint")
                .unwrap_err()
                .contains("longer than")
        );
    }

    #[test]
    fn redirects_and_encodings_are_not_followed() {
        let elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        assert!(
            answered(elsewhere.to_vec(), "checkpoint")
                .unwrap_err()
                .contains("302")
        );
        let packed = ok("Content-Encoding: gzip\r\n", b"bomb");
        assert!(answered(packed, "tile/0/000").unwrap_err().contains("encoding"));
        let none = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(answered(none.to_vec(), "tile/0/000"), Ok(None));
    }

    #[test]
    fn a_bundle_splits_into_its_entries_or_not_at_all() {
        assert_eq!(split(&[0, 1, 7, 0, 2, 8, 9]), Some(vec![vec![7], vec![8, 9]]));
        assert_eq!(split(&[]), Some(vec![]));
        assert_eq!(split(&[0, 2, 7]), None);
        assert_eq!(split(&[0]), None);
    }
}
