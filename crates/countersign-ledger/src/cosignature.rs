//! Cosignatures (C2SP tlog-cosignature): "as of this time this is the largest consistent tree that I have seen".
//!
//! A witness gives them, and so does the ledger itself with a second key: its line on each checkpoint is a signed
//! statement of freshness that needs no extension line, and that tells a quiet ledger from one that stalled.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, ML_DSA_44_SIGNING, PqdsaKeyPair};
use zeroize::Zeroizing;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{self, KeyError, KeyKind, Verifier};

/// No cosignature states a later time.
pub(crate) const TIME_MAX: u64 = i64::MAX.unsigned_abs();
const ML_DSA_LABEL: &[u8; 12] = b"subtree/v1\n\0";
const ML_DSA_SIGNATURE_BYTES: usize = 2_420;
/// What the ledger's second seed is derived for.
const FRESHNESS_INFO: &[u8] = b"countersign/ledger/freshness/ed25519-seed/v1";
const WITNESS_ED25519_INFO: &[u8] = b"countersign/witness/ed25519-seed/v1";
const WITNESS_ML_DSA_INFO: &[u8] = b"countersign/witness/ml-dsa-44-seed/v1";
/// Clocks of honest machines differ by less.
pub const AHEAD_MAX: u64 = 60;

/// A name and a key that cosigns checkpoints. The secret is wiped by the cryptographic library when dropped.
pub struct Cosigner {
    key: Secret,
    verifier: Verifier,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    MlDsa44(Box<PqdsaKeyPair>),
}

impl Cosigner {
    /// A cosigner with an Ed25519 key (type 0x04) from its seed. The key must sign nothing else, under no other name.
    pub fn ed25519(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::SeedRejected)?;
        let verifier = Verifier::new(name, KeyKind::CosignatureV1, pair.public_key().as_ref())?;
        Ok(Self {
            key: Secret::Ed25519(pair),
            verifier,
        })
    }

    /// A cosigner with an ML-DSA-44 key (type 0x06) from its FIPS 204 seed.
    pub fn ml_dsa_44(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed).map_err(|_| KeyError::SeedRejected)?;
        let verifier = Verifier::new(name, KeyKind::MlDsa44, pair.public_key().as_ref())?;
        Ok(Self {
            key: Secret::MlDsa44(Box::new(pair)),
            verifier,
        })
    }

    /// The ledger's own cosigner, for its freshness lines: named after the origin, with a second Ed25519 key that is
    /// derived (HKDF) from the seed of the first.
    pub fn freshness(origin: &str, ledger_seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::ed25519(origin, &*derived(ledger_seed, FRESHNESS_INFO)?)
    }

    /// Both cosigners of a witness, from one seed: Ed25519, which every client takes, and ML-DSA-44.
    pub fn witness(name: &str, seed: &[u8; 32]) -> Result<Vec<Self>, KeyError> {
        Ok(vec![
            Self::ed25519(name, &*derived(seed, WITNESS_ED25519_INFO)?)?,
            Self::ml_dsa_44(name, &*derived(seed, WITNESS_ML_DSA_INFO)?)?,
        ])
    }

    /// The cosigner's name.
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Cosigns the checkpoint whose note text is `text` as of `time` (unix seconds) and returns the signature line,
    /// without its newline.
    pub fn cosign(&self, text: &str, time: u64) -> Result<String, CosignError> {
        let checkpoint = Checkpoint::parse(text)?;
        // Zero would be no statement about time at all.
        if time == 0 || time > TIME_MAX {
            return Err(CosignError::TimeInvalid);
        }
        let mut blob = time.to_be_bytes().to_vec();
        match &self.key {
            Secret::Ed25519(pair) => {
                blob.extend_from_slice(pair.sign(ed25519_message(time, text).as_bytes()).as_ref());
            }
            Secret::MlDsa44(pair) => {
                let message =
                    ml_dsa_message(self.name(), time, &checkpoint).ok_or(CosignError::OriginTooLong)?;
                let mut signature = [0; ML_DSA_SIGNATURE_BYTES];
                pair.sign(&message, &mut signature)
                    .map_err(|_| CosignError::SigningFailed)?;
                blob.extend(signature);
            }
        }
        Ok(note::line(&self.verifier, &blob))
    }
}

