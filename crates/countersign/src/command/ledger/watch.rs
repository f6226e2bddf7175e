//! `countersign ledger watch`: what a log records, from outside, as it grows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_ledger::audit::Source;
use countersign_ledger::cosignature::FreshnessError;
use countersign_ledger::monitor::{Monitor, MonitorError, StateFile};
use countersign_ledger::view::ViewError;
use countersign_ledger::{Entry, KeyName, issuer_id};
use serde_json::json;

use super::place::Place;
use super::told::{Filter, Match, Told, announced, key_index};
use crate::cli::Watch;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// The state is written after so many bundles (some 260,000 entries): what an interruption repeats at most.
const BUNDLES_BETWEEN_STATES: u32 = 1_024;
/// A cache may show an older checkpoint for a few seconds. One that is shown so often in a row is a rollback.
const OLDER_SHOWN_MAX: u32 = 3;

pub(super) fn run(arguments: &Watch, printer: Printer) -> Result<Exit, Failure> {
    let place = Place::find(&arguments.place)?;
    let state = match &arguments.state {
        Some(path) => Some(StateFile::new(path).map_err(|error| unwritable(path, &error))?),
        None => None,
    };
    let earlier = match &state {
        Some(state) => state.load().map_err(|error| {
            Failure::unavailable(
                "monitor_state_unreadable",
                format!("the state cannot be read: {error}"),
            )
        })?,
        None => None,
    };
    let policy = place.policy().clone();
    let mut monitor = match earlier {
        Some(bytes) => Monitor::resume(policy, &bytes).map_err(|error| failure(&error))?,
        None => Monitor::new(policy),
    };
    if let Some(from) = arguments.from {
        monitor.skip_to(from);
    }
    let watch = Watching {
        place,
        state,
        state_path: arguments.state.clone(),
        filter: filter(arguments)?,
        age_max: arguments.age_max,
        printer,
    };
    let mut older_shown = 0;
    loop {
        match watch.round(&mut monitor) {
            Ok(()) => older_shown = 0,
            Err(failure) if arguments.once => return Err(failure),
            Err(failure) if failure.code == "view_rolled_back" && older_shown + 1 < OLDER_SHOWN_MAX => {
                older_shown += 1;
                printer.failure(&failure);
            }
            Err(failure) if failure.exit == Exit::CannotTell => printer.failure(&failure),
            Err(failure) => return Err(failure),
        }
        if arguments.once {
            return Ok(Exit::Done);
        }
        let pause = Duration::from_secs(arguments.interval.max(1));
        #[expect(clippy::disallowed_methods, reason = "polling: time itself is the event")]
        crate::block_on(tokio::time::sleep(pause))?;
    }
}

fn filter(arguments: &Watch) -> Result<Filter, Failure> {
    let key = arguments.signing_key.as_deref().map(|text| {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| {
                Failure::usage(
                    "thumbprint_malformed",
                    "a key thumbprint is 43 characters of base64url (RFC 7638)",
                )
                .hint("`countersign key list` and the decision log show it")
            })
    });
    Ok(Filter {
        issuer: arguments.issuer.as_deref().map(issuer_id),
        key: key.transpose()?,
    })
}

/// One entry, verified as a monitor does.
pub(super) fn show(place: &Place, index: u64, printer: Printer) -> Result<Exit, Failure> {
    let source = place.source.as_ref();
    let (note, trusted) = place.newest()?;
    // The newest tree, whether or not its witnesses have come: the entry is the ledger's own word.
    let mut monitor = Monitor::new(place.policy().without_quorum());
    let look = monitor.look_at(&note, source).map(drop);
    look.map_err(|error| failure(&error))?;
    let found = monitor.entry(source, index).map_err(|error| failure(&error))?;
    let bytes = found.ok_or_else(|| {
        let size = trusted.checkpoint.size;
        Failure::usage(
            "entry_missing",
            format!("the ledger has {size} entries, the first is 0"),
        )
    })?;
    let key = Keys::default().name(&mut monitor, source, index, &bytes);
    let told = Told {
        index,
        bytes: &bytes,
        key,
    };
    if printer.json() {
        printer.document(&told.document());
    } else {
        printer.line(&told.text());
    }
    Ok(Exit::Done)
}

struct Watching {
    place: Place,
    state: Option<StateFile>,
    state_path: Option<PathBuf>,
    filter: Filter,
    age_max: Option<u64>,
    printer: Printer,
}

impl Watching {
    /// One look at the log and everything that is new in it.
    fn round(&self, monitor: &mut Monitor) -> Result<(), Failure> {
        let source = self.place.source.as_ref();
        let note = self
            .place
            .candidate()
            .map_err(|error| failure(&error.into()))?
            .ok_or_else(|| {
                failure(&MonitorError::Missing {
                    path: "checkpoint".to_owned(),
                })
            })?;
        self.look(monitor, &note)?;
        let mut shown = 0u64;
        let mut unreadable = 0u64;
        let mut bundles = 0;
        let mut keys = Keys::default();
        loop {
            let mut entries = Vec::new();
            let stepped = monitor.step(source, &mut |index, entry| entries.push((index, entry.to_vec())));
            let more = stepped.map_err(|error| failure(&error))?;
            for (index, bytes) in &entries {
                let key = keys.name(monitor, source, *index, bytes);
                match self.filter.look(bytes, key) {
                    Match::No => continue,
                    Match::Unreadable if !self.filter.is_open() => {
                        unreadable += 1;
                        continue;
                    }
                    Match::Yes | Match::Unreadable => {}
                }
                shown += 1;
                let index = *index;
                self.show(&Told { index, bytes, key });
            }
            bundles += 1;
            if !more || bundles % BUNDLES_BETWEEN_STATES == 0 {
                self.remember(monitor)?;
            }
            if !more {
                break;
            }
        }
        self.tell_head(monitor, shown, unreadable);
        self.check_age(monitor)
    }

