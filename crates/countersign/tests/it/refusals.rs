//! What goes wrong on a machine: each gives one clear error with a code and a hint, and loses nothing.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::process::{Server, countersign, free_port};

/// A data directory on which a server has run and ended well.
struct Used {
    _scratch: tempfile::TempDir,
    data: PathBuf,
    port: u16,
}

impl Used {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        let port = free_port();
        let mut server = Server::spawn(&data, port, &[]);
        server.wait_until_up();
        server.terminate();
        Self {
            _scratch: scratch,
            data,
            port,
        }
    }

    fn serve(&self) -> Output {
        serve(&self.data, self.port)
    }

    /// The first journal segment.
    fn segment(&self) -> PathBuf {
        self.data.join("ledger/journal/00000000000000000000.seg")
    }
}

/// Starts a server that is expected not to come up.
fn serve(data: &Path, port: u16) -> Output {
    countersign()
        .args(["serve", "--data"])
        .arg(data)
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .output()
        .unwrap()
}

/// One error: this code, this exit code, a hint, nothing on standard output, no panic.
#[track_caller]
fn check(output: &Output, exit: i32, code: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{error}");
    assert!(error.starts_with(&format!("error[{code}]: ")), "{error}");
    assert!(error.contains("\n\nhint: "), "no hint: {error}");
    assert!(!error.contains("panicked"), "{error}");
    assert!(
        output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn a_port_in_use_leaves_no_trace() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    check(
        &serve(&data, taken.local_addr().unwrap().port()),
        2,
        "port_in_use",
    );
    assert!(!data.exists());
}

#[test]
fn a_place_that_cannot_be_written_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "in the way").unwrap();
    check(&serve(&file.join("data"), free_port()), 2, "data_unusable");
    check(&serve(&file, free_port()), 2, "data_unusable");
}

#[test]
fn a_second_process_on_the_same_data_is_refused_and_harms_nothing() {
    let used = Used::new();
    let mut server = Server::spawn(&used.data, used.port, &[]);
    server.wait_until_up();
    check(&serve(&used.data, free_port()), 2, "data_in_use");
    let rotate = countersign()
        .args(["key", "activate", "--data"])
        .arg(&used.data)
        .arg(format!("http://127.0.0.1:{}/consumer", used.port))
        .output()
        .unwrap();
    check(&rotate, 2, "data_in_use");
    server.terminate();
}

#[test]
fn lost_keys_are_never_replaced_silently() {
    for lost in ["seal/enterprise.key", "seal/_ledger.key", "keys/_ledger.sealed"] {
        let used = Used::new();
        fs::remove_file(used.data.join(lost)).unwrap();
        check(&used.serve(), 2, "keys_missing");
        assert!(!used.data.join(lost).exists(), "{lost} was made anew");
    }
    let used = Used::new();
    for sealed in fs::read_dir(used.data.join("keys")).unwrap() {
        let sealed = sealed.unwrap().path();
        if !sealed.ends_with("_ledger.sealed") {
            fs::remove_file(sealed).unwrap();
        }
    }
    check(&used.serve(), 2, "keys_missing");
}

#[test]
fn a_lost_state_is_never_replaced_silently() {
    let used = Used::new();
    for part in ["state.sqlite3", "state.sqlite3-wal", "state.sqlite3-shm"] {
        let _ = fs::remove_file(used.data.join(part));
    }
    check(&used.serve(), 2, "state_missing");
}

#[test]
fn another_address_would_be_another_issuer() {
    let used = Used::new();
    check(&serve(&used.data, free_port()), 2, "issuer_changed");
}

#[test]
fn a_changed_ledger_is_refused() {
    let used = Used::new();
    let mut bytes = fs::read(used.segment()).unwrap();
    let place = bytes.iter().position(|byte| *byte != 0).unwrap() + 200;
    bytes[place] ^= 1;
    fs::write(used.segment(), &bytes).unwrap();
    check(&used.serve(), 2, "ledger_corrupt");
}

