//! C2SP tlog-proof: a receipt that anybody can check, offline, for ever.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ProofError, inclusion, verify_inclusion};
use crate::checkpoint::Checkpoint;
use crate::ledger::Ledger;
use crate::note::Verifier;
use crate::policy::{Policy, Trusted};
use crate::tree::{Hash, leaf_hash};

const PROOF_HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^64 leaves has no longer path.
const PATH_MAX: usize = 64;
/// The longest entry that a bundle can hold, and room around it.
const EXTRA_BYTES_MAX: usize = 1 << 17;

impl Ledger {
    /// A self-contained proof that entry `index` is in the latest published tree. Blocks on the disk.
    pub fn prove(&self, index: u64) -> Result<TlogProof, ProofError> {
        self.prove_under(index, &self.checkpoint())
    }

    /// The same under the latest checkpoint that witnesses have cosigned. `None` if there is none.
    pub fn prove_witnessed(&self, index: u64) -> Option<Result<TlogProof, ProofError>> {
        Some(self.prove_under(index, &self.witnessed()?))
    }

    fn prove_under(&self, index: u64, note: &[u8]) -> Result<TlogProof, ProofError> {
        let verifier = Verifier::parse(self.verifier_key()).map_err(|_| ProofError::Malformed)?;
        let size = Checkpoint::open(note, &verifier)?.size;
        Ok(TlogProof {
            extra: None,
            index,
            path: inclusion(self, size, index)?,
            checkpoint: String::from_utf8_lossy(note).into_owned(),
        })
    }
}

