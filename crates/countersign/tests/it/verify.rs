//! `countersign verify` on tokens of a running server, with a policy made from what it publishes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use countersign_token::Reason;
use serde_json::{Value, json};

use crate::process::{Server, countersign, free_port};

const CONTOSO: &str = "8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01";

/// A server, a token of each realm from it, and a policy that trusts its issuers.
struct Published {
    scratch: tempfile::TempDir,
    base: String,
    policy: PathBuf,
    mail: String,
    outlook: String,
    _server: Server,
}

impl Published {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        let port = free_port();
        let mut server = Server::spawn(&data, port, &[]);
        server.wait_until_up();
        let base = format!("http://127.0.0.1:{port}");
        let secret =
            |client: &str| fs::read_to_string(data.join("clients").join(format!("{client}.secret"))).unwrap();
        let policy = scratch.path().join("policy.toml");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (mail, outlook) = runtime.block_on(async {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            write_policy(&http, &base, &policy).await;
            (
                token(
                    &http,
                    &format!("{base}/enterprise/{CONTOSO}"),
                    "mail-app",
                    &secret("mail-app"),
                )
                .await,
                token(
                    &http,
                    &format!("{base}/consumer"),
                    "consumer-app",
                    &secret("consumer-app"),
                )
                .await,
            )
        });
        Self {
            scratch,
            base,
            policy,
            mail,
            outlook,
            _server: server,
        }
    }

    fn verify(&self, arguments: &[&str]) -> Output {
        self.verify_input(arguments, "")
    }

    fn verify_input(&self, arguments: &[&str], input: &str) -> Output {
        verify(&self.policy, arguments, input)
    }

    fn batch(&self, lines: &[String], arguments: &[&str]) -> Output {
        let file = self.scratch.path().join("batch.ndjson");
        fs::write(&file, lines.join("\n")).unwrap();
        self.verify(&[&["--batch", file.to_str().unwrap()], arguments].concat())
    }

    /// A token that a thief signed with contoso's key.
    fn forged(&self, subject: &str) -> String {
        let output = countersign()
            .args(["token", "forge", "--audience", "https://mail.example"])
            .args(["--key-of", &format!("{}/enterprise/{CONTOSO}", self.base)])
            .args(["--subject", subject, "--data"])
            .arg(self.scratch.path().join("data"))
            .output()
            .unwrap();
        text(&output.stdout).trim().to_owned()
    }
}

async fn write_policy(http: &reqwest::Client, base: &str, file: &Path) {
    let mut policy = String::new();
    let issuers = [
        ("consumer".to_owned(), "consumer", vec![]),
        (format!("enterprise/{CONTOSO}"), "enterprise", vec![CONTOSO]),
    ];
    for (path, realm, tenants) in issuers {
        let issuer = format!("{base}/{path}");
        let keys = http.get(format!("{issuer}/jwks")).send().await.unwrap();
        let name = format!("{realm}.jwks.json");
        fs::write(file.with_file_name(&name), keys.text().await.unwrap()).unwrap();
        write!(
            policy,
            "[[issuers]]\nissuer = '{issuer}'\nrealm = '{realm}'\njwks_file = '{name}'\nkey_metadata = 'declared'\ntenants = {tenants:?}\n\n"
        )
        .unwrap();
    }
    for (name, realm) in [("mail", "enterprise"), ("outlook", "consumer")] {
        write!(
            policy,
            "[[resources]]\nname = '{name}'\naudience = 'https://{name}.example'\nrealm = '{realm}'\nscopes = ['mail.read']\n\n"
        )
        .unwrap();
    }
    fs::write(file, policy).unwrap();
}

