//! What an audit leaves behind, so that the next one can go on from there and not be fooled by an older or another log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::content::Content;
use super::journal::Position;
use super::tree::Hash;
use super::walk::Seen;
use crate::tree::sha256;

const FIRST_LINE: &str = "countersign-audit-state v1";

/// Where an audit stands: the signed checkpoint it has seen, and the right edge of the tree so far.
///
/// It is believed only as far as it proves itself: whoever goes on from it arrives at the signed root only if every
/// hash in it is right. What it says of keys and counts is taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(super) verifier_key: String,
    pub(super) opaque: bool,
    /// Notes as they were signed: the newest, and those before it whose size the audit has not come to yet.
    pub(super) checkpoints: Vec<Vec<u8>>,
    pub(super) seen: Seen,
}

impl State {
    /// Entries that need not be read again.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.seen.entries
    }

    /// As text, for a file: lines of words, the checkpoint in base64, the SHA-256 of all that last.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\nkey {}\nopaque {}\nseen {} {} {}\n",
            self.verifier_key, self.opaque, self.seen.entries, self.seen.bundles, self.seen.tiles,
        );
        for note in &self.checkpoints {
            text.extend(["checkpoint ", &STANDARD.encode(note), "\n"]);
        }
        for row in &self.seen.rows {
            text.extend(["row ", &STANDARD.encode(row.concat()), "\n"]);
        }
        if let Some(at) = &self.seen.journal {
            let previous = hex::encode(at.previous);
            let numbers = [at.offset, at.number, at.index, at.taken, at.segments].map(|it| it.to_string());
            text.extend([
                "journal ",
                &at.segment,
                " ",
                &previous,
                " ",
                &numbers.join(" "),
                "\n",
            ]);
        }
        self.seen.content.write(&mut text);
        let check = hex::encode(sha256(text.as_bytes()));
        text.extend(["sha256 ", &check, "\n"]);
        text
    }

    /// Reads it back; `None` when a byte of it changed, or another version wrote it.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let (body, check) = text.strip_suffix('\n')?.rsplit_once("\nsha256 ")?;
        let body = text.get(..body.len().checked_add(1)?)?;
        if hex::encode(sha256(body.as_bytes())) != check {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut state = Self {
            verifier_key: lines.next()?.strip_prefix("key ")?.to_owned(),
            opaque: lines.next()?.strip_prefix("opaque ")?.parse().ok()?,
            checkpoints: Vec::new(),
            seen: counts(lines.next()?)?,
        };
        for line in lines {
            match line.split_once(' ')? {
                ("checkpoint", note) => state.checkpoints.push(STANDARD.decode(note).ok()?),
                ("row", row) => state.seen.rows.push(hashes(row)?),
                ("journal", at) => state.seen.journal = Some(position(at)?),
                _ => state.seen.content.read(line)?,
            }
        }
        state.is_possible().then_some(state)
    }

    /// Each row has as many hashes as so many entries leave unfinished on its level.
    fn is_possible(&self) -> bool {
        let mut left = self.seen.entries / 256;
        for row in &self.seen.rows {
            if u64::try_from(row.len()).ok() != Some(left % 256) {
                return false;
            }
            left /= 256;
        }
        left == 0 && self.seen.entries.is_multiple_of(256)
    }
}

fn counts(line: &str) -> Option<Seen> {
    let mut numbers = line.strip_prefix("seen ")?.split(' ').map(str::parse);
    Some(Seen {
        entries: numbers.next()?.ok()?,
        bundles: numbers.next()?.ok()?,
        tiles: numbers.next()?.ok()?,
        rows: Vec::new(),
        content: Content::default(),
        journal: None,
    })
}

fn hashes(row: &str) -> Option<Vec<Hash>> {
    let bytes = STANDARD.decode(row).ok()?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

fn position(line: &str) -> Option<Position> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    Some(Position {
        segment: word()?.to_owned(),
        previous: hex::decode(word()?).ok()?.try_into().ok()?,
        offset: word()?.parse().ok()?,
        number: word()?.parse().ok()?,
        index: word()?.parse().ok()?,
        taken: word()?.parse().ok()?,
        segments: word()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Denial, Denied, Entry, KeyAnnouncement, ReasonCode};

    fn state() -> State {
        let mut content = Content::default();
        let announcement = KeyAnnouncement {
            previous: None,
            at: 1,
            sign_from: 1,
            sign_until: None,
            realm: [3; 32],
            issuer: [2; 32],
            key: [1; 32],
        };
        let denial = Denial {
            denied: Denied::Token([1; 32]),
            reason: ReasonCode::Routine,
            previous: None,
            at: 1,
        };
        let entries = [Entry::KeyAnnouncement(announcement), Entry::Denial(denial)];
        for (index, entry) in (7..).zip(entries) {
            content.see("", index, &entry.encode().unwrap()).unwrap().unwrap();
        }
        State {
            verifier_key: "a.example/b+00000000+AAAA".to_owned(),
            opaque: false,
            checkpoints: vec![b"a note\n".to_vec(), b"another\n".to_vec()],
            seen: Seen {
                entries: 65_536 + 512,
                rows: vec![vec![[1; 32], [2; 32]], vec![[3; 32]]],
                content,
                bundles: 258,
                tiles: 259,
                journal: Some(Position {
                    segment: "journal/00000000000000000000.seg".to_owned(),
                    offset: 128,
                    number: 3,
                    index: 66_000,
                    previous: [9; 32],
                    taken: 48,
                    segments: 1,
                }),
            },
        }
    }

    #[test]
    fn a_state_reads_back_as_it_was_written() {
        let text = state().encode();
        assert_eq!(State::decode(&text), Some(state()));
        for position in (0..text.len()).step_by(7) {
            let mut damaged = text.clone().into_bytes();
            damaged[position] ^= 1;
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(State::decode(&damaged), None, "byte {position}");
        }
        assert_eq!(State::decode(""), None);
    }

    #[test]
    fn a_state_that_cannot_be_is_refused() {
        let mut state = state();
        state.seen.entries += 256;
        assert_eq!(State::decode(&state.encode()), None);
    }
}
