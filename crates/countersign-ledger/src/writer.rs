//! The writer thread: forms batches of what waits, has them made durable, and has everybody told.

use std::iter::Peekable;
use std::sync::{Arc, PoisonError, mpsc};
use std::thread;
use std::time::Instant;
use std::vec::IntoIter;

use tokio::sync::watch;

use crate::background::StopOnDrop;
use crate::ledger::Shared;
use crate::place::{Placed, Placer};
use crate::queue::{AppendError, Pace, Waiting};
use crate::sequencer::{SequenceError, Sequencer};

/// No batch is larger, in bytes of entries: what one write should carry.
const BATCH_BYTES_MAX: usize = 1 << 22;
/// So few callers are told before the next batch is begun; more are told beside it.
const TELL_AT_ONCE: usize = 128;

/// The writer thread.
pub(crate) struct Writing {
    pub(crate) shared: Arc<Shared>,
    pub(crate) head: watch::Sender<u64>,
    pub(crate) entries_max: usize,
}

/// A batch whose callers are to be told.
struct Answer {
    batch: Placed,
    outcome: Result<(), AppendError>,
}

impl Answer {
    fn tell(self) {
        self.batch.tell(self.outcome);
    }
}

impl Writing {
    /// Serves the queue until it is closed or the store fails. Dropping `head` tells followers that it is over.
    pub(crate) fn run(self, mut sequencer: Sequencer, mut placer: Placer) {
        // Whatever ends this thread, nobody may wait for it for ever.
        let _stop = StopOnDrop(&self.shared);
        thread::scope(|scope| {
            // To wake thousands of callers takes as long as a sync: it is done while the next one runs.
            let (teller, answers) = mpsc::channel::<Answer>();
            scope.spawn(move || answers.into_iter().for_each(Answer::tell));
            let mut pace = Pace::default();
            while let Some(waiting) = self.shared.queue.take(&pace) {
                let mut waiting = waiting.into_iter().peekable();
                while waiting.peek().is_some() {
                    let batch = next_batch(&mut waiting, self.entries_max);
                    pace.begin(batch.len(), Instant::now());
                    if let Err(stopped) = self.write(&mut sequencer, &mut placer, batch, &teller) {
                        for turned_away in waiting {
                            // A caller that gave up has dropped its end.
                            let _ = turned_away.reply.send(Err(stopped));
                        }
                        return;
                    }
                }
                pace.end(self.shared.queue.len(), Instant::now());
            }
        });
    }

    /// Puts one batch in order, makes it durable and has its callers told. An error is final: it is what everybody else
    /// hears.
    fn write(
        &self,
        sequencer: &mut Sequencer,
        placer: &mut Placer,
        batch: Vec<Waiting>,
        teller: &mpsc::Sender<Answer>,
    ) -> Result<(), AppendError> {
        let batch = placer.place(batch, self.shared.entries.head());
        if batch.entries.is_empty() {
            return Ok(());
        }
        let outcome = match sequencer.append(batch.entries.iter().map(Vec::as_slice)) {
            Ok(_) => {
                self.announce(placer);
                Ok(())
            }
            Err(SequenceError::StorageFull) => {
                tracing::error!("entries are refused: no space for the next batch");
                placer.undo(&batch);
                Err(AppendError::StorageFull)
            }
            Err(error) => {
                tracing::error!(%error, "the ledger stops: a batch was not confirmed");
                let stopped = match error {
                    SequenceError::Fenced { .. } => AppendError::Replaced,
                    _ => AppendError::Stopped,
                };
                self.shared.queue.stop(stopped);
                tell(teller, batch, Err(stopped));
                return Err(stopped);
            }
        };
        tell(teller, batch, outcome);
        Ok(())
    }

    /// Makes what is durable known, before the callers are told: who has announced a key may sign with it.
    fn announce(&self, placer: &Placer) {
        let mut registry = self
            .shared
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *registry = placer.registry();
        drop(registry);
        let head = self.shared.entries.head();
        self.head.send_replace(head);
        self.shared.news.tell(head);
    }
}

fn next_batch(waiting: &mut Peekable<IntoIter<Waiting>>, entries_max: usize) -> Vec<Waiting> {
    let mut batch = Vec::with_capacity(waiting.len().min(entries_max));
    let mut bytes = 0usize;
    while let Some(next) = waiting.next_if(|next| {
        batch.is_empty()
            || batch.len() < entries_max && bytes.saturating_add(next.order.length()) <= BATCH_BYTES_MAX
    }) {
        bytes = bytes.saturating_add(next.order.length()).saturating_add(2);
        batch.push(next);
    }
    batch
}

fn tell(teller: &mpsc::Sender<Answer>, batch: Placed, outcome: Result<(), AppendError>) {
    let answer = Answer { batch, outcome };
    if answer.batch.entries.len() <= TELL_AT_ONCE {
        answer.tell();
    } else if let Err(mpsc::SendError(answer)) = teller.send(answer) {
        answer.tell();
    }
}
