//! Gives entries their places. The one point where an issuance and the transition that forbids it meet.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::bytes::wide;
use crate::draft::Draft;
use crate::entry::{Entry, WAYPOINT_EVERY};
use crate::queue::{AppendError, Waiting};
use crate::registry::{Registry, Tickets};

/// What a caller wants to be recorded.
pub(crate) enum Order {
    /// An issuance, already encoded: nothing in it depends on its place.
    Issuance { entry: Vec<u8>, tickets: Tickets },
    /// Drafts that are recorded in one batch or not at all.
    Together(Vec<Draft>),
}

impl Order {
    /// Roughly, in bytes of a batch: no draft becomes an entry longer than this.
    pub(crate) fn length(&self) -> usize {
        const ENTRY_MAX: usize = 128;
        match self {
            Self::Issuance { entry, .. } => entry.len(),
            Self::Together(drafts) => drafts.len().saturating_mul(ENTRY_MAX),
        }
    }
}

/// Whom to tell of an entry's index.
pub(crate) type Reply = oneshot::Sender<Result<u64, AppendError>>;

/// Knows what has been ordered so far, durable or not yet. Belongs to the writer.
pub(crate) struct Placer {
    registry: Arc<Registry>,
}

/// A batch in order, to be made durable.
pub(crate) struct Placed {
    pub(crate) entries: Vec<Vec<u8>>,
    replies: Vec<(Reply, u64)>,
    /// What was known before this batch.
    before: Arc<Registry>,
}

impl Placer {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// What has been ordered says of keys.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    /// Orders a batch whose first entry will have the index `first`. Refused ones are told at once.
    pub(crate) fn place(&mut self, batch: Vec<Waiting>, first: u64) -> Placed {
        let mut ordered = Placed {
            entries: Vec::with_capacity(batch.len()),
            replies: Vec::with_capacity(batch.len()),
            before: self.registry.clone(),
        };
        for waiting in batch {
            let end = ordered.entries.len();
            match self.place_order(waiting.order, first, &mut ordered.entries) {
                Ok(index) => ordered.replies.push((waiting.reply, index)),
                Err(refusal) => {
                    // A waypoint in front of what was refused goes too: it is put in again before the next one.
                    ordered.entries.truncate(end);
                    // A caller that gave up has dropped its end.
                    let _ = waiting.reply.send(Err(refusal));
                }
            }
        }
        ordered
    }

    /// Takes a batch back that was not written.
    pub(crate) fn undo(&mut self, ordered: &Placed) {
        self.registry = ordered.before.clone();
    }

    fn place_order(
        &mut self,
        order: Order,
        first: u64,
        entries: &mut Vec<Vec<u8>>,
    ) -> Result<u64, AppendError> {
        match order {
            Order::Issuance { entry, tickets } => {
                self.registry.admit(&tickets)?;
                let index = next_index(&self.registry, first, entries)?;
                entries.push(entry);
                Ok(index)
            }
            Order::Together(drafts) => {
                let mut registry = Registry::clone(&self.registry);
                let mut start = None;
                for draft in &drafts {
                    let index = next_index(&registry, first, entries)?;
                    let entry = registry.complete(draft)?;
                    entries.push(entry.encode()?);
                    registry.apply(index, &entry);
                    start.get_or_insert(index);
                }
                self.registry = Arc::new(registry);
                start.ok_or(AppendError::Empty)
            }
        }
    }
}

/// The next entry's index, after the waypoint that may have to stand before it.
fn next_index(registry: &Registry, first: u64, entries: &mut Vec<Vec<u8>>) -> Result<u64, AppendError> {
    let index = first.saturating_add(wide(entries.len()));
    if index == 0 || index.checked_rem(WAYPOINT_EVERY) != Some(0) {
        return Ok(index);
    }
    entries.push(Entry::Waypoint(registry.waypoint()).encode()?);
    Ok(index.saturating_add(1))
}

impl Placed {
    /// Tells every caller: its index, or the one reason for which nothing was written.
    pub(crate) fn tell(self, outcome: Result<(), AppendError>) {
        for (reply, index) in self.replies {
            // A caller that gave up has dropped its end.
            let _ = reply.send(outcome.map(|()| index));
        }
    }
}

#[cfg(test)]
mod tests;