impl std::fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cosigner")
            .field("verifier", &self.verifier.to_string())
            .finish_non_exhaustive()
    }
}

/// A seed for one purpose, from which neither the first nor another can be found.
fn derived(seed: &[u8; 32], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut derived = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, &[])
        .extract(seed)
        .expand(&[info], HKDF_SHA256)
        .and_then(|okm| okm.fill(derived.as_mut_slice()))
        .map_err(|_| KeyError::SeedRejected)?;
    Ok(derived)
}

/// What an Ed25519 cosignature covers.
pub(crate) fn ed25519_message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// What an ML-DSA-44 cosignature of a whole tree covers. `None` if a name does not fit its length of one byte.
pub(crate) fn ml_dsa_message(name: &str, time: u64, checkpoint: &Checkpoint) -> Option<Vec<u8>> {
    let mut message = ML_DSA_LABEL.to_vec();
    message.push(u8::try_from(name.len()).ok()?);
    message.extend_from_slice(name.as_bytes());
    message.extend(time.to_be_bytes());
    message.push(u8::try_from(checkpoint.origin.len()).ok()?);
    message.extend_from_slice(checkpoint.origin.as_bytes());
    message.extend(0u64.to_be_bytes());
    message.extend(checkpoint.size.to_be_bytes());
    message.extend(checkpoint.root);
    Some(message)
}

/// When a checkpoint was last said to be the newest, seen from `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The time signed, in unix seconds.
    pub time: u64,
    /// The reader's time, in unix seconds.
    pub now: u64,
}

impl Freshness {
    /// Seconds since it was signed; 0 for one that the signer's clock dates ahead of ours.
    pub fn age(self) -> u64 {
        self.now.saturating_sub(self.time)
    }

    /// The age, if it is at most `age_max` seconds and not dated more than [`AHEAD_MAX`] ahead.
    pub fn check(self, age_max: u64) -> Result<u64, FreshnessError> {
        let ahead = self.time.saturating_sub(self.now);
        if ahead > AHEAD_MAX {
            return Err(FreshnessError::Ahead { by: ahead });
        }
        let age = self.age();
        if age > age_max {
            return Err(FreshnessError::Stale { age, age_max });
        }
        Ok(age)
    }
}

/// Why a checkpoint is not fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FreshnessError {
    /// No known key states a time.
    #[error("the checkpoint carries no cosignature with a time by a known key")]
    NoTime,
    /// Older than allowed: the ledger has stalled, or an old checkpoint is shown.
    #[error("the checkpoint was last signed {age} seconds ago, more than {age_max}")]
    Stale {
        /// Seconds since it was signed.
        age: u64,
        /// Seconds allowed.
        age_max: u64,
    },
    /// Dated ahead of our clock.
    #[error("the checkpoint is dated {by} seconds ahead of this clock")]
    Ahead {
        /// Seconds ahead.
        by: u64,
    },
}

impl FreshnessError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoTime => "freshness_no_time",
            Self::Stale { .. } => "freshness_stale",
            Self::Ahead { .. } => "freshness_ahead",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoTime => "name the ledger's freshness key or a witness in the policy",
            Self::Stale { .. } => "the ledger does not sign any more, or somebody shows an old checkpoint",
            Self::Ahead { .. } => "check both clocks",
        })
    }
}

/// Why a checkpoint was not cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignError {
    /// The text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The time is zero or beyond what a cosignature can state.
    #[error("the clock gives no time that a cosignature can state")]
    TimeInvalid,
    /// ML-DSA cosignatures are for origins of at most 255 bytes.
    #[error("the origin is longer than 255 bytes")]
    OriginTooLong,
    /// The cryptographic library refused.
    #[error("signing failed")]
    SigningFailed,
}

