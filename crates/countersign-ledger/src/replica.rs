//! What a follower has heard of a ledger over a network, and how much of it is proved.
//!
//! Entries are hashed into a tree of the follower's own as they come. They are believed when a statement signed by the
//! ledger's key names that tree: a head of its size and root, or a checkpoint with a proof that the tree is its prefix.
//! Until then they are only remembered.
//!
//! A second, older edge follows the published checkpoints, which auditors and witnesses see: a ledger that shows its
//! followers one history and the public another has signed a contradiction.

use std::collections::VecDeque;
use std::mem;

use crate::checkpoint::Checkpoint;
use crate::edge::Edge;
use crate::follow::SourceError;
use crate::head::{Head, Nonce};
use crate::note::Verifier;
use crate::proof::verify_consistency;
use crate::record::Entries;
use crate::tree::{Hash, leaf_hash};

/// Entries heard and not proved, at most. A ledger signs after each batch; one that does not is not followed on.
const UNPROVED_BYTES_MAX: usize = 64 << 20;

/// Entries proved by heads and not seen in a checkpoint, at most. Publishing takes a fraction of a second.
const UNPUBLISHED_MAX: usize = 1 << 20;

/// The state of a remote ledger as one follower has it. No input or output of its own.
pub struct Replica {
    verifier: Verifier,
    /// The tree that is proved.
    proved: Edge,
    /// That tree and everything heard after it.
    heard: Edge,
    /// The entries between the two.
    unproved: Vec<u8>,
    /// Their leaves.
    unproved_leaves: Vec<Hash>,
    /// The tree of the newest published checkpoint.
    published: Edge,
    /// The leaves from there to what is proved.
    unpublished: VecDeque<Hash>,
}

impl Replica {
    /// Nothing heard yet of the ledger with this key.
    #[must_use]
    pub fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            proved: Edge::default(),
            heard: Edge::default(),
            unproved: Vec::new(),
            unproved_leaves: Vec::new(),
            published: Edge::default(),
            unpublished: VecDeque::new(),
        }
    }

    /// Number of entries that are proved.
    pub fn proved(&self) -> u64 {
        self.proved.size()
    }

    /// Number of entries heard: where to go on.
    pub fn heard(&self) -> u64 {
        self.heard.size()
    }

    /// Root over everything heard.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.heard.root()
    }

    /// Forgets what is not proved, because it was contradicted.
    pub fn forget(&mut self) {
        self.heard = self.proved.clone();
        self.unproved.clear();
        self.unproved_leaves.clear();
    }

    /// Takes in entries from index `first` on, length-prefixed. Those heard before are skipped, a gap is refused.
    pub fn hear(&mut self, first: u64, bundle: &[u8]) -> Result<(), SourceError> {
        if first > self.heard() || self.unproved.len().saturating_add(bundle.len()) > UNPROVED_BYTES_MAX {
            return Err(SourceError::Unverified);
        }
        let mut index = first;
        let mut entries = Entries::new(bundle);
        let mut fresh = bundle;
        while let Some(entry) = entries.next() {
            if index < self.heard() {
                fresh = entries.rest();
            } else {
                let leaf = leaf_hash(entry);
                self.heard.push(leaf);
                self.unproved_leaves.push(leaf);
            }
            index = index.saturating_add(1);
        }
        self.unproved.extend_from_slice(fresh);
        Ok(())
    }

    /// Takes a signed head: one with the nonce that was asked with, or a pushed one. What it proves is returned.
    pub fn head(&mut self, note: &[u8], asked: Option<Nonce>) -> Result<Proved, SourceError> {
        let head = Head::open(note, &self.verifier).map_err(|_| SourceError::Unverified)?;
        if head.nonce != asked {
            return Err(SourceError::Unverified);
        }
        if head.size == self.proved() && head.root != self.proved.root() {
            return Err(SourceError::Forked);
        }
        if head.size <= self.proved() {
            // A pushed head may be one that an answer has overtaken; the answer to a question is never old.
            let is_new = asked.is_some() && head.size < self.proved();
            return if is_new {
                Err(SourceError::RolledBack)
            } else {
                Ok(Proved::default())
            };
        }
        if head.size != self.heard() || head.root != self.heard.root() {
            return Err(SourceError::Unverified);
        }
        if self.unpublished.len() > UNPUBLISHED_MAX {
            return Err(SourceError::Unpublished);
        }
        let leaves = self.unproved_leaves.drain(..);
        self.unpublished.extend(leaves);
        Ok(self.prove())
    }

    /// Takes a signed checkpoint as the public sees it, and looks whether it is of the history that was proved. One that
    /// is older than the last, or that the heads have not reached yet, says nothing.
    pub fn public_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), SourceError> {
        if checkpoint.size < self.published.size() || checkpoint.size > self.proved() {
            return Ok(());
        }
        while self.published.size() < checkpoint.size
            && let Some(leaf) = self.unpublished.pop_front()
        {
            self.published.push(leaf);
        }
        if self.published.root() == checkpoint.root {
            Ok(())
        } else {
            Err(SourceError::Forked)
        }
    }

    /// Takes a signed checkpoint whose tree begins with everything heard, as `proof` shows (empty when it is the same
    /// tree).
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint, proof: &[Hash]) -> Result<Proved, SourceError> {
        if checkpoint.size == self.proved() && checkpoint.root != self.proved.root() {
            return Err(SourceError::Forked);
        }
        let (heard, root) = (self.heard(), self.heard.root());
        verify_consistency(heard, checkpoint.size, proof, &root, &checkpoint.root)
            .map_err(|_| SourceError::Unverified)?;
        self.unproved_leaves.clear();
        self.unpublished.clear();
        self.published = self.heard.clone();
        Ok(self.prove())
    }

    /// The key that signs.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn prove(&mut self) -> Proved {
        let first = self.proved();
        self.proved = self.heard.clone();
        Proved {
            first,
            entries: mem::take(&mut self.unproved),
        }
    }
}

/// Entries that are now proved to be in the ledger.
#[derive(Debug, Default)]
pub struct Proved {
    first: u64,
    entries: Vec<u8>,
}

impl Proved {
    /// Index of the first one.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The entries, as encoded.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(&self.entries)
    }
}

#[cfg(test)]
mod tests;
