//! Trust policies (C2SP tlog-policy): which ledgers, which witnesses, and how many of them a checkpoint needs.
//!
//! A policy is a verifier's trust file. It says of a signed checkpoint whether to believe it: signed by a ledger that
//! the policy lists under the checkpoint's origin, and cosigned by witnesses as its quorum asks.
//!
//! ```
//! use countersign_ledger::policy::Policy;
//! let text = "log example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\nquorum none\n";
//! let policy = Policy::parse(text.as_bytes())?;
//! assert!(policy.check(b"not a checkpoint").is_err());
//! # Ok::<(), countersign_ledger::policy::PolicyError>(())
//! ```

mod parse;

use std::fmt;

pub use parse::{PolicyError, PolicyFault};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::cosignature::Freshness;
use crate::note::{Note, NoteError, Verifier};

/// A name in a policy file: any bytes but white space and control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Vec<u8>);

impl Name {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Which checkpoints to believe. The default is a policy without logs, which believes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    /// In the order of their definition: a group refers to what stands before it.
    parties: Vec<Party>,
    quorum: Quorum,
}

/// Who must have witnessed a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quorum {
    /// `quorum none`.
    #[default]
    Nobody,
    /// The party of this index.
    Party(usize),
}

/// A ledger whose checkpoints are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its key. The key's name is the ledger's origin.
    pub verifier: Verifier,
    /// Where it is served; the bytes of the policy file.
    url: Option<Vec<u8>>,
}

impl Log {
    /// Where it is served, if the policy says so in UTF-8.
    pub fn url(&self) -> Option<&str> {
        std::str::from_utf8(self.url.as_deref()?).ok()
    }
}

/// A witness or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Party {
    Witness(Witness),
    Group {
        name: Name,
        threshold: usize,
        members: Vec<usize>,
    },
}

/// Somebody whose cosignatures count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its name in this policy.
    pub name: Name,
    /// Its key, of a cosignature type.
    pub verifier: Verifier,
    url: Option<Vec<u8>>,
}

impl Witness {
    /// Its submission prefix, if the policy says so in UTF-8.
    pub fn url(&self) -> Option<&str> {
        std::str::from_utf8(self.url.as_deref()?).ok()
    }
}

impl Party {
    fn name(&self) -> &Name {
        match self {
            Self::Witness(witness) => &witness.name,
            Self::Group { name, .. } => name,
        }
    }
}

/// A checkpoint that a policy believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The latest time in the signatures of the ledger's own keys, for those that state one.
    pub log_time: Option<u64>,
    /// The witnesses whose cosignatures it carries, with their times.
    pub cosignatures: Vec<(Name, Option<u64>)>,
}

impl Trusted {
    /// When it was last said to be the newest, by anybody whom the policy knows. `None` if nobody states a time.
    pub fn freshness(&self, now: u64) -> Option<Freshness> {
        let witnessed = self.cosignatures.iter().filter_map(|(_, time)| *time).max();
        let time = witnessed.max(self.log_time)?;
        Some(Freshness { time, now })
    }
}

impl Policy {
    /// The policy that believes one ledger by its key alone.
    pub fn of_log(verifier: Verifier) -> Self {
        let log = Log { verifier, url: None };
        Self {
            logs: vec![log],
            parties: Vec::new(),
            quorum: Quorum::Nobody,
        }
    }