impl CosignError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Checkpoint(error) => error.code(),
            Self::TimeInvalid => "cosign_time_invalid",
            Self::OriginTooLong => "cosign_origin_too_long",
            Self::SigningFailed => "cosign_failed",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TimeInvalid => Some("set this machine's clock"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Note, NoteError, assemble};

    fn text() -> String {
        Checkpoint {
            origin: "log.example/1".into(),
            size: 7,
            root: [3; 32],
        }
        .encode()
    }

    fn cosigners() -> [Cosigner; 2] {
        [
            Cosigner::ed25519("w.example/1", &[1; 32]).unwrap(),
            Cosigner::ml_dsa_44("w.example/1", &[1; 32]).unwrap(),
        ]
    }

    #[test]
    fn the_example_of_the_specification_has_this_message() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(
            ed25519_message(1_679_315_147, text),
            "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
             CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        );
        let message = ml_dsa_message("w.example/1", 5, &Checkpoint::parse(text).unwrap()).unwrap();
        let expect = [
            b"subtree/v1\n\0\x0bw.example/1".as_slice(),
            &[0, 0, 0, 0, 0, 0, 0, 5],
            b"\x1bexample.com/behind-the-sofa",
            &[0; 8],
            &20_852_163u64.to_be_bytes(),
            &Checkpoint::parse(text).unwrap().root,
        ];
        assert_eq!(message, expect.concat());
    }

    #[test]
    fn a_cosignature_verifies_with_its_time_and_not_without() {
        for cosigner in cosigners() {
            let line = cosigner.cosign(&text(), 1_000).unwrap();
            let note = assemble(&text(), [line.as_str()]);
            let verifier = Verifier::parse(&cosigner.verifier().to_string()).unwrap();
            let signed = Note::parse(&note).unwrap().verify(&verifier).unwrap().unwrap();
            assert_eq!(signed.time, Some(1_000));
            // Another size, root or origin, and another time, are not what was signed.
            for other in [
                text().replace('7', "8"),
                text().replace("log", "lot"),
                text().replace("AwMD", "AwME"),
            ] {
                let note = assemble(&other, [line.as_str()]);
                assert_eq!(verifier.open(&note), Err(NoteError::SignatureInvalid));
            }
            let later = note::line(
                &verifier,
                &[&1_001u64.to_be_bytes()[..], &blob(&line)[12..]].concat(),
            );
            let note = assemble(&text(), [later.as_str()]);
            assert_eq!(verifier.open(&note), Err(NoteError::SignatureInvalid));
        }
    }

    fn blob(line: &str) -> Vec<u8> {
        use base64::Engine as _;
        let text = line.rsplit_once(' ').unwrap().1;
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    }

    #[test]
    fn extension_lines_are_covered_by_ed25519_and_not_by_ml_dsa() {
        let extended = format!("{}extension\n", text());
        let [ed25519, ml_dsa] = cosigners();
        let note = assemble(&extended, [ed25519.cosign(&text(), 9).unwrap().as_str()]);
        assert!(ed25519.verifier().open(&note).is_err());
        let note = assemble(&extended, [ml_dsa.cosign(&text(), 9).unwrap().as_str()]);
        assert!(ml_dsa.verifier().open(&note).is_ok());
    }

    #[test]
    fn times_that_state_nothing_are_not_signed() {
        for cosigner in cosigners() {
            assert_eq!(cosigner.cosign(&text(), 0), Err(CosignError::TimeInvalid));
            assert_eq!(
                cosigner.cosign(&text(), TIME_MAX + 1),
                Err(CosignError::TimeInvalid)
            );
            assert!(cosigner.cosign(&text(), TIME_MAX).is_ok());
            assert!(cosigner.cosign("no checkpoint\n", 1).is_err());
        }
    }

    #[test]
    fn the_freshness_key_is_another_key() {
        let signer = note::NoteSigner::from_seed("log.example/1", &[4; 32]).unwrap();
        let freshness = Cosigner::freshness("log.example/1", &[4; 32]).unwrap();
        assert_ne!(signer.verifier().public_key(), freshness.verifier().public_key());
        assert_eq!(freshness.name(), signer.name());
    }

    #[test]
    fn age_is_judged_with_some_tolerance_for_clocks() {
        let at = |time| Freshness { time, now: 1_000 };
        assert_eq!(at(990).check(10), Ok(10));
        assert_eq!(
            at(989).check(10),
            Err(FreshnessError::Stale { age: 11, age_max: 10 })
        );
        assert_eq!(at(1_060).check(10), Ok(0));
        assert_eq!(at(1_061).check(10), Err(FreshnessError::Ahead { by: 61 }));
    }
}
