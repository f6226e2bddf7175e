//! `kill -9` at any moment, under load: no released token may be missing from the ledger, and the data
//! directory must open again.
//!
//! A lost entry never comes back, so it is enough to compare what was released with what is recorded once for each
//! data directory; every start in between proves that the directory opens.

use std::collections::HashSet;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use countersign_ledger::Entry;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::process::{Server, countersign, free_port};

const KILLS_QUICK: u32 = 12;
const KILLS_FULL: u32 = 2_000;
const FIRST_STARTS: u32 = 200;
/// Start on a fresh directory after so many kills, so that first starts are killed too.
const FRESH_EVERY: u32 = 40;
/// Enough to have several requests in one group commit.
const CLIENTS: usize = 8;

#[test]
fn crash_quick() {
    kill_many(KILLS_QUICK);
}

/// The full count; slow, so asked for by name: `cargo test --release -- --ignored crash_full --nocapture`.
#[test]
#[ignore = "takes minutes; run by cargo xtask test crash"]
#[expect(
    clippy::disallowed_methods,
    reason = "the number of kills comes from whoever runs the test"
)]
fn crash_full() {
    let kills = std::env::var("COUNTERSIGN_KILLS")
        .ok()
        .and_then(|text| text.parse().ok());
    kill_many(kills.unwrap_or(KILLS_FULL));
}

/// The first start makes keys, state and ledger: wherever it is cut off, the next start completes it.
#[test]
#[ignore = "takes a minute; run by cargo xtask test crash"]
fn crash_first_start() {
    let runtime = Runtime::new().unwrap();
    let mut random = Random(0x2545_f491_4f6c_dd1d ^ u64::from(std::process::id()));
    println!("seed {:#x}", random.0);
    for _ in 0..FIRST_STARTS {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        let port = free_port();
        for _ in 0..=random.below(2) {
            let mut server = Server::spawn(&data, port, &[]);
            runtime.block_on(pause(Duration::from_micros(random.below(50_000))));
            server.kill();
        }
        let mut server = Server::spawn(&data, port, &[]);
        server.wait_until_up();
        server.terminate();
    }
    println!("crash: {FIRST_STARTS} first starts cut off, every directory completed");
}

/// What one run has seen.
#[derive(Default)]
struct Tally {
    kills: u32,
    killed_while_starting: u32,
    directories: u32,
    released: usize,
}

fn kill_many(kills: u32) {
    let runtime = Runtime::new().unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id()));
    println!("seed {:#x}", random.0);
    let mut tally = Tally::default();
    while tally.kills < kills {
        let round = (kills - tally.kills).min(FRESH_EVERY);
        one_directory(&runtime, &mut random, round, &mut tally);
    }
    println!(
        "crash: {} kills ({} while starting), {} data directories, {} tokens released, 0 lost",
        tally.kills, tally.killed_while_starting, tally.directories, tally.released
    );
    assert!(
        tally.released > 0,
        "no token was ever released: the test tested nothing"
    );
}

/// The fingerprints of the tokens that clients hold, and a signal for each.
#[derive(Default)]
struct Released {
    fingerprints: Mutex<Vec<[u8; 32]>>,
    another: Notify,
}

fn one_directory(runtime: &Runtime, random: &mut Random, kills: u32, tally: &mut Tally) {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let port = free_port();
    let released = Arc::new(Released::default());
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    for kill in 1..=kills {
        let mut server = Server::spawn(&data, port, &[]);
        // The first start of a directory makes keys and ledger: it is killed in the making, too.
        if kill == 1 || random.below(4) == 0 {
            runtime.block_on(pause(Duration::from_micros(random.below(60_000))));
            tally.killed_while_starting += 1;
            server.kill();
        } else {
            let banner = server.wait_until_up();
            let load = Load {
                client: &client,
                data: &data,
                banner: &banner,
                released: &released,
            };
            load.kill_some_time(runtime, &mut server, random);
        }
        tally.kills += 1;
    }
    let released = released.fingerprints.lock().unwrap();
    compare(&data, port, &released);
    tally.directories += 1;
    tally.released += released.len();
}

/// What clients need to ask for tokens.
struct Load<'a> {
    client: &'a reqwest::Client,
    data: &'a Path,
    banner: &'a str,
    released: &'a Arc<Released>,
}