async fn token(http: &reqwest::Client, issuer: &str, client: &str, secret: &str) -> String {
    let answer = http
        .post(format!("{issuer}/token"))
        .basic_auth(client, Some(secret))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    let body = answer.send().await.unwrap().text().await.unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

fn verify(policy: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = countersign()
        .args(["verify", "--policy"])
        .arg(policy)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that needs no input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What was said on standard output, after a check of the exit code and that nothing else was said.
#[track_caller]
fn said(output: &Output, exit: i32) -> String {
    assert_eq!(output.status.code(), Some(exit), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
}

#[track_caller]
fn document(output: &Output, exit: i32) -> Value {
    serde_json::from_str(&said(output, exit)).unwrap()
}

#[track_caller]
fn documents(output: &Output, exit: i32) -> Vec<Value> {
    said(output, exit)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What was said on standard error by a command line or policy that is wrong.
#[track_caller]
fn usage_error(output: &Output, code: &str) -> String {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{error}");
    assert!(error.starts_with(&format!("error[{code}]: ")), "{error}");
    assert!(error.contains("\n\nhint: "), "{error}");
    assert_eq!(text(&output.stdout), "");
    error
}

#[test]
fn one_token_is_admitted_or_refused_with_its_rule() {
    let published = Published::new();
    let mail = published.mail.as_str();
    let answer = said(&published.verify(&["--resource", "mail", mail]), 0);
    let issuer = format!("{}/enterprise/{CONTOSO}", published.base);
    assert!(
        answer.starts_with(&format!("admit  mail-app of {issuer}\n")),
        "{answer}"
    );
    assert!(!answer.contains(mail), "the token is printed");

    let typed = document(&published.verify(&["--json", "--resource", "mail", mail]), 0);
    assert_eq!(
        (&typed["decision"], &typed["reason"]),
        (&json!("admit"), &json!(null))
    );
    assert_eq!(
        (&typed["issuer"], &typed["realm"]),
        (&json!(issuer), &json!("enterprise"))
    );
    assert_eq!(
        (&typed["tenant"], &typed["subject"]),
        (&json!(CONTOSO), &json!("mail-app"))
    );
    assert_eq!(typed.get("steps"), None);
    let piped = published.verify_input(&["--json", "--resource", "mail", "-"], &format!("  {mail}\n"));
    assert_eq!(document(&piped, 0), typed);

    let refused = published.verify(&["--resource", "outlook", mail]);
    let answer = said(&refused, 1);
    assert!(answer.starts_with("refuse audience_mismatch: "), "{answer}");
    assert!(answer.contains("what to do: "), "{answer}");
    let later = published.verify(&["--json", "--resource", "mail", "--at", "4000000000", mail]);
    assert_eq!(document(&later, 1)["reason"], "token_expired");
    for broken in ["", "x", "a.b.c", &mail[1..], &format!("{mail}.")] {
        let answer = document(
            &published.verify_input(&["--json", "--resource", "mail", "-"], broken),
            1,
        );
        assert_eq!(answer["decision"], "refuse", "{broken}");
    }
}

#[test]
fn an_explanation_goes_through_every_rule() {
    let published = Published::new();
    let admitted = published.verify(&["--json", "--explain", "--resource", "mail", &published.mail]);
    let admitted = document(&admitted, 0);
    let steps = admitted["steps"].as_array().unwrap();
    assert!(
        steps.len() > 20 && steps.iter().all(|step| step["outcome"] == "passed"),
        "{steps:#?}"
    );
    let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert!(
        steps
            .iter()
            .all(|step| known.contains(&step["reason"].as_str().unwrap()))
    );

    // The consumer's token at the enterprise's resource: wrong in two ways, both are shown, the first decides.
    let refused = published.verify(&["--json", "--explain", "--resource", "mail", &published.outlook]);
    let refused = document(&refused, 1);
    assert_eq!(refused["reason"], "audience_mismatch");
    assert_eq!(refused["steps"].as_array().unwrap().len(), steps.len());
    let failed: Vec<&str> = refused["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["outcome"] == "failed")
        .map(|step| step["reason"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["audience_mismatch", "resource_realm_mismatch"]);

    let screen = said(
        &published.verify(&["--explain", "--resource", "mail", &published.outlook]),
        1,
    );
    let marks = |mark: &str| screen.lines().filter(|line| line.starts_with(mark)).count();
    assert_eq!(
        (marks("FAIL  "), marks("pass  ")),
        (2, steps.len() - 2),
        "{screen}"
    );
    assert!(screen.contains("\nrefuse audience_mismatch: "), "{screen}");
    let rubbish = said(
        &published.verify(&["--explain", "--resource", "mail", "rubbish"]),
        1,
    );
    assert!(
        rubbish.contains("FAIL  ") && rubbish.contains("  -   "),
        "{rubbish}"
    );
}

#[test]
fn a_batch_answers_every_line_in_order() {
    let published = Published::new();
    let (mail, outlook) = (&published.mail, &published.outlook);
    let line = |value: Value| value.to_string();
    let mut long = line(json!({"id": "long", "token": mail, "resource": "mail"}));
    long.push_str(&" ".repeat(70_000));
    let lines = [
        line(json!({"id": 1, "token": mail, "resource": "mail"})),
        line(json!({"id": "two", "token": outlook})),
        line(json!({"id": [3], "token": mail, "resource": "mail", "at": 4_000_000_000_u64})),
        String::new(),
        "not json".to_owned(),
        line(json!({"id": 4, "token": 4})),
        line(json!({"id": 5, "token": mail, "tokn": mail})),
        line(json!({"token": mail, "resource": "mail"})),
        long,
        line(json!({"id": 6, "token": mail, "resource": "nowhere"})),
        line(json!({"id": 7, "token": "rubbish", "resource": "mail"})),
        line(
            json!({"id": 8, "token": mail, "resource": "mail", "request": {"method": "GET", "url": "https://a.example/"}}),
        ),
        line(
            json!({"id": 9, "token": mail, "resource": "mail", "request": {"method": "GET", "url": "/", "headers": {}}}),
        ),
        line(json!({"id": 10, "token": mail, "resource": "mail", "request": {"url": "https://a.example/"}})),
    ];
    let answers = documents(&published.batch(&lines, &["--resource", "outlook"]), 1);
    let brief: Vec<Value> = answers
        .iter()
        .map(|answer| json!([answer["id"], answer["decision"], answer["reason"]]))
        .collect();
    assert_eq!(
        brief,
        [
            json!([1, "admit", null]),
            json!(["two", "admit", null]),
            json!([[3], "refuse", "token_expired"]),
            json!([null, "refuse", "request_malformed"]),
            json!([null, "refuse", "request_malformed"]),
            json!([4, "refuse", "request_malformed"]),
            json!([5, "refuse", "request_malformed"]),
            json!([null, "refuse", "request_malformed"]),
            json!([null, "refuse", "request_malformed"]),
            json!([6, "refuse", "resource_unknown"]),
            json!([7, "refuse", answers[10]["reason"]]),
            json!([8, "admit", null]),
            json!([9, "refuse", "request_malformed"]),
            json!([10, "refuse", "request_malformed"]),
        ]
    );
    for answer in &answers {
        assert!(!answer.to_string().contains(mail.as_str()), "a token is printed");
    }

    let good = format!("{}\r\n{}\n", lines[0], lines[1]);
    let piped = published.verify_input(&["--batch", "-", "--resource", "outlook"], &good);
    assert_eq!(documents(&piped, 0).len(), 2);
    assert_eq!(documents(&published.batch(&[], &[]), 0).len(), 0);
    let at = published.batch(&lines[..1], &["--at", "4000000000"]);
    assert_eq!(documents(&at, 1)[0]["reason"], "token_expired");
    // Two resources and no name: which one is meant?
    let unnamed = published.batch(&lines[1..2], &[]);
    assert_eq!(documents(&unnamed, 1)[0]["reason"], "resource_unknown");
}

#[test]
fn a_resource_that_does_not_exist_is_a_usage_error() {
    let published = Published::new();
    let mail = published.mail.as_str();
    let line = json!({"id": 1, "token": mail}).to_string();
    for output in [
        published.verify(&["--resource", "mial", mail]),
        published.verify(&[mail]),
        published.batch(&[line], &["--resource", "mial"]),
    ] {
        let error = usage_error(&output, "resource_unknown");
        assert!(error.contains("mail, outlook"), "{error}");
        assert!(!error.contains(mail), "{error}");
    }
    let missing = published.verify(&["--batch", "nowhere.ndjson"]);
    usage_error(&missing, "file_unreadable");
    let both = published.verify(&["--batch", "-", mail]);
    assert_eq!(both.status.code(), Some(64));
}

#[test]
fn a_forgery_keeps_the_token_rules_and_cannot_command_the_terminal() {
    let published = Published::new();
    let forged = published.forged("alice\u{1b}[2J");
    let answer = said(&published.verify(&["--resource", "mail", &forged]), 0);
    assert!(answer.contains("only the ledger can say"), "{answer}");
    assert!(!answer.contains('\u{1b}'), "{answer:?}");
}

/// Writes `policy`, verifies anything with it, and gives the error.
#[track_caller]
fn policy_error(policy: &str) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("policy.toml");
    fs::write(&file, policy).unwrap();
    let error = usage_error(&verify(&file, &["a.b.c"], ""), "config_invalid");
    assert!(!error.contains("config check"), "not for policies: {error}");
    error
}

#[test]
fn every_problem_of_a_policy_is_reported_at_once() {
    let error = policy_error(
        "[[issuers]]\nissuer = 'https://id.example'\nrealm = 3\njwks = 'keys.json'\n\n\
         [[resources]]\nname = 'mail'\naudience = 'https://mail.example'\nrealms = 'a'\n",
    );
    for expected in [
        "line 3: ",
        "line 4: unknown field `jwks`",
        "line 9: unknown field `realms`",
        "`realm`",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let error = policy_error(
        "[[issuers]]\nissuer = 'https://id.example'\nrealm = 'a'\njwks_file = 'nowhere.json'\n\n\
         [[issuers]]\nissuer = 'https://{tenant}.example'\nrealm = 'a'\njwks_file = 'nowhere.json'\n\n\
         [[issuers]]\nissuer = 'https://other.example'\nrealm = 'a'\n\n\
         [[resources]]\nname = 'mail'\naudience = ''\nrealm = 'a'\n",
    );
    for expected in [
        "line 4: issuers[0].jwks_file: cannot read ",
        "line 7: issuers[1].issuer: is not an issuer",
        "line 11: issuers[2].jwks_file: is missing",
        "line 17: resources[0].audience: ",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(
        error.starts_with("error[config_invalid]: 4 problems in "),
        "{error}"
    );
    assert!(!error.contains("discovery"), "verify works offline: {error}");
}