#[test]
fn a_truncated_ledger_is_refused() {
    let used = Used::new();
    let bytes = fs::read(used.segment()).unwrap();
    fs::write(used.segment(), &bytes[..400]).unwrap();
    let output = used.serve();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("error[ledger_"), "{error}");
    assert!(error.contains("\n\nhint: "), "{error}");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        fs::read(used.segment()).unwrap().len(),
        400,
        "what is left was touched"
    );
}

#[test]
fn deleted_tiles_are_rebuilt() {
    let used = Used::new();
    fs::remove_dir_all(used.data.join("ledger/tile")).unwrap();
    let mut server = Server::spawn(&used.data, used.port, &[]);
    server.wait_until_up();
    server.terminate();
    let audit = countersign()
        .args(["ledger", "audit"])
        .arg(used.data.join("ledger"))
        .output()
        .unwrap();
    assert!(
        audit.status.success(),
        "{}",
        String::from_utf8_lossy(&audit.stderr)
    );
}

#[test]
fn every_problem_of_a_config_is_reported_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("bad.toml");
    fs::write(
        &file,
        "[server]\nlisten = 8420\nlissten = '127.0.0.1:1'\n\n[gate]\n\n[[gate.resources]]\nname = 'mail'\n\
         audience = ''\nrealm = 'enterprise'\nmode = 'enforced'\n",
    )
    .unwrap();
    let output = countersign()
        .args(["config", "check"])
        .arg(&file)
        .output()
        .unwrap();
    check(&output, 64, "config_invalid");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    for expected in [
        "line 2: ",
        "line 3: unknown field `lissten`",
        "did you mean `listen`?",
        "line 11: ",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    check(
        &countersign()
            .args(["serve", "--config"])
            .arg(&file)
            .output()
            .unwrap(),
        64,
        "config_invalid",
    );
}

#[test]
fn the_shown_config_is_the_one_that_runs_and_is_valid() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("shown.toml");
    let shown = countersign().args(["config", "show"]).output().unwrap();
    fs::write(&file, &shown.stdout).unwrap();
    let output = countersign()
        .args(["config", "check"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let output = countersign().args(["serve", "--listn", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("--listen"), "no suggestion: {error}");
}

#[test]
fn one_base_url_in_two_spellings_is_one_issuer() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("config.toml");
    let port = free_port();
    let shown = countersign().args(["config", "show"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let spelled = format!("[server]\nbase_url = \"HTTP://LocalHost:{port}/\"\n");
    fs::write(&file, shown.replace("[server]\n", &spelled)).unwrap();
    let data = scratch.path().join("data");
    for _ in 0..2 {
        let mut server = Server::spawn(&data, port, &["--config", file.to_str().unwrap()]);
        let banner = server.wait_until_up();
        assert!(
            banner.contains(&format!("http://localhost:{port}/consumer")),
            "{banner}"
        );
        server.terminate();
    }
}

#[test]
fn an_address_that_no_client_can_use_is_no_issuer() {
    let scratch = tempfile::tempdir().unwrap();
    let output = countersign()
        .args(["serve", "--listen", "0.0.0.0:0", "--data"])
        .arg(scratch.path())
        .output()
        .unwrap();
    check(&output, 64, "config_invalid");
}

/// RFC 9112, section 6.1: the chunks count, and nothing behind them is read as a request.
#[test]
fn what_follows_a_request_with_two_lengths_is_not_served() {
    use std::io::{Read, Write};
    let used = Used::new();
    let mut server = Server::spawn(&used.data, used.port, &[]);
    server.wait_until_up();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", used.port)).unwrap();
    let two_lengths = "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    stream
        .write_all(format!("POST /check HTTP/1.1\r\n{two_lengths}{smuggled}").as_bytes())
        .unwrap();
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers);
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    server.terminate();
}
