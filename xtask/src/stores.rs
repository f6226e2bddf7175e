//! The stores of the ledger that are servers: PostgreSQL from Debian, and an S3 server that keeps its word about
//! conditional writes (moto; what it stores lives in its memory). Both are thrown away afterwards.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::process::{Scratch, Server, cargo, command, free_port, limited, wait_for};
use crate::run::{Log, Run};
use crate::test::tests_passed;
use crate::{install, workspace};

/// Where Debian puts the programs of each release of PostgreSQL.
const POSTGRES: &str = "/usr/lib/postgresql";
/// It does not run as root; its package brings this user.
const USER: &str = "postgres";
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
        .env("COUNTERSIGN_TEST_S3", &servers.s3_url);
        log.run(&mut test)?;
        ensure!(
            tests_passed(&log.text()) == TESTS,
            "the suite did not run on both"
        );
        Ok("on PostgreSQL and S3".to_owned())
    });
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
        wait_for(std::time::Duration::from_secs(20), made).context("the S3 server makes no bucket")?;
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
