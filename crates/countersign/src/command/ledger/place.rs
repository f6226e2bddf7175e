//! Where a ledger is read from, and what makes its checkpoints believed.

use std::path::{Path, PathBuf};

use countersign_ledger::Verifier;
use countersign_ledger::audit::{DirectorySource, Source, SourceError};
use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::cosignature::Freshness;
use countersign_ledger::monitor::SourceTiles;
use countersign_ledger::note::{KeyKind, Note};
use countersign_ledger::policy::{Distrust, Log, Policy, Trusted};
use countersign_ledger::view::{ViewError, continues};
use serde_json::{Value, json};

use crate::cli::LedgerPlace;
use crate::clock;
use crate::config::read_text;
use crate::failure::{Exit, Failure};
use crate::tiles::HttpSource;

/// The newest checkpoint, and the newest that witnesses have cosigned.
const CHECKPOINT: &str = "checkpoint";
const WITNESSED: &str = "checkpoint.witnessed";

pub(super) struct Place {
    pub(super) source: Box<dyn Source + Sync>,
    /// Set for a directory: its journal can be compared too.
    pub(super) directory: Option<PathBuf>,
    /// The vkey of the ledger's own plain signature.
    pub(super) verifier_key: String,
    policy: Policy,
}

impl Place {
    /// A directory brings its own key; a URL must not: whoever serves a log could serve a key to match.
    pub(super) fn find(arguments: &LedgerPlace) -> Result<Self, Failure> {
        let (source, directory) = open(&arguments.place)?;
        let own_keys = match (&directory, &arguments.key, &arguments.policy) {
            (_, Some(file), _) => Some(key_policy(&read_text(file)?)?),
            (Some(directory), None, None) => Some(own_policy(directory)?),
            _ => None,
        };
        let policy = match &arguments.policy {
            Some(file) => read_policy(file)?,
            None => Policy::default(),
        };
        let policy = match own_keys {
            Some(own) if arguments.policy.is_none() => own,
            Some(own) => own
                .logs()
                .iter()
                .fold(policy, |policy, log| policy.with_log(log.verifier.clone())),
            None => policy,
        };
        if policy.logs().is_empty() {
            return Err(Failure::usage(
                "key_missing",
                "a ledger is checked against a key that you already hold",
            )
            .hint(
                "name the file with its vkey: --key ledger.vkey (the log's owner publishes it; so does its /key)",
            ));
        }
        let verifier_key = verifier_key(&policy, source.as_ref())?;
        Ok(Self {
            source,
            directory,
            verifier_key,
            policy,
        })
    }

    /// What makes checkpoints believed here.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn tiles(&self) -> SourceTiles<'_> {
        SourceTiles::new(self.source.as_ref())
    }

    /// The newest checkpoint as served, believed on the ledger's own key.
    pub(super) fn newest(&self) -> Result<(Vec<u8>, Trusted), Failure> {
        let note = read(self.source.as_ref(), CHECKPOINT)?;
        let trusted = self
            .policy
            .without_quorum()
            .check(&note)
            .map_err(|error| distrusted(&error))?;
        Ok((note, trusted))
    }

    /// The checkpoint to judge by: the newest or, while it waits for the policy's quorum, the one that witnesses have
    /// cosigned. Whether it is believed is not known yet.
    pub(super) fn candidate(&self) -> Result<Option<Vec<u8>>, SourceError> {
        let newest = self.source.read(CHECKPOINT)?;
        if let Some(note) = &newest
            && let Err(Distrust::QuorumUnmet { .. }) = self.policy.check(note)
            && let Some(witnessed) = self.source.read(WITNESSED)?
        {
            return Ok(Some(witnessed));
        }
        Ok(newest)
    }

    /// The newest checkpoint that the whole policy believes: witnesses come some seconds after publication.
    fn believed(&self) -> Result<Trusted, Failure> {
        let note = self.candidate().map_err(|error| unreadable(&error))?;
        let note =
            note.ok_or_else(|| Failure::unavailable("ledger_missing", "the ledger has no checkpoint"))?;
        self.policy.check(&note).map_err(|error| distrusted(&error))
    }

    /// The newest checkpoint that the ledger's witnesses have cosigned, if there is one that the policy believes.
    pub(super) fn witnessed(&self) -> Result<Option<(Vec<u8>, Trusted)>, Failure> {
        let Some(note) = self.source.read(WITNESSED).map_err(|error| unreadable(&error))? else {
            return Ok(None);
        };
        match self.policy.check(&note) {
            Ok(trusted) => Ok(Some((note, trusted))),
            Err(Distrust::QuorumUnmet { .. }) => Ok(None),
            Err(error) => Err(distrusted(&error)),
        }
    }

    /// That the policy's quorum believes the same history as the one that was audited. `None` without a quorum.
    pub(super) fn check_quorum(&self, audited: &Checkpoint) -> Result<Option<Trusted>, Failure> {
        if self.policy.quorum().is_none() {
            return Ok(None);
        }
        let trusted = self.believed()?;
        let (old, new) = if trusted.checkpoint.size <= audited.size {
            (&trusted.checkpoint, audited)
        } else {
            (audited, &trusted.checkpoint)
        };
        continues(old, new, &self.tiles()).map_err(|error| contradicted(&error))?;
        Ok(Some(trusted))
    }
}

