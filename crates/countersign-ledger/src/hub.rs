//! What the followers of one ledger share: its newest entries as frames, the right edge of its tree, one signed head.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::checkpoint::Checkpoint;
use crate::edge::Edge;
use crate::entries::ReadError;
use crate::frame::Frame;
use crate::head::{Head, Nonce};
use crate::ledger::Ledger;
use crate::note::Verifier;
use crate::proof::peaks;
use crate::record::Entries;
use crate::tree::leaf_hash;

/// Entries of one frame at most.
const FRAME_ENTRIES_MAX: u64 = 4096;
/// Frames kept for those who come late: what a busy ledger takes in during a second. Older entries are in the tiles.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// Feeds the followers of a ledger. Works only when one of them asks.
#[derive(Clone)]
pub(crate) struct Hub {
    ledger: Ledger,
    state: Arc<Mutex<Option<State>>>,
}

/// Everything up to `edge.size()`.
struct State {
    edge: Edge,
    blocks: VecDeque<Block>,
    bytes: usize,
    /// The head frame for the edge, which nobody asked for.
    head: Bytes,
}

/// Entries `first..end` as one frame.
struct Block {
    first: u64,
    end: u64,
    frame: Bytes,
}

/// Why the hub has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HubError {
    /// The ledger has stopped or cannot be read.
    Unavailable,
    /// Older than what is kept: the tiles have it.
    TooFarBehind,
}

/// Frames that bring a follower up to a head, the head among them.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) frames: VecDeque<Bytes>,
    /// The head's size.
    pub(crate) size: u64,
}

impl Hub {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            state: Arc::default(),
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The entries from `from` on and a head that covers everything durable when this was called. With a nonce the head
    /// is signed for its asker alone.
    pub(crate) async fn news(&self, from: u64, nonce: Option<Nonce>) -> Result<News, HubError> {
        if let Err(error) = self.ledger.barrier().await {
            tracing::error!(%error, code = error.code(), "the newest head cannot be told");
            return Err(HubError::Unavailable);
        }
        let hub = self.clone();
        let state = Arc::clone(&self.state).lock_owned().await;
        // In a task of its own: a caller that goes away does not leave the work half done.
        let work = tokio::task::spawn_blocking(move || hub.advance(state, from, nonce));
        work.await.unwrap_or(Err(HubError::Unavailable))
    }

    fn advance(
        &self,
        mut guard: OwnedMutexGuard<Option<State>>,
        from: u64,
        nonce: Option<Nonce>,
    ) -> Result<News, HubError> {
        // A stopped ledger may have written a batch that nobody was told of: it says no more.
        if !self.ledger.is_running() {
            return Err(HubError::Unavailable);
        }
        // Taken out, so that what fails half way is made anew.
        let mut state = match guard.take() {
            Some(state) => state,
            None => self.begin(),
        };
        self.extend(&mut state)?;
        let frames = state.since(from);
        let (size, root, pushed) = (state.edge.size(), state.edge.root(), state.head.clone());
        *guard = Some(state);
        drop(guard);
        let mut frames = frames?;
        frames.push_back(match nonce {
            None => pushed,
            Some(_) => self.signed(size, root, nonce),
        });
        Ok(News { frames, size })
    }

    /// The tree as it is published; what came after is in the journal.
    fn begin(&self) -> State {
        let edge = self.published_edge().unwrap_or_default();
        let head = self.signed(edge.size(), edge.root(), None);
        State {
            edge,
            blocks: VecDeque::new(),
            bytes: 0,
            head,
        }
    }

    fn published_edge(&self) -> Option<Edge> {
        let verifier = Verifier::parse(self.ledger.verifier_key()).ok()?;
        let checkpoint = Checkpoint::open(&self.ledger.checkpoint(), &verifier).ok()?;
        let peaks = peaks(&self.ledger, checkpoint.size).ok()?;
        let edge = Edge::new(checkpoint.size, peaks);
        (edge.root() == checkpoint.root).then_some(edge)
    }

    /// Takes in what has become durable, and signs once.
    fn extend(&self, state: &mut State) -> Result<(), HubError> {
        let head = self.ledger.head();
        if state.edge.size() >= head {
            return Ok(());
        }
        while state.edge.size() < head {
            let first = state.edge.size();
            let wanted = head.saturating_sub(first).min(FRAME_ENTRIES_MAX);
            let (end, bundle) = self
                .ledger
                .bundle(first, wanted)
                .map_err(|error| unreadable(&error))?;
            if end <= first {
                return Err(HubError::Unavailable);
            }
            Entries::new(&bundle).for_each(|entry| state.edge.push(leaf_hash(entry)));
            let bundle = bundle.as_slice();
            let frame = Bytes::from(Frame::Entries { first, bundle }.encode());
            state.bytes = state.bytes.saturating_add(frame.len());
            state.blocks.push_back(Block { first, end, frame });
        }
        while state.bytes > KEPT_BYTES_MAX
            && state.blocks.len() > 1
            && let Some(old) = state.blocks.pop_front()
        {
            state.bytes = state.bytes.saturating_sub(old.frame.len());
        }
        state.head = self.signed(state.edge.size(), state.edge.root(), None);
        Ok(())
    }

    fn signed(&self, size: u64, root: crate::tree::Hash, nonce: Option<Nonce>) -> Bytes {
        let head = Head {
            origin: self.ledger.origin().to_owned(),
            size,
            root,
            nonce,
        };
        Frame::Head(&head.sign(self.ledger.signer())).encode().into()
    }
}

impl State {
    /// Frames with the entries from `from` on.
    fn since(&self, from: u64) -> Result<VecDeque<Bytes>, HubError> {
        let kept_from = self.blocks.front().map_or(self.edge.size(), |block| block.first);
        if from < kept_from {
            return Err(HubError::TooFarBehind);
        }
        let wanted = self.blocks.iter().filter(|block| block.end > from);
        Ok(wanted.map(|block| block.since(from)).collect())
    }
}

impl Block {
    fn since(&self, from: u64) -> Bytes {
        if from <= self.first {
            return self.frame.clone();
        }
        let Ok(Some(Frame::Entries { bundle, .. })) = Frame::decode(&mut &*self.frame) else {
            return self.frame.clone();
        };
        let mut entries = Entries::new(bundle);
        for _ in self.first..from {
            entries.next();
        }
        let bundle = entries.rest();
        Frame::Entries { first: from, bundle }.encode().into()
    }
}

fn unreadable(error: &ReadError) -> HubError {
    tracing::error!(%error, code = error.code(), "reading the journal for followers failed");
    HubError::Unavailable
}
