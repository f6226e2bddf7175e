//! Signs the ledger's own checkpoints: its line, and beside it the freshness line of its second key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::Checkpoint;
use crate::cosignature::Cosigner;
use crate::follow::Clock;
use crate::note::{NoteSigner, assemble};

/// How a ledger states that its checkpoint is the newest: a cosignature of its own on every checkpoint, renewed while
/// nothing is appended, so that a quiet ledger differs from one that stalled.
#[derive(Clone)]
pub struct SignedFreshness {
    /// The second key, such as [`Cosigner::freshness`].
    pub cosigner: Arc<Cosigner>,
    /// The time that is signed.
    pub clock: Clock,
    /// A checkpoint is published anew at least this often.
    pub interval: Duration,
}

impl SignedFreshness {
    /// Well below any age that a gate allows, and one small durable write each time.
    pub const INTERVAL: Duration = Duration::from_secs(10);
}

impl std::fmt::Debug for SignedFreshness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedFreshness")
            .field("cosigner", &self.cosigner)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// Everything that signs a checkpoint.
pub(crate) struct CheckpointSigner {
    signer: Arc<NoteSigner>,
    freshness: Option<SignedFreshness>,
    /// The time signed last: a clock that is set back does not take a statement back.
    time: u64,
    signed: Option<Instant>,
}

impl CheckpointSigner {
    pub(crate) fn new(signer: NoteSigner, freshness: Option<SignedFreshness>) -> Self {
        Self {
            signer: Arc::new(signer),
            freshness,
            time: 0,
            signed: None,
        }
    }

    /// The signer of the ledger's own line.
    pub(crate) fn note_signer(&self) -> &Arc<NoteSigner> {
        &self.signer
    }

    /// When the checkpoint has to be signed anew although nothing was appended; `None` for never.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let freshness = self.freshness.as_ref()?;
        Some(self.signed.map_or(now, |signed| {
            signed.checked_add(freshness.interval).unwrap_or(signed)
        }))
    }

    /// The time to sign. Taken before the head is read: "as of this time this was the head" must not be said of a
    /// time at which more was durable already.
    pub(crate) fn stamp(&mut self) -> Stamp {
        if let Some(freshness) = &self.freshness {
            self.time = self.time.max((freshness.clock)());
        }
        Stamp {
            time: self.time,
            now: Instant::now(),
        }
    }

    /// The signed checkpoint of this size and root.
    pub(crate) fn sign(&mut self, size: u64, root: crate::tree::Hash, stamp: &Stamp) -> Vec<u8> {
        let text = Checkpoint {
            origin: self.signer.name().to_owned(),
            size,
            root,
        }
        .encode();
        let mut lines = vec![self.signer.line(&text)];
        if let Some(freshness) = &self.freshness {
            match freshness.cosigner.cosign(&text, stamp.time) {
                Ok(line) => lines.push(line),
                Err(error) => tracing::error!(%error, "a checkpoint goes out without its freshness line"),
            }
        }
        self.signed = Some(stamp.now);
        assemble(&text, lines.iter().map(String::as_str))
    }
}

/// A moment, by both clocks.
pub(crate) struct Stamp {
    time: u64,
    pub(crate) now: Instant,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::note::Note;

    #[test]
    fn the_time_signed_never_goes_back_and_is_due_again() {
        let clock = Arc::new(AtomicU64::new(1_000));
        let cosigner = Arc::new(Cosigner::freshness("l.example", &[1; 32]).unwrap());
        let freshness = SignedFreshness {
            cosigner: cosigner.clone(),
            clock: Arc::new({
                let clock = clock.clone();
                move || clock.load(Ordering::SeqCst)
            }),
            interval: Duration::from_secs(10),
        };
        let signer = NoteSigner::from_seed("l.example", &[1; 32]).unwrap();
        let mut signer = CheckpointSigner::new(signer, Some(freshness));
        let now = Instant::now();
        assert_eq!(signer.due(now), Some(now));
        for (time, expect) in [(1_000, 1_000), (900, 1_000), (1_001, 1_001)] {
            clock.store(time, Ordering::SeqCst);
            let stamp = signer.stamp();
            let note = signer.sign(0, [0; 32], &stamp);
            let note = Note::parse(&note).unwrap();
            let own = signer.note_signer().verifier();
            assert!(note.verify(own).unwrap().is_some());
            let found = note.verify(cosigner.verifier()).unwrap().unwrap();
            assert_eq!(found.time, Some(expect));
            let next = stamp.now.checked_add(Duration::from_secs(10));
            assert_eq!(signer.due(stamp.now), next);
        }
    }

    #[test]
    fn a_broken_clock_costs_the_freshness_and_not_the_checkpoint() {
        let freshness = SignedFreshness {
            cosigner: Arc::new(Cosigner::freshness("l.example", &[1; 32]).unwrap()),
            clock: Arc::new(|| 0),
            interval: Duration::from_secs(10),
        };
        let signer = NoteSigner::from_seed("l.example", &[1; 32]).unwrap();
        let mut signer = CheckpointSigner::new(signer, Some(freshness));
        let stamp = signer.stamp();
        let note = signer.sign(0, [0; 32], &stamp);
        assert_eq!(Note::parse(&note).unwrap().lines().len(), 1);
    }
}