impl Load<'_> {
    /// Lets clients ask for tokens, kills the server at some moment, and waits until every client has noticed.
    fn kill_some_time(&self, runtime: &Runtime, server: &mut Server, random: &mut Random) {
        runtime.block_on(async {
            let clients = self.start();
            if random.below(2) == 0 {
                // Otherwise slow machines would only ever kill before the first token.
                let _ = tokio::time::timeout(Duration::from_secs(10), self.released.another.notified()).await;
            }
            pause(Duration::from_micros(random.below(40_000))).await;
            server.kill();
            for client in clients {
                client.await.unwrap();
            }
        });
    }

    /// Several clients that ask until the connection breaks, and note the fingerprint of each token they get.
    fn start(&self) -> Vec<JoinHandle<()>> {
        let secret = std::fs::read_to_string(self.data.join("clients/mail-app.secret")).unwrap();
        let url = format!("{}/token", issuer(self.banner));
        let start_one = |_| {
            let (client, released) = (self.client.clone(), Arc::clone(self.released));
            let (url, secret) = (url.clone(), secret.trim().to_owned());
            tokio::spawn(async move {
                while let Some(token) = ask(&client, &url, &secret).await {
                    released.fingerprints.lock().unwrap().push(fingerprint(&token));
                    released.another.notify_one();
                }
            })
        };
        (0..CLIENTS).map(start_one).collect()
    }
}

/// The contoso issuer, as the banner names it.
fn issuer(banner: &str) -> &str {
    banner
        .lines()
        .find_map(|line| line.trim().strip_suffix("  (contoso)"))
        .unwrap()
        .trim()
}

async fn ask(client: &reqwest::Client, url: &str, secret: &str) -> Option<String> {
    let request = client
        .post(url)
        .basic_auth("mail-app", Some(secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    let body = request.send().await.ok()?.text().await.ok()?;
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let token = answer
        .get("access_token")
        .unwrap_or_else(|| panic!("no token in {body}"));
    Some(token.as_str().unwrap().to_owned())
}

fn fingerprint(token: &str) -> [u8; 32] {
    let (signing_input, _) = token.rsplit_once('.').unwrap();
    digest(&SHA256, signing_input.as_bytes())
        .as_ref()
        .try_into()
        .unwrap()
}

/// Whatever the kills left must open, end well, pass the independent audit, and hold every released token.
fn compare(data: &Path, port: u16, released: &[[u8; 32]]) {
    let mut server = Server::spawn(data, port, &[]);
    server.wait_until_up();
    server.terminate();
    let ledger = data.join("ledger");
    let audit = countersign()
        .args(["ledger", "audit"])
        .arg(&ledger)
        .output()
        .unwrap();
    assert!(
        audit.status.success(),
        "audit: {}",
        String::from_utf8_lossy(&audit.stderr)
    );
    let recorded = recorded(&ledger);
    let lost = released
        .iter()
        .filter(|fingerprint| !recorded.contains(*fingerprint))
        .count();
    assert_eq!(
        lost,
        0,
        "{lost} of {} released tokens are not in the ledger",
        released.len()
    );
}

/// The fingerprints in the published entry bundles, read as an outsider would.
fn recorded(ledger: &Path) -> HashSet<[u8; 32]> {
    let checkpoint = std::fs::read_to_string(ledger.join("checkpoint")).unwrap();
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let mut found = HashSet::new();
    for bundle in 0..size.div_ceil(256) {
        let width = (size - bundle * 256).min(256);
        let partial = if width < 256 {
            format!(".p/{width}")
        } else {
            String::new()
        };
        let bytes = std::fs::read(ledger.join(format!("tile/entries/{bundle:03}{partial}"))).unwrap();
        let mut rest = bytes.as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            if let Entry::Issuance(issuance) = Entry::decode(entry).unwrap() {
                found.insert(issuance.fingerprint);
            }
            rest = after;
        }
    }
    found
}

/// Waits for time itself: the moment of the kill.
async fn pause(length: Duration) {
    let _ = tokio::time::timeout(length, pending::<()>()).await;
}

/// A small generator (xorshift64*): the moments of the kills need not be unguessable, only different.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }
}