    fn show(&self, told: &Told<'_>) {
        if self.printer.json() {
            self.printer.document(&told.document());
        } else {
            self.printer.line(&told.text());
        }
    }

    fn look(&self, monitor: &mut Monitor, note: &[u8]) -> Result<(), Failure> {
        let before = monitor.seen().map(|seen| seen.note.clone());
        let Err(error) = monitor.look_at(note, self.place.source.as_ref()) else {
            return Ok(());
        };
        if let (Some(before), Some(path)) = (before, &self.state_path)
            && let MonitorError::View(
                ViewError::Forked { .. } | ViewError::NotContinued { .. } | ViewError::RolledBack { .. },
            ) = &error
        {
            self.keep_evidence(path, &before, note);
        }
        Err(failure(&error))
    }

    /// Two signed checkpoints that contradict each other, for whoever has to be convinced.
    fn keep_evidence(&self, state: &Path, before: &[u8], now: &[u8]) {
        let path = state.with_added_extension("evidence");
        let both = [before, b"\n", now].concat();
        match StateFile::new(&path).and_then(|file| file.store(&both)) {
            Ok(()) => self
                .printer
                .note(&format!("both checkpoints are kept in {}", path.display())),
            Err(error) => self
                .printer
                .note(&format!("the evidence could not be kept: {error}")),
        }
    }

    fn remember(&self, monitor: &Monitor) -> Result<(), Failure> {
        let (Some(file), Some(path), Some(state)) = (&self.state, &self.state_path, monitor.state()) else {
            return Ok(());
        };
        file.store(&state).map_err(|error| unwritable(path, &error))
    }

    fn tell_head(&self, monitor: &Monitor, shown: u64, unreadable: u64) {
        let Some(seen) = monitor.seen() else {
            return;
        };
        let checkpoint = seen.checkpoint();
        if self.printer.json() {
            self.printer.document(&json!({
                "head": checkpoint.size,
                "origin": checkpoint.origin,
                "root": hex::encode(checkpoint.root),
                "signed_at": seen.trusted.freshness(0).map(|freshness| freshness.time),
                "shown": shown,
                "unreadable": unreadable,
            }));
            return;
        }
        let unread = match unreadable {
            0 => String::new(),
            count => format!(", {count} that could not be read and may be about anybody"),
        };
        self.printer.note(&format!(
            "{} of {}: {shown} new entries shown{unread}",
            checkpoint.size, checkpoint.origin
        ));
    }

    /// A ledger that signs no more is told from one to which nothing happens.
    fn check_age(&self, monitor: &Monitor) -> Result<(), Failure> {
        let (Some(age_max), Some(seen)) = (self.age_max, monitor.seen()) else {
            return Ok(());
        };
        let checked = match seen.trusted.freshness(clock::now()) {
            Some(freshness) => freshness.check(age_max),
            None => Err(FreshnessError::NoTime),
        };
        checked
            .map(|_| ())
            .map_err(|error| Failure::new(Exit::Refused, error.code(), error).maybe_hint(error.hint()))
    }
}

/// The keys that entries name by the index of their announcement.
#[derive(Default)]
struct Keys(BTreeMap<u64, KeyName>);

impl Keys {
    /// The key that an entry names: from the announcements that came by, else fetched and verified. `None` when it
    /// names none, or what it names cannot be had.
    fn name(
        &mut self,
        monitor: &mut Monitor,
        source: &dyn Source,
        index: u64,
        bytes: &[u8],
    ) -> Option<KeyName> {
        let entry = Entry::decode(bytes).ok()?;
        if let Some(name) = announced(&entry) {
            self.0.insert(index, name);
        }
        let wanted = key_index(&entry)?;
        if let Some(known) = self.0.get(&wanted) {
            return Some(*known);
        }
        let announcement = monitor.entry(source, wanted).ok()??;
        let name = announced(&Entry::decode(&announcement).ok()?)?;
        self.0.insert(wanted, name);
        Some(name)
    }
}

/// Not being able to look is no finding.
fn failure(error: &MonitorError) -> Failure {
    let exit = match error {
        MonitorError::StateMalformed | MonitorError::StateDistrusted(_) => Exit::Usage,
        error if error.is_finding() => Exit::Refused,
        _ => Exit::CannotTell,
    };
    Failure::new(exit, error.code(), error).maybe_hint(error.hint())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let text = format!("cannot write {}: {error}", path.display());
    // Never passed over: without its state the monitor would forget what it has seen.
    Failure::new(Exit::Fault, "monitor_state_unwritable", text)
        .hint("name a file in a directory that you may write")
}