    /// Reads a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        parse::parse(bytes)
    }

    /// The policy file: logs first, then the parties as they were defined.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = |items: &[&[u8]]| {
            out.extend(items.join(&b' '));
            out.push(b'\n');
        };
        for log in &self.logs {
            let key = log.verifier.to_string();
            let items = [b"log".as_slice(), key.as_bytes()];
            line(&[&items[..], url_item(log.url.as_ref()).as_slice()].concat());
        }
        for party in &self.parties {
            match party {
                Party::Witness(witness) => {
                    let key = witness.verifier.to_string();
                    let items = [b"witness".as_slice(), &witness.name.0, key.as_bytes()];
                    line(&[&items[..], url_item(witness.url.as_ref()).as_slice()].concat());
                }
                Party::Group {
                    name,
                    threshold,
                    members,
                } => {
                    let threshold = threshold.to_string();
                    let mut items = vec![b"group".as_slice(), &name.0, threshold.as_bytes()];
                    let members = members.iter().filter_map(|member| self.parties.get(*member));
                    items.extend(members.map(|member| member.name().as_bytes()));
                    line(&items);
                }
            }
        }
        line(&[b"quorum", self.quorum().map_or(b"none", Name::as_bytes)]);
        out
    }

    /// The ledgers.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The witnesses.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness(witness) => Some(witness),
            Party::Group { .. } => None,
        })
    }

    /// The name that the quorum line gives; `None` for `none`.
    pub fn quorum(&self) -> Option<&Name> {
        match self.quorum {
            Quorum::Nobody => None,
            Quorum::Party(index) => self.parties.get(index).map(Party::name),
        }
    }

    /// The same policy that also believes a ledger known from elsewhere, as a policy without `log` lines needs.
    #[must_use]
    pub fn with_log(mut self, verifier: Verifier) -> Self {
        let known = self.logs.iter().any(|log| log.verifier == verifier);
        if !known {
            self.logs.push(Log { verifier, url: None });
        }
        self
    }

    /// The same policy, content with the ledger's own signature; cosignatures that are there must still verify.
    #[must_use]
    pub fn without_quorum(&self) -> Self {
        Self {
            quorum: Quorum::Nobody,
            ..self.clone()
        }
    }

    /// The policy's ledgers without its witnesses: what a witness itself goes by.
    #[must_use]
    pub fn logs_alone(&self) -> Self {
        Self {
            logs: self.logs.clone(),
            parties: Vec::new(),
            quorum: Quorum::Nobody,
        }
    }

    /// Whether a signed checkpoint is to be believed.
    ///
    /// A line by a key of the policy that does not verify spoils the checkpoint, whatever else it carries.
    pub fn check(&self, note: &[u8]) -> Result<Trusted, Distrust> {
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        let mut log_time = None;
        let mut known = false;
        let mut signed = false;
        for log in self.logs_of(&checkpoint.origin) {
            known = true;
            if let Some(found) = note.verify(&log.verifier)? {
                signed = true;
                log_time = log_time.max(found.time);
            }
        }
        if !known {
            return Err(Distrust::OriginUnknown {
                origin: checkpoint.origin,
            });
        }
        if !signed {
            return Err(Distrust::Note(NoteError::NotSigned));
        }
        let mut cosignatures = Vec::new();
        for witness in self.witnesses() {
            if let Some(found) = note.verify(&witness.verifier)? {
                cosignatures.push((witness.name.clone(), found.time));
            }
        }
        let trusted = Trusted {
            checkpoint,
            log_time,
            cosignatures,
        };
        self.check_quorum(&trusted).map(|()| trusted)
    }

    /// The ledgers listed under an origin; several while a key is being replaced.
    pub fn logs_of<'a>(&'a self, origin: &'a str) -> impl Iterator<Item = &'a Log> {
        self.logs.iter().filter(move |log| log.verifier.name() == origin)
    }

    fn check_quorum(&self, trusted: &Trusted) -> Result<(), Distrust> {
        let Quorum::Party(quorum) = self.quorum else {
            return Ok(());
        };
        let mut met: Vec<bool> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            met.push(match party {
                Party::Witness(witness) => trusted.cosignatures.iter().any(|(name, _)| *name == witness.name),
                Party::Group {
                    threshold, members, ..
                } => {
                    let count = members.iter().filter(|member| met.get(**member) == Some(&true));
                    count.count() >= *threshold
                }
            });
        }
        if met.get(quorum) == Some(&true) {
            return Ok(());
        }
        Err(Distrust::QuorumUnmet {
            quorum: self.quorum().map(Name::to_string).unwrap_or_default(),
            cosigned: trusted.cosignatures.len(),
        })
    }
}

fn url_item(url: Option<&Vec<u8>>) -> Vec<&[u8]> {
    url.map(Vec::as_slice).into_iter().collect()
}

/// Why a checkpoint is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// The note around it: not signed by the ledger's key, or a known key's line does not verify.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No ledger of this name in the policy.
    #[error("the policy lists no log with the checkpoint's origin")]
    OriginUnknown {
        /// The origin that the checkpoint names; whoever made it chose this text.
        origin: String,
    },
    /// Too few witnesses.
    #[error("the checkpoint's {cosigned} known cosignatures do not make up the quorum {quorum}")]
    QuorumUnmet {
        /// Name of the quorum.
        quorum: String,
        /// How many witnesses of the policy have cosigned.
        cosigned: usize,
    },
}