/// A receipt: the path from an entry to the root of a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Data that goes with the proof and that nothing authenticates. `countersign ledger prove` puts the entry here:
    /// what is believed of it is only that it hashes to the leaf.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// Sibling hashes, leaf to root.
    pub path: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl TlogProof {
    /// The text form of C2SP tlog-proof.
    #[must_use]
    pub fn encode(&self) -> String {
        let hashes: String = self
            .path
            .iter()
            .map(|hash| STANDARD.encode(hash) + "\n")
            .collect();
        let extra = self.extra.as_ref().map_or(String::new(), |extra| {
            format!("extra {}\n", STANDARD.encode(extra))
        });
        format!(
            "{PROOF_HEADER}\n{extra}index {}\n{hashes}\n{}",
            self.index, self.checkpoint
        )
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(PROOF_HEADER) {
            return Err(ProofError::Malformed);
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = match extra.and_then(|line| line.strip_prefix("extra ")) {
            Some(text) if text.len() > EXTRA_BYTES_MAX => return Err(ProofError::Malformed),
            Some(text) => Some(STANDARD.decode(text).map_err(|_| ProofError::Malformed)?),
            None => None,
        };
        let number = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .ok_or(ProofError::Malformed)?;
        let index: u64 = number.parse().map_err(|_| ProofError::Malformed)?;
        if index.to_string() != number {
            return Err(ProofError::Malformed);
        }
        let path: Option<Vec<Hash>> = lines
            .take(PATH_MAX.saturating_add(1))
            .map(|line| STANDARD.decode(line).ok()?.try_into().ok())
            .collect();
        let path = path
            .filter(|path| path.len() <= PATH_MAX)
            .ok_or(ProofError::Malformed)?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks the checkpoint's signature and that `entry`, as encoded, is in its tree. Returns the checkpoint.
    pub fn verify(&self, entry: &[u8], verifier: &Verifier) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), verifier)?;
        verify_inclusion(
            self.index,
            checkpoint.size,
            &leaf_hash(entry),
            &self.path,
            &checkpoint.root,
        )?;
        Ok(checkpoint)
    }

    /// Checks that `entry`, as encoded, is in the tree of a checkpoint that `policy` believes: the whole of "Verifying
    /// a tlog proof", offline.
    pub fn check(&self, entry: &[u8], policy: &Policy) -> Result<Trusted, ProofError> {
        let trusted = policy.check(self.checkpoint.as_bytes())?;
        let Checkpoint { size, root, .. } = &trusted.checkpoint;
        verify_inclusion(self.index, *size, &leaf_hash(entry), &self.path, root)?;
        Ok(trusted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosignature::Cosigner;
    use crate::note::{NoteSigner, assemble};

    fn proof() -> TlogProof {
        let text = Checkpoint {
            origin: "l.example".into(),
            size: 1,
            root: leaf_hash(b"entry"),
        }
        .encode();
        let log = NoteSigner::from_seed("l.example", &[1; 32]).unwrap().line(&text);
        let witness = Cosigner::ed25519("w.example", &[2; 32]).unwrap();
        let witness = witness.cosign(&text, 7).unwrap();
        let note = assemble(&text, [log.as_str(), witness.as_str()]);
        TlogProof {
            extra: Some(b"entry".to_vec()),
            index: 0,
            path: Vec::new(),
            checkpoint: String::from_utf8(note).unwrap(),
        }
    }

    #[test]
    fn a_receipt_is_checked_against_a_policy() {
        let signer = NoteSigner::from_seed("l.example", &[1; 32]).unwrap();
        let alone = Policy::of_log(signer.verifier().clone());
        let proof = TlogProof::parse(&proof().encode()).unwrap();
        assert_eq!(proof.extra.as_deref(), Some(b"entry".as_slice()));
        assert!(proof.check(b"entry", &alone).is_ok());
        assert_eq!(
            proof.check(b"other", &alone).unwrap_err().code(),
            "proof_mismatch"
        );
        for (seed, accepted) in [(2, true), (3, false)] {
            let witness = Cosigner::ed25519("w.example", &[seed; 32]).unwrap();
            let text = format!(
                "log {}\nwitness w {}\nquorum w\n",
                signer.verifier_key(),
                witness.verifier()
            );
            let policy = Policy::parse(text.as_bytes()).unwrap();
            assert_eq!(proof.check(b"entry", &policy).is_ok(), accepted);
        }
        let other = NoteSigner::from_seed("l.example", &[9; 32]).unwrap();
        let other = Policy::of_log(other.verifier().clone());
        assert_eq!(
            proof.check(b"entry", &other).unwrap_err().code(),
            "note_not_signed"
        );
    }

    #[test]
    fn what_is_read_is_written_again() {
        let with = proof();
        let without = TlogProof {
            extra: None,
            path: vec![[1; 32], [2; 32]],
            ..proof()
        };
        for proof in [with, without] {
            assert_eq!(TlogProof::parse(&proof.encode()).unwrap(), proof);
        }
    }

    #[test]
    fn hostile_proofs_are_refused() {
        let hash = STANDARD.encode([0; 32]);
        let extra = STANDARD.encode(vec![0; EXTRA_BYTES_MAX]);
        for text in [
            String::new(),
            format!("{PROOF_HEADER}\n\n"),
            format!("{PROOF_HEADER}\nindex 01\n\nx"),
            format!("{PROOF_HEADER}\nindex +1\n\nx"),
            format!("{PROOF_HEADER}\nindex 18446744073709551616\n\nx"),
            format!("{PROOF_HEADER}\nindex 1\nAAAA\n\nx"),
            format!("{PROOF_HEADER}\nextra !\nindex 1\n\nx"),
            format!("{PROOF_HEADER}\nextra AA==\nextra AA==\nindex 1\n\nx"),
            format!("{PROOF_HEADER}\nextra {extra}\nindex 1\n\nx"),
            format!("{PROOF_HEADER}\nindex 1\nextra AA==\n\nx"),
            format!("{PROOF_HEADER}\r\nindex 1\n\nx"),
            format!("{PROOF_HEADER}\nindex 0\n{}\nx", format!("{hash}\n").repeat(65)),
            "index 1\n\n".to_owned(),
        ] {
            assert!(TlogProof::parse(&text).is_err(), "{text:?}");
        }
    }
}
