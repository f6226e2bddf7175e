//! tlog-tiles over a socket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use countersign_ledger::Ledger;
use countersign_ledger::http::router;
use tokio::net::TcpListener;

use crate::support::{append_all, open};

async fn request(address: &str, method: &str, path: &str) -> (String, Vec<u8>) {
    exchange(address, method, path, Vec::new()).await
}

/// Head (in lower case) and body of the answer to one request.
pub(crate) async fn exchange(address: &str, method: &str, path: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let address = address.to_owned();
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // A body that is too long may be refused before it is read to its end.
        let _ = stream.write_all(&body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    };
    let answer = tokio::task::spawn_blocking(exchange).await.unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    (
        String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(),
        answer[end + 4..].to_vec(),
    )
}

async fn serve(ledger: &Ledger) -> String {
    listen(router(ledger.clone())).await
}

/// Serves a router on a port of its own and returns the address.
pub(crate) async fn listen(router: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_served_as_the_specification_says() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    append_all(&ledger, 0, 300).await;
    ledger.close();
    let address = serve(&ledger).await;

    let (head, body) = request(&address, "GET", "/checkpoint").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; charset=utf-8"));
    assert!(head.contains("cache-control: public, max-age=1"));
    assert_eq!(body, ledger.checkpoint().to_vec());

    let (_, body) = request(&address, "GET", "/key").await;
    assert_eq!(body, format!("{}\n", ledger.verifier_key()).into_bytes());

    for (path, caching) in [
        ("/tile/0/000", "public, max-age=31536000, immutable"),
        ("/tile/entries/000", "public, max-age=31536000, immutable"),
        ("/tile/0/001.p/44", "public, max-age=60, immutable"),
        ("/tile/entries/001.p/44", "public, max-age=60, immutable"),
        ("/tile/1/000.p/1", "public, max-age=60, immutable"),
    ] {
        let (head, body) = request(&address, "GET", path).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(
            head.contains("content-type: application/octet-stream"),
            "{path}: {head}"
        );
        assert!(
            head.contains(&format!("cache-control: {caching}")),
            "{path}: {head}"
        );
        assert_eq!(body, std::fs::read(directory.path().join(&path[1..])).unwrap());
        let (head, body) = request(&address, "HEAD", path).await;
        assert!(
            head.starts_with("http/1.1 200") && body.is_empty(),
            "{path}: {head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_else_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    append_all(&ledger, 0, 300).await;
    let address = serve(&ledger).await;
    for path in [
        "/",
        "/tile",
        "/tile/",
        "/tile/0/001",
        "/tile/0/000.p/256",
        "/tile/00/000",
        "/tile/0/0",
        "/tile/2/000",
        "/tile/entries/../../lock",
        "/tile/entries/..%2f..%2flock",
        "/tile/0/000.tmp",
        "/lock",
        "/origin",
        "/journal/00000000000000000000.seg",
        "/tile/0/%30%30%30/",
        "/checkpoint/",
        "/tile/0/x000/000",
    ] {
        let (head, _) = request(&address, "GET", path).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
    }
    let (head, _) = request(&address, "POST", "/checkpoint").await;
    assert!(head.starts_with("http/1.1 405"), "{head}");
}
