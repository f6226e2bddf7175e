//! The real binary among real faults: stopped and continued, a system call failing, a disk that is full.
//!
//! After each of them the server starts again on what is left, and an outsider looks: our audit, Tessera's fsck, and every
//! token that a client was given must be in the log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::foreign::{Log, Tools, Verdict, countersign, fresh_folder, issuer};
use crate::install;
use crate::process::{Server, cargo, command, free_port, limited, wait_for, write};
use crate::run::{Log as StepLog, Run};

/// A system call, the error that it is made to return, and how else it may be called.
const CALLS: &[(&str, &str)] = &[
    ("write", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("rename", "EIO"),
    ("renameat2", "EIO"),
    ("linkat", "EIO"),
    ("ftruncate", "ENOSPC"),
];
/// Of each call at most so many are made to fail, spread over the run.
const EACH_MAX: usize = 12;
/// Tokens asked for in a run.
const TOKENS: u32 = 60;
const CALLERS: u32 = 4;
/// How long a disk may take to be filled while a server uses it.
const FILL_MAX: Duration = Duration::from_secs(10);

pub(crate) fn run(run: &mut Run) {
    let mut tools = None;
    run.step("faults: strace and the outsider's tools are there", |log| {
        install::programs(&["strace"], log)?;
        tools = Some(Tools::build(log)?);
        Ok(String::new())
    });
    let Some(tools) = tools else { return };
    let mut build = cargo(1500);
    build.args(["build", "--locked", "--release", "-p", "countersign"]);
    if run.command("faults: countersign builds", build) {
        run.step("faults: stopped and continued", |log| stopped(&tools, log));
        run.step("faults: system calls that fail", |log| failing_calls(&tools, log));
        run.step("faults: a full disk", |log| full_disk(&tools, log));
    }
}

/// One data directory, and the tokens that clients hold.
struct Scene<'a> {
    tools: &'a Tools,
    folder: PathBuf,
    data: PathBuf,
    port: u16,
}

impl<'a> Scene<'a> {
    fn new(tools: &'a Tools, name: &str) -> Result<Self> {
        let folder = fresh_folder(name)?;
        let data = folder.join("data");
        let released = folder.join("released");
        write(&released, "")?;
        let port = free_port()?;
        Ok(Self {
            tools,
            folder,
            data,
            port,
        })
    }

    fn released(&self) -> PathBuf {
        self.folder.join("released")
    }

    /// The server, perhaps as the child of another program.
    fn serve(&self, before: &[String]) -> Result<Server> {
        let program = countersign().get_program().to_string_lossy().into_owned();
        let words: Vec<String> = before.iter().cloned().chain([program]).collect();
        let (first, rest) = words.split_first().context("no program")?;
        let mut serve = command(first);
        serve
            .args(rest)
            .args(["--json", "serve", "--data"])
            .arg(&self.data);
        serve.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        Server::start("countersign", serve, &self.folder)
    }

    /// Clients that ask for tokens, and note those they get. Whoever gets none stops.
    fn load(&self, server: &mut Server, count: u32, callers: u32) -> Result<Command> {
        let mut load = self.tools.foreign(120, "load");
        load.args(["-may-fail", "-client", "mail-app", "-count", &count.to_string()]);
        load.args(["-callers", &callers.to_string(), "-token-endpoint"]);
        load.arg(format!("{}/token", issuer(server, &self.folder)?));
        load.arg("-secret-file")
            .arg(self.data.join("clients/mail-app.secret"));
        load.arg("-fingerprints").arg(self.released());
        Ok(load)
    }

    /// A whole run: start, tokens, stop. Any of it may fail.
    fn attempt(&self, before: &[String]) -> Result<()> {
        let mut server = self.serve(before)?;
        if server.wait_for_port(self.port).is_ok() {
            // It may have ended before it could say who it is.
            if let Ok(mut load) = self.load(&mut server, TOKENS, CALLERS) {
                load.output().context("cannot run the load")?;
            }
        }
        drop(server);
        Ok(())
    }

    /// Starts on what is left, ends well, and shows the log to outsiders. How many tokens were released.
    fn judge(&self, fault: &str, log: &StepLog) -> Result<usize> {
        let mut server = self.serve(&[])?;
        server
            .wait_for_port(self.port)
            .with_context(|| format!("after {fault}"))?;
        // Listening comes before the handler of the signal that ends it.
        issuer(&mut server, &self.folder)?;
        server.end().with_context(|| format!("after {fault}"))?;
        let ledger = Log::in_folder(&self.data.join("ledger"));
        for (name, verdict) in [
            ("our audit", self.tools.audit(&ledger, &[])?),
            ("fsck", self.tools.fsck(&ledger)?),
        ] {
            ensure!(verdict == Verdict::Passes, "{fault}: {name} says {verdict:?}");
        }
        let mut recorded = self.tools.foreign(60, "recorded");
        recorded.arg("-log").arg(&ledger.at).arg("-key").arg(&ledger.key);
        let output = recorded.arg("-fingerprints").arg(self.released()).output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{fault}: {}", words.trim());
        let released = std::fs::read_to_string(self.released())?.lines().count();
        log.line(&format!("{fault}: {released} tokens released, all recorded"))?;
        Ok(released)
    }
}

