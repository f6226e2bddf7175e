//! What there is: the store, two sequencers, what is on its way between them, and one gate.

use std::collections::BTreeSet;

/// What an entry records. Small numbers stand for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Entry {
    /// A token was issued under the key's first epoch.
    Token(u8),
    /// The key is revoked: a new epoch begins.
    Revoked,
}

/// Real tokens. More of them add states and, as long as two can share or not share a batch, no new behaviour.
pub(super) const TOKENS: u8 = 2;
/// What the forger shows: good in every way, and never appended.
pub(super) const FORGED_TOKEN: u8 = 9;
/// Crashes in one history, over both sequencers.
pub(super) const CRASHES: u8 = 1;
/// Batches that fit the store: what the entries need, one each.
pub(super) const BATCHES: usize = 3;

/// The rule that is left out, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mutant {
    /// Tokens leave when the create is sent.
    ReleaseBeforeDurable,
    /// No answer in time counts as done.
    TimeoutIsSuccess,
    /// "There is one already" counts as done, whoever wrote it.
    ConflictIsSuccess,
    /// An unknown outcome is retried with whatever waits by now.
    RetryOtherBytes,
    /// An unknown outcome is given up and its number used for the next batch, as if it had surely failed.
    SkipReadBack,
    /// A checkpoint covers a batch whose create is not confirmed.
    SignUnconfirmed,
    /// An archived batch leaves no trace, so that its number is free again.
    ReuseNumbers,
    /// The epoch is compared when an entry comes in, not where its batch is formed.
    FenceAtTheDoor,
    /// The barrier read is answered from what somebody saw earlier.
    BarrierFromCache,
    /// The barrier read is answered by a sequencer from memory, not from the store.
    HeadFromMemory,
    /// A miss in the gate's own set is final.
    NoBarrier,
    /// A token that looks freshly issued is let in on a miss.
    AdmitFreshLooking,
}

/// The model: the protocol as it is, or without one rule.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    pub(super) mutant: Option<Mutant>,
}

/// One batch. Two are the same bytes only if one writer made both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Batch {
    pub(super) writer: Writer,
    pub(super) entries: Vec<Entry>,
}

/// A process: which sequencer, and its how many-th start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Writer {
    pub(super) sequencer: u8,
    pub(super) start: u8,
}

/// A number of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Batch(Batch),
    /// Archived: its entries are in bundles, its number stays taken.
    Tombstone,
    /// Archived without a trace. Only a mutant does that.
    Gone,
}

/// A create on its way to the store. It may arrive at any time, or never, also after its sender is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Flight {
    pub(super) number: u8,
    pub(super) batch: Batch,
}

/// The store's answer on its way back, which may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Reply {
    pub(super) to: Writer,
    pub(super) number: u8,
    pub(super) created: bool,
}

/// One sequencer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sequencer {
    pub(super) running: bool,
    pub(super) start: u8,
    /// What it takes for the log's content: read at its start, then its own confirmed batches.
    pub(super) log: Vec<Entry>,
    /// The number its next batch gets.
    pub(super) next: u8,
    pub(super) queue: Vec<Entry>,
    /// The batch whose create is not confirmed.
    pub(super) pending: Option<Batch>,
}

/// The gate's one question at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Question {
    #[default]
    None,
    /// A token is not in the gate's own set, which lags behind the log as much as it likes.
    Missed { token: u8 },
    /// The gate has decided.
    Answered { token: u8, admitted: bool },
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) store: Vec<Slot>,
    /// Every entry in the order in which it became durable: what an outsider would have copied. The store never shows it.
    pub(super) history: Vec<Entry>,
    /// Entries whose batches are archived.
    pub(super) archive: Vec<Entry>,
    pub(super) sequencers: [Sequencer; 2],
    pub(super) flights: BTreeSet<Flight>,
    pub(super) replies: BTreeSet<Reply>,
    pub(super) submitted: BTreeSet<Entry>,
    pub(super) released: BTreeSet<u8>,
    /// Signed checkpoints, by what they cover.
    pub(super) signed: BTreeSet<Vec<Entry>>,
    pub(super) crashes: u8,
    /// What a cache in front of the store holds.
    pub(super) cache: Vec<Entry>,
    pub(super) question: Question,
}

impl State {
    /// The log as the store shows it: archived entries, then the batches without a gap.
    pub(super) fn content(&self) -> Vec<Entry> {
        let mut content = self.archive.clone();
        for slot in &self.store {
            if let Slot::Batch(batch) = slot {
                content.extend(&batch.entries);
            }
        }
        content
    }
}