impl Distrust {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::OriginUnknown { .. } => "policy_origin_unknown",
            Self::QuorumUnmet { .. } => "policy_quorum_unmet",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Note(error) => error.hint(),
            Self::Checkpoint(error) => error.hint(),
            Self::OriginUnknown { .. } => Some("add a log line with this ledger's vkey, if you trust it"),
            Self::QuorumUnmet { .. } => {
                Some("witnesses follow within seconds: take the checkpoint that they have cosigned")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosignature::Cosigner;
    use crate::note::{NoteSigner, assemble};

    const ORIGIN: &str = "log.example/1";

    fn log() -> NoteSigner {
        NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap()
    }

    fn witness(number: u8) -> Cosigner {
        let name = format!("w{number}.example");
        if number.is_multiple_of(2) {
            Cosigner::ml_dsa_44(&name, &[number; 32]).unwrap()
        } else {
            Cosigner::ed25519(&name, &[number; 32]).unwrap()
        }
    }

    /// Two of three X, any of two Y, and both groups.
    fn policy() -> Policy {
        let mut text = format!("log {}\n", log().verifier_key());
        for number in 10u8..15 {
            let name = if number < 13 { "X" } else { "Y" };
            text += &["witness ", name, &number.to_string(), " "].concat();
            text += &[&witness(number).verifier().to_string(), "\n"].concat();
        }
        text += "group X 2 X10 X11 X12\ngroup Y any Y13 Y14\ngroup both all X Y\nquorum both\n";
        Policy::parse(text.as_bytes()).unwrap()
    }

    fn note(witnesses: &[u8]) -> Vec<u8> {
        let text = Checkpoint {
            origin: ORIGIN.into(),
            size: 3,
            root: [3; 32],
        }
        .encode();
        let mut lines = vec![log().line(&text)];
        for number in witnesses {
            lines.push(witness(*number).cosign(&text, 100 + u64::from(*number)).unwrap());
        }
        assemble(&text, lines.iter().map(String::as_str))
    }

    #[test]
    fn the_quorum_decides() {
        let policy = policy();
        for (witnesses, met) in [
            (&[][..], false),
            (&[10, 11], false),
            (&[10, 13], false),
            (&[13, 14], false),
            (&[10, 10, 13], false),
            (&[10, 11, 13], true),
            (&[11, 12, 14], true),
            (&[10, 11, 12, 13, 14], true),
            (&[10, 11, 99], false),
        ] {
            let result = policy.check(&note(witnesses));
            assert_eq!(result.is_ok(), met, "{witnesses:?}: {result:?}");
        }
        let trusted = policy.check(&note(&[10, 11, 13])).unwrap();
        assert_eq!(trusted.checkpoint.size, 3);
        assert_eq!(trusted.freshness(200), Some(Freshness { time: 113, now: 200 }));
    }

    #[test]
    fn a_quorum_of_none_asks_for_the_ledger_alone() {
        let policy = Policy::of_log(log().verifier().clone());
        let trusted = policy.check(&note(&[])).unwrap();
        assert_eq!(trusted.freshness(200), None);
        let stranger = NoteSigner::from_seed(ORIGIN, &[2; 32]).unwrap();
        let policy = Policy::of_log(stranger.verifier().clone());
        assert_eq!(policy.check(&note(&[])).unwrap_err().code(), "note_not_signed");
        let policy = policy.with_log(log().verifier().clone());
        assert!(policy.check(&note(&[])).is_ok());
    }

    #[test]
    fn another_origin_and_a_spoiled_line_are_not_believed() {
        let policy = policy();
        let text = "other.example\n3\nAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n";
        let other = assemble(text, [log().line(text).as_str()]);
        assert_eq!(policy.check(&other).unwrap_err().code(), "policy_origin_unknown");

        let good = String::from_utf8(note(&[10, 11, 13])).unwrap();
        assert!(policy.check(good.as_bytes()).is_ok());
        let text = Note::parse(good.as_bytes()).unwrap().text().to_owned();
        let other_text = text.replace("\n3\n", "\n4\n");
        for number in [14, 12] {
            // A line of a fifth witness that is not needed for the quorum, made for another text.
            let line = witness(number).cosign(&other_text, 5).unwrap();
            let spoiled = match number {
                12 => format!("{good}{line}\n").replace("\n3\n", "\n4\n"),
                _ => format!("{good}{line}\n"),
            };
            assert_eq!(
                policy.check(spoiled.as_bytes()).unwrap_err().code(),
                "note_signature_invalid"
            );
        }
    }

    #[test]
    fn a_policy_reads_what_it_writes() {
        let policy = policy();
        assert_eq!(Policy::parse(&policy.encode()), Ok(policy));
    }
}