/// Stopped in the middle of its work, for longer than anything waits; nobody else gets in meanwhile.
fn stopped(tools: &Tools, log: &StepLog) -> Result<String> {
    let scene = Scene::new(tools, "stopped")?;
    let mut server = scene.serve(&[])?;
    server.wait_for_port(scene.port)?;
    let id = server.id().to_string();
    let signal = |name: &str| log.run(command("kill").args([name, &id]));
    for _ in 0..3 {
        let mut load = scene.load(&mut server, 600, 16)?;
        let load = load
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run the load")?;
        let before = count_lines(&scene.released());
        let some = || (count_lines(&scene.released()) > before + 40).then_some(());
        wait_for(Duration::from_secs(30), some).context("no token is released")?;
        signal("-STOP")?;
        let mut second = scene.serve_elsewhere()?;
        let ended = wait_for(Duration::from_secs(30), || (!second.is_running()).then_some(()));
        let up = std::fs::read_to_string(scene.folder.join("second.out")).unwrap_or_default();
        let refused = ended.is_some() && !up.contains("issuers");
        signal("-CONT")?;
        ensure!(refused, "a second server got in while the first was stopped");
        drop(second);
        let done = load.wait_with_output().context("the load was lost")?;
        ensure!(done.status.success(), "the load failed");
    }
    server.end()?;
    let released = scene.judge("stopped and continued", log)?;
    ensure!(released >= 3 * 600, "only {released} tokens were released");
    Ok(format!("3 times, {released} tokens, 0 lost"))
}

impl Scene<'_> {
    /// A second server on the same data.
    fn serve_elsewhere(&self) -> Result<Server> {
        let mut serve = countersign();
        serve.args(["--json", "serve", "--data"]).arg(&self.data);
        serve.args(["--listen", &format!("127.0.0.1:{}", self.port + 1)]);
        Server::start("second", serve, &self.folder)
    }
}

fn count_lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// Each call of a start-append-publish run on a fresh directory fails once; of frequent ones, some.
fn failing_calls(tools: &Tools, log: &StepLog) -> Result<String> {
    let calls: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
    // Every scene has the same folder, so that paths are the same.
    let counting = Scene::new(tools, "strace")?;
    let trace = counting.folder.join("trace");
    counting.attempt(&strace(&trace, &format!("trace={}", calls.join(",")), &[]))?;
    let text = std::fs::read_to_string(&trace).context("strace wrote nothing")?;
    let data = counting.data.display().to_string();
    let counts = calls_of_a_thread(&text, &data);
    log.line(&format!("calls of one thread: {counts:?}"))?;
    // Sockets and wake-ups are written to as well: those are no disk.
    let files = files_written(&text, &data);
    let (mut faults, mut all, mut tokens) = (0, 0, 0);
    for (call, error) in CALLS {
        let count = counts.get(*call).copied().unwrap_or_default();
        all += count;
        for number in (1..=count).step_by(count.div_ceil(EACH_MAX).max(1)) {
            let fault = format!("{call} number {number}: {error}");
            let scene = Scene::new(tools, "strace")?;
            let inject = format!("inject={call}:error={error}:when={number}");
            let mut more = vec!["-e".to_owned(), inject];
            if *call == "write" {
                more.extend(files.iter().flat_map(|file| ["-P".to_owned(), file.clone()]));
            }
            let started = Instant::now();
            scene.attempt(&strace(&trace, &format!("trace={call}"), &more))?;
            tokens += scene.judge(&fault, log)?;
            log.line(&format!("{:.1} s", started.elapsed().as_secs_f64()))?;
            faults += 1;
        }
    }
    ensure!(faults > 2 * EACH_MAX, "only {faults} faults");
    ensure!(tokens > 0, "no token was ever released: the test tested nothing");
    Ok(format!("{faults} of {all} calls failed, {tokens} tokens, 0 lost"))
}

/// The files below a folder that `write` was called on, as strace shows them.
fn files_written(trace: &str, folder: &str) -> BTreeSet<String> {
    let calls = trace.lines().filter(|line| line.contains(" write("));
    let paths = calls.filter_map(|line| Some(line.split_once('<')?.1.split_once('>')?.0));
    paths
        .filter(|path| path.starts_with(folder))
        .map(str::to_owned)
        .collect()
}

