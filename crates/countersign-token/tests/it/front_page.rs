//! The service of the front page: as it is printed, and as it answers.
//!
//! After a change of `examples/axum_service.rs`: `UPDATE=1 cargo test -p countersign-token --test it front_page`.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use countersign_token::KeySet;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::world::{TEMPLATE, World};

#[path = "../../examples/axum_service.rs"]
mod axum_service;

const EXAMPLE: &str = include_str!("../../examples/axum_service.rs");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

#[test]
fn the_readme_prints_the_service_that_runs() {
    let (_, code) = EXAMPLE.split_once("// front page: begin\n").unwrap();
    let (code, _) = code.split_once("// front page: end").unwrap();
    let readme = std::fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once("```rust\n").unwrap();
    let (printed, after) = rest.split_once("```").unwrap();
    if std::env::var_os("UPDATE").is_some() {
        renew(&format!("{before}```rust\n{code}```{after}"));
    } else {
        assert_eq!(
            printed, code,
            "run: UPDATE=1 cargo test -p countersign-token --test it front_page"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a page is made by the test that compares it"
)]
fn renew(readme: &str) {
    std::fs::write(README, readme).unwrap();
}

#[test]
fn a_service_is_protected_in_ten_lines() {
    let (_, rest) = EXAMPLE.split_once("async fn protect(").unwrap();
    let (body, _) = rest.split_once("\n}\n").unwrap();
    // And the brace that closes it.
    assert_eq!(body.lines().count() + 1, 10);
}

/// Asks for `/me` with these `Authorization` headers; status, head and body.
fn ask(address: SocketAddr, authorization: &[&str]) -> (u16, String, String) {
    let mut request = "GET /me HTTP/1.1\r\nHost: mail.example\r\nConnection: close\r\n".to_owned();
    for value in authorization {
        write!(request, "Authorization: {value}\r\n").unwrap();
    }
    request.push_str("\r\n");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn the_service_lets_in_who_has_a_good_token() {
    let world = World::new();
    let record = world
        .registry
        .issuers()
        .iter()
        .find(|it| it.issuer.as_str() == TEMPLATE);
    let keys: &KeySet = &record.unwrap().keys;
    let guard = axum_service::guard(keys.to_json().to_string().as_bytes()).unwrap();
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async { axum::serve(listener, axum_service::service(guard)).await });

    let now = axum_service::now();
    let token = |key, edit: fn(&mut Value)| {
        world.token(key, |_, claims| {
            (claims["iat"], claims["exp"]) = (json!(now - 60), json!(now + 600));
            edit(claims);
        })
    };
    let good = token("shared", |_| {});
    for value in [format!("Bearer {good}"), format!("bearer {good}")] {
        let (status, _, body) = ask(address, &[&value]);
        assert_eq!(
            (status, body.trim_end()),
            (
                200,
                "https://id.example/enterprise/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e ada"
            )
        );
    }
    let twice = format!("Bearer {good}");
    let refused = [
        vec![],
        vec![twice.clone(), twice],
        vec![good.clone()],
        vec![format!("DPoP {good}")],
        vec![format!("Bearer  {good}")],
        vec![format!(
            "Bearer {}",
            token("shared", |claims| claims["exp"] = json!(1_700_000_600))
        )],
        vec![format!(
            "Bearer {}",
            token("shared", |claims| claims["aud"] = json!("https://other.example"))
        )],
        vec![format!(
            "Bearer {}",
            token("shared", |claims| claims["cnf"] =
                json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}))
        )],
        vec![format!("Bearer {}", token("suspect", |_| {}))],
        vec![format!("Bearer {}", token("revoked", |_| {}))],
        vec![format!("Bearer {}", token("consumer", |_| {}))],
    ];
    for values in &refused {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let (status, head, body) = ask(address, &values);
        assert_eq!((status, body.as_str()), (401, ""), "{values:?}");
        assert!(head.contains("\r\nwww-authenticate: bearer"), "{head}");
    }
}
