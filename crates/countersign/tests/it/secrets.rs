//! What must never reach a log: tokens and secrets, whatever the level and whatever goes wrong.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::process::{countersign, free_port};

const ISSUER: &str = "enterprise/8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01";
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token=";

/// A server that logs all it can into a file; killed when it goes out of scope.
struct Loud(Child);

impl Loud {
    fn start(data: &Path, port: u16, log: &Path) -> Self {
        let mut child = countersign()
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("Stop with Ctrl-C")));
        Self(child)
    }
}

impl Drop for Loud {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client's request; the answer's text.
async fn ask(http: &reqwest::Client, base: &str, (client, secret): (&str, &str), body: &str) -> String {
    let request = http
        .post(format!("{base}/{ISSUER}/token"))
        .basic_auth(client, Some(secret))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body.to_owned());
    request.send().await.unwrap().text().await.unwrap()
}

fn access_token(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Good and bad requests; gives everything in them that is secret.
async fn use_and_abuse(base: &str, data: &Path) -> Vec<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let secret = |client: &str| fs::read_to_string(data.join(format!("clients/{client}.secret"))).unwrap();
    let (app, front, back) = (secret("mail-app"), secret("mail-frontend"), secret("files-api"));
    let grant = "grant_type=client_credentials";
    let token = access_token(&ask(&http, base, ("mail-app", &app), grant).await);
    let child = access_token(
        &ask(
            &http,
            base,
            ("mail-frontend", &front),
            &format!("{EXCHANGE}{token}"),
        )
        .await,
    );
    ask(&http, base, ("files-api", &back), &format!("{EXCHANGE}{child}")).await;
    ask(&http, base, ("files-api", &back), &format!("{EXCHANGE}{token}x")).await;
    let (wrong, posted) = ("wrong-secret-0c5a", "posted-secret-91be");
    ask(&http, base, ("mail-app", wrong), grant).await;
    ask(
        &http,
        base,
        ("mail-app", &app),
        &format!("{grant}&client_secret={posted}"),
    )
    .await;
    for bearer in [&token, &child, &format!("{token}x")] {
        let check = http
            .get(format!("{base}/check?resource=mail"))
            .bearer_auth(bearer);
        check.send().await.unwrap();
    }
    let mut secrets = vec![wrong.to_owned(), posted.to_owned(), app, front, back];
    secrets.extend([token, child].iter().flat_map(|token| {
        // The header is the same in all tokens of a key and no secret.
        let parts = token.split('.').skip(1).map(ToOwned::to_owned);
        parts.collect::<Vec<_>>()
    }));
    secrets
}

#[test]
fn no_log_and_no_file_holds_a_token_or_a_secret() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let port = free_port();
    let server = Loud::start(&data, port, &log);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let secrets = runtime.block_on(use_and_abuse(&format!("http://127.0.0.1:{port}"), &data));
    drop(server);
    let logged = fs::read_to_string(&log).unwrap();
    assert!(
        logged.contains("exchange refused"),
        "the log is not that of the requests"
    );
    fs::remove_dir_all(data.join("clients")).unwrap();
    search(scratch.path(), &secrets);
}

fn search(directory: &Path, secrets: &[String]) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, secrets);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for (number, secret) in secrets.iter().enumerate() {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "secret {number} stands in {}", path.display());
        }
    }
}