/// strace that is a grandchild, so that signals reach the program, and shows paths.
fn strace(output: &Path, trace: &str, more: &[String]) -> Vec<String> {
    let mut words: Vec<String> = ["strace", "-D", "-f", "-y", "-qq", "-o"]
        .map(str::to_owned)
        .to_vec();
    words.push(output.display().to_string());
    words.extend(["-e".to_owned(), trace.to_owned()]);
    words.extend_from_slice(more);
    words
}

/// How often the busiest thread made each call on something in the folder: strace counts for each thread.
fn calls_of_a_thread(trace: &str, folder: &str) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in trace.lines().filter(|line| line.contains(folder)) {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(rest)) = (words.next(), words.next()) else {
            continue;
        };
        if let Some((call, _)) = rest.split_once('(') {
            *counts.entry((thread, call)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in counts {
        let busiest: &mut usize = most.entry(call.to_owned()).or_default();
        *busiest = count.max(*busiest);
    }
    most
}

/// A disk without room, at the first start and under load. Needs to mount, so it needs root.
fn full_disk(tools: &Tools, log: &StepLog) -> Result<String> {
    const BYTES: u64 = 96 << 20;
    let scene = Scene::new(tools, "full")?;
    std::fs::create_dir_all(&scene.data).context("cannot create the data directory")?;
    let _mounted = Mounted::tmpfs(&scene.data, BYTES)?;
    let mut tokens = 0;
    // From "nothing can be created" to "the tiles have no room".
    for room in [4 << 10, 64 << 10, 1 << 20, 12 << 20, 20 << 20, 40 << 20] {
        let ballast = Ballast::leave(&scene.data, room)?;
        scene.attempt(&[])?;
        // Still full: it may refuse to start, and must not spoil anything.
        scene.attempt(&[])?;
        drop(ballast);
        tokens = scene.judge(&format!("{room} bytes left"), log)?;
    }
    // Full while it runs.
    let mut server = scene.serve(&[])?;
    server.wait_for_port(scene.port)?;
    let ballast = Ballast::leave(&scene.data, 8 << 10)?;
    scene
        .load(&mut server, 3_000, 16)?
        .output()
        .context("cannot run the load")?;
    drop(server);
    drop(ballast);
    let at_last = scene.judge("filled while it ran", log)?;
    ensure!(at_last > 0, "no token was ever released: the test tested nothing");
    Ok(format!(
        "{tokens} tokens between full and empty, {} when it filled up, 0 lost",
        at_last - tokens
    ))
}

/// A memory file system; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, bytes: u64) -> Result<Self> {
        let mut mount = limited(30, "mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]);
        let output = mount.arg(at).output().context("cannot run mount")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "this machine does not let us mount a file system to fill (it needs root and CAP_SYS_ADMIN): {}",
            words.trim()
        );
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = limited(30, "umount").arg(&self.0).status();
    }
}

/// A file that takes the room.
struct Ballast(PathBuf);

impl Ballast {
    /// Leaves so many bytes of the file system at this path. A server that runs there may take room meanwhile: what is
    /// there is looked at again then.
    fn leave(at: &Path, bytes: u64) -> Result<Self> {
        let path = at.join("ballast");
        let fill = || Self::fill(at, &path, bytes).ok().filter(|filled| *filled);
        wait_for(FILL_MAX, fill).with_context(|| format!("cannot fill {}", at.display()))?;
        Ok(Self(path))
    }

    fn fill(at: &Path, path: &Path, bytes: u64) -> Result<bool> {
        let output = command("df")
            .args(["--output=avail", "-B1"])
            .arg(at)
            .output()
            .context("cannot run df")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let available: u64 = text
            .lines()
            .nth(1)
            .and_then(|line| line.trim().parse().ok())
            .context("df says nothing")?;
        let size = available.saturating_sub(bytes);
        let mut allocate = command("fallocate");
        allocate.args(["-l", &size.max(1).to_string()]).arg(path);
        let filled = allocate.status()?.success();
        if !filled {
            // It may have taken a part.
            let _ = std::fs::remove_file(path);
        }
        Ok(filled)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_thread_counts() {
        let trace = "10 fsync(3</d/a>) = 0\n11 fsync(4</d/a>) = 0\n11 fsync(4</d/b> <unfinished ...>\n\
                     11 <... fsync resumed>) = 0\n11 fsync(4</e>) = 0\n10 rename(\"/d/a\", \"/d/b\") = 0\n\
                     10 write(1</dev/null>, \"/d/\", 3) = 3\n10 write(5</d/c.tmp>, \"x\", 1) = 1\n";
        let counts = calls_of_a_thread(trace, "/d/");
        assert_eq!(
            files_written(trace, "/d/"),
            BTreeSet::from(["/d/c.tmp".to_owned()])
        );
        assert_eq!(counts.get("fsync"), Some(&2));
        assert_eq!(counts.get("rename"), Some(&1));
    }
}