/// The log's published files at a URL or in a directory.
fn open(place: &str) -> Result<(Box<dyn Source + Sync>, Option<PathBuf>), Failure> {
    if place.starts_with("http://") || place.starts_with("https://") {
        return Ok((Box::new(HttpSource::new(place)?), None));
    }
    let directory = PathBuf::from(place);
    if !directory.is_dir() {
        return Err(Failure::unavailable(
            "ledger_missing",
            format!("{} is no directory", directory.display()),
        )
        .hint("name the ledger's directory or URL, for example ./countersign-data/ledger"));
    }
    Ok((Box::new(DirectorySource::new(&directory)), Some(directory)))
}

/// Reads a trust policy, and says in which line it is wrong.
pub(super) fn read_policy(file: &Path) -> Result<Policy, Failure> {
    let bytes = std::fs::read(file).map_err(|error| {
        Failure::usage(
            "file_unreadable",
            format!("cannot read {}: {error}", file.display()),
        )
    })?;
    Policy::parse(&bytes).map_err(|error| {
        Failure::usage(error.code(), format!("{}: {error}", file.display())).maybe_hint(error.hint())
    })
}

/// The policy of one key alone.
pub(super) fn key_policy(vkey: &str) -> Result<Policy, Failure> {
    let verifier = Verifier::parse(vkey.trim());
    let verifier = verifier.map_err(|error| Failure::usage(error.code(), error).maybe_hint(error.hint()))?;
    Ok(Policy::of_log(verifier))
}

/// The policy that a ledger's directory gives by itself: its key, and the key of its freshness lines.
pub(super) fn own_policy(directory: &Path) -> Result<Policy, Failure> {
    let key = read_text(&directory.join("key.vkey"))?;
    let freshness = read_text(&directory.join("freshness.vkey")).ok();
    let witness = freshness.map_or(String::new(), |key| format!("witness freshness {}\n", key.trim()));
    let text = format!("log {}\n{witness}quorum none\n", key.trim());
    Policy::parse(text.as_bytes())
        .map_err(|error| Failure::usage(error.code(), error).maybe_hint(error.hint()))
}

/// The independent audit takes one plain Ed25519 key: that of the log which the checkpoint names.
fn verifier_key(policy: &Policy, source: &dyn Source) -> Result<String, Failure> {
    let plain = |log: &&Log| log.verifier.kind() == KeyKind::Ed25519;
    let mut several = policy.logs().iter().filter(plain);
    let origin = if let (Some(_), Some(_)) = (several.next(), several.next()) {
        Some(origin_of(&read(source, CHECKPOINT)?))
    } else {
        None
    };
    let mut logs = policy.logs().iter().filter(plain);
    let only = logs.find(|log| {
        origin
            .as_deref()
            .is_none_or(|origin| origin == log.verifier.name())
    });
    let log = only.ok_or_else(|| {
        Failure::usage(
            "policy_log_missing",
            "the policy lists no ed25519 key (0x01) of this log",
        )
        .hint("add a log line with the vkey that the log's owner publishes")
    })?;
    Ok(log.verifier.to_string())
}

/// The ledger that a checkpoint claims to be of.
fn origin_of(note: &[u8]) -> String {
    let note = Note::parse(note).ok();
    let checkpoint = note.and_then(|note| Checkpoint::parse(note.text()).ok());
    checkpoint.map(|checkpoint| checkpoint.origin).unwrap_or_default()
}

fn read(source: &dyn Source, path: &str) -> Result<Vec<u8>, Failure> {
    let missing = || Failure::unavailable("ledger_missing", format!("the ledger has no {path}"));
    source
        .read(path)
        .map_err(|error| unreadable(&error))?
        .ok_or_else(missing)
}

fn unreadable(error: &SourceError) -> Failure {
    Failure::unavailable("ledger_unreadable", error)
        .hint("check the address, or that you may read the directory")
}

pub(super) fn distrusted(error: &Distrust) -> Failure {
    Failure::new(Exit::Refused, error.code(), error).maybe_hint(error.hint())
}

fn contradicted(error: &ViewError) -> Failure {
    let exit = match error {
        ViewError::Unreadable(_) => Exit::CannotTell,
        _ => Exit::Refused,
    };
    Failure::new(exit, error.code(), error).maybe_hint(error.hint())
}

/// Who has signed, and how long ago, as JSON.
pub(super) fn signatures_document(trusted: &Trusted) -> Value {
    let cosignatures: Vec<Value> = trusted
        .cosignatures
        .iter()
        .map(|(name, time)| json!({"name": name.to_string(), "time": time}))
        .collect();
    json!({
        "size": trusted.checkpoint.size,
        "cosignatures": cosignatures,
        "age": trusted.freshness(clock::now()).map(Freshness::age),
    })
}

/// The same for people.
pub(super) fn signatures_text(trusted: &Trusted) -> Option<String> {
    let now = clock::now();
    let names: Vec<String> = trusted
        .cosignatures
        .iter()
        .map(|(name, time)| match time {
            Some(time) => format!("{name} {} s ago", now.saturating_sub(*time)),
            None => name.to_string(),
        })
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}
