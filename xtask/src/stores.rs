//! The stores of the ledger that are servers: PostgreSQL from Debian, and an S3 server that keeps its word about
//! conditional writes (moto; what it stores lives in its memory). Both are thrown away afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::process::{Scratch, Server, cargo, command, free_port, limited, wait_for, write};
use crate::run::{Log, Run};
use crate::test::tests_passed;
use crate::{install, workspace};

/// Where Debian puts the programs of each release of PostgreSQL.
const POSTGRES: &str = "/usr/lib/postgresql";
/// It does not run as root; its package brings this user.
const USER: &str = "postgres";
/// The S3 server takes any.
const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
/// The audience of the demonstration's resource `mail`.
const AUDIENCE: &str = "https://mail.example";
/// From listening to the first answer, the first connection to the store included.
const START_MAX: Duration = Duration::from_mins(1);
/// The suite on each of the two.
const TESTS: u32 = 2;

pub(crate) fn run(run: &mut Run) {
    let mut servers = None;
    run.step("stores: PostgreSQL and an S3 server start", |log| {
        install::programs(&["pg_ctlcluster", "python3", "curl"], log)?;
        servers = Some(Servers::start(log)?);
        Ok(String::new())
    });
    let Some(servers) = servers else { return };
    run.step("stores: conformance suite", |log| {
        let mut test = cargo(1500);
        test.args([
            "test",
            "--locked",
            "--lib",
            "--",
            "--ignored",
            "store::conformance::",
        ])
        .env("COUNTERSIGN_TEST_POSTGRES", &servers.postgres_url)
        .env("COUNTERSIGN_TEST_S3", &servers.s3_url)
        .envs(CREDENTIALS);
        log.run(&mut test)?;
        ensure!(
            tests_passed(&log.text()) == TESTS,
            "the suite did not run on both"
        );
        Ok("on PostgreSQL and S3".to_owned())
    });
    let mut build = cargo(1500);
    build.args(["build", "--locked", "--bin", "countersign"]);
    if run.command("stores: countersign builds", build) {
        for (name, section) in servers.sections() {
            run.step(&format!("stores: serve on {name}, kill -9, serve again"), |log| {
                outlives_a_kill(&section, log)
            });
        }
    }
}

/// A token issued before the process is killed is recorded after it; a forged one is not.
fn outlives_a_kill(section: &str, log: &Log) -> Result<String> {
    let scratch = Scratch::create("stores-serve")?;
    let binary = workspace::target_directory().join("debug/countersign");
    let countersign = || limited(60, &binary.to_string_lossy());
    let config = scratch.path.join("countersign.toml");
    let shown = countersign()
        .args(["config", "show"])
        .output()
        .context("cannot run countersign")?;
    write(
        &config,
        &format!("{}\n{section}", String::from_utf8_lossy(&shown.stdout)),
    )?;
    let port = free_port()?;
    let serve = || {
        let mut serve = command(&binary.to_string_lossy());
        serve
            .current_dir(&scratch.path)
            .arg("serve")
            .arg("--config")
            .arg(&config);
        serve
            .envs(CREDENTIALS)
            .args(["--data", "data", "--listen", &format!("127.0.0.1:{port}")]);
        let mut server = Server::start("countersign", serve, &scratch.path)?;
        server.wait_for_port(port)?;
        // It listens before its store has answered.
        let answers = || checked(port, "none").ok().filter(|status| status != "000");
        wait_for(START_MAX, answers).context("the gate does not answer")?;
        Ok::<_, anyhow::Error>(server)
    };
    let issuer = format!("http://127.0.0.1:{port}/enterprise/8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01");
    let mut server = serve()?;
    let token = issued(&scratch.path, &issuer, log)?;
    let admitted = |token: &str, wanted: &str| {
        let status = checked(port, token)?;
        ensure!(status == wanted, "the gate answered {status}, not {wanted}");
        Ok(())
    };
    admitted(&token, "200")?;
    server.kill();
    let _server = serve()?;
    admitted(&token, "200").context("after the kill")?;
    let mut forge = countersign();
    forge.current_dir(&scratch.path);
    forge.args(["token", "forge", "--data", "data", "--key-of", &issuer]);
    let forged = forge
        .args(["--audience", AUDIENCE, "--subject", "alice"])
        .output()?;
    admitted(String::from_utf8_lossy(&forged.stdout).trim(), "401").context("a forged token")?;
    ensure!(
        !scratch.path.join("data/ledger/journal").exists(),
        "the ledger lies on local disk after all"
    );
    Ok(String::new())
}

