//! The smallest HTTP client that the tests can be read with: HTTP/1.0, one GET, loopback.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

const TIMEOUT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks `http://127.0.0.1:PORT/PATH` with these headers.
pub(crate) fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("cannot connect")?;
    stream
        .set_read_timeout(Some(TIMEOUT))
        .context("cannot set a timeout")?;
    let mut request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).context("cannot send")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("no answer")?;
    parse(&String::from_utf8_lossy(&answer)).context("the answer is not HTTP")
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse("HTTP/1.1 401 Unauthorized\r\nA: b\r\n\r\nno\r\n\r\n").unwrap();
        assert_eq!(
            answer,
            Answer {
                status: 401,
                body: "no\r\n\r\n".to_owned()
            }
        );
        assert_eq!(parse("nonsense"), None);
    }
}