fn issued(folder: &Path, issuer: &str, log: &Log) -> Result<String> {
    let secret =
        std::fs::read_to_string(folder.join("data/clients/mail-app.secret")).context("no client secret")?;
    let mut curl = limited(20, "curl");
    curl.args(["-s", "-u", &format!("mail-app:{}", secret.trim())]);
    curl.args(["-d", "grant_type=client_credentials", &format!("{issuer}/token")]);
    let answer = curl.output().context("cannot run curl")?;
    let answer: serde_json::Value =
        serde_json::from_slice(&answer.stdout).context("no JSON from the token endpoint")?;
    log.line("a token was issued")?;
    let token = answer.get("access_token").and_then(serde_json::Value::as_str);
    Ok(token.with_context(|| format!("no token: {answer}"))?.to_owned())
}

fn checked(port: u16, token: &str) -> Result<String> {
    let mut curl = limited(20, "curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}"]);
    curl.args(["-H", &format!("Authorization: Bearer {token}")]);
    let answer = curl
        .arg(format!("http://127.0.0.1:{port}/check?resource=mail"))
        .output()?;
    Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
}

/// Both servers, stopped and removed when this is dropped.
struct Servers {
    postgres_url: String,
    s3_url: String,
    _postgres: Server,
    _s3: Server,
    // Last: its folder goes after the servers have stopped.
    _scratch: Scratch,
}

impl Servers {
    /// What a configuration says to keep its ledger there.
    fn sections(&self) -> [(&'static str, String); 2] {
        let postgres = format!("[ledger.postgres]\nurl = \"{}\"\n", self.postgres_url);
        let s3 = format!(
            "[ledger.s3]\nbucket = \"ledgers\"\nprefix = \"serve\"\nendpoint = \"{}\"\n",
            self.s3_url
        );
        [("PostgreSQL", postgres), ("S3", s3)]
    }

    fn start(log: &Log) -> Result<Self> {
        let scratch = Scratch::create("stores")?;
        let (postgres_port, s3_port) = (free_port()?, free_port()?);
        let mut postgres = postgres(&scratch.path, postgres_port, log)?;
        let mut s3 = s3(&scratch.path, s3_port, log)?;
        postgres.wait_for_port(postgres_port)?;
        s3.wait_for_port(s3_port)?;
        let s3_url = format!("http://127.0.0.1:{s3_port}");
        let bucket = format!("{s3_url}/ledgers");
        let made = || {
            log.run(limited(10, "curl").args(["-sf", "-X", "PUT", &bucket]))
                .ok()
        };
        wait_for(Duration::from_secs(20), made).context("the S3 server makes no bucket")?;
        Ok(Self {
            postgres_url: format!("postgres://{USER}@127.0.0.1:{postgres_port}/postgres"),
            s3_url,
            _postgres: postgres,
            _s3: s3,
            _scratch: scratch,
        })
    }
}

fn postgres(folder: &Path, port: u16, log: &Log) -> Result<Server> {
    let programs = newest_release()?;
    let data = folder.join("postgres");
    std::fs::create_dir(&data).context("cannot make a folder for PostgreSQL")?;
    if is_root()? {
        log.run(command("chown").arg(USER).arg(&data))?;
    }
    let mut initdb = as_postgres(&programs.join("initdb"))?;
    initdb.args([
        "--auth=trust",
        "--encoding=UTF8",
        "--no-locale",
        "--username",
        USER,
        "-D",
    ]);
    log.run(initdb.arg(&data))?;
    let mut server = as_postgres(&programs.join("postgres"))?;
    server.arg("-D").arg(&data).arg("-k").arg(&data);
    server.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    Server::start("postgres", server, folder)
}

/// The programs of the newest release that is installed.
fn newest_release() -> Result<PathBuf> {
    let installed = std::fs::read_dir(POSTGRES).with_context(|| format!("cannot read {POSTGRES}"))?;
    let releases = installed.filter_map(|it| {
        Some((
            it.as_ref().ok()?.file_name().to_str()?.parse::<u32>().ok()?,
            it.ok()?.path(),
        ))
    });
    let (_, newest) = releases.max().context("PostgreSQL is not installed")?;
    Ok(newest.join("bin"))
}

fn as_postgres(program: &Path) -> Result<std::process::Command> {
    if !is_root()? {
        return Ok(command(&program.to_string_lossy()));
    }
    let mut command = command("setpriv");
    command
        .arg(format!("--reuid={USER}"))
        .arg(format!("--regid={USER}"))
        .arg("--clear-groups")
        .arg(program);
    Ok(command)
}

fn is_root() -> Result<bool> {
    let id = command("id").arg("-u").output().context("cannot run id")?;
    Ok(id.stdout.trim_ascii() == b"0")
}

fn s3(folder: &Path, port: u16, log: &Log) -> Result<Server> {
    let venv = workspace::target_directory().join("xtask/stores-venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        log.run(limited(120, "python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let mut pip = limited(600, &python.to_string_lossy());
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    log.run(pip.arg(workspace::root().join("tests/stores/requirements.txt")))?;
    let mut server = command(&venv.join("bin/moto_server").to_string_lossy());
    server.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    Server::start("moto", server, folder)
}
