//! What can happen next.

use stateright::{Model, Property};

use super::check;
use super::state::{
    BATCHES, Batch, CRASHES, Entry, FORGED_TOKEN, Flight, Mutant, Protocol, Question, Reply, Sequencer, Slot,
    State, TOKENS, Writer,
};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// An entry reaches a sequencer.
    Submit(u8, Entry),
    /// A sequencer forms a batch of all that waits and sends its create.
    Send(u8),
    /// The store executes a create.
    Store(Flight),
    /// An answer arrives.
    Answer(Reply),
    /// No answer came in time: the sequencer reads the number back.
    ReadBack(u8),
    Crash(u8),
    Start(u8),
    /// A checkpoint over all that the sequencer knows to be durable.
    Sign(u8),
    /// The store's first batch is archived.
    Archive,
    /// A cache somewhere is filled.
    Fill,
    /// Somebody shows a token that the gate's own set holds.
    ShowKnown(u8),
    /// Somebody shows one that it does not hold, or not yet.
    ShowUnknown(u8),
    /// The gate's barrier read, asked of the store or, in a mutant, of a sequencer.
    Barrier(u8),
    Forget,
}

impl Model for Protocol {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let mut state = State::default();
        for sequencer in &mut state.sequencers {
            sequencer.running = true;
        }
        vec![state]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        for (number, sequencer) in (0u8..).zip(&state.sequencers) {
            of_sequencer(number, sequencer, state, events);
        }
        events.extend(state.flights.iter().cloned().map(Event::Store));
        events.extend(state.replies.iter().copied().map(Event::Answer));
        if matches!(
            state
                .store
                .iter()
                .find(|slot| **slot != Slot::Tombstone && **slot != Slot::Gone),
            Some(Slot::Batch(_))
        ) && state.archive.is_empty()
        {
            events.push(Event::Archive);
        }
        self.of_gate(state, events);
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = before.clone();
        match event {
            Event::Submit(to, entry) => self.submit(&mut state, to, entry),
            Event::Send(from) => self.send(&mut state, from),
            Event::Store(flight) => store(&mut state, &flight),
            Event::Answer(reply) => self.answer(&mut state, reply),
            Event::ReadBack(by) => self.read_back(&mut state, by),
            Event::Crash(which) => crash(&mut state, which),
            Event::Start(which) => start(&mut state, which),
            Event::Sign(by) => self.sign(&mut state, by),
            Event::Archive => self.archive(&mut state),
            Event::Fill => state.cache = state.content(),
            Event::ShowKnown(token) => {
                state.question = Question::Answered {
                    token,
                    admitted: true,
                }
            }
            Event::ShowUnknown(token) if self.is(Mutant::NoBarrier) => {
                state.question = Question::Answered {
                    token,
                    admitted: false,
                };
            }
            Event::ShowUnknown(token) => state.question = Question::Missed { token },
            Event::Barrier(of) => self.barrier(&mut state, of),
            Event::Forget => state.question = Question::None,
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        check::properties()
    }
}

impl Protocol {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn of_gate(&self, state: &State, events: &mut Vec<Event>) {
        if self.is(Mutant::BarrierFromCache) {
            events.push(Event::Fill);
        }
        match state.question {
            Question::None => {
                let content = state.content();
                let shown = state.released.iter().copied().chain([FORGED_TOKEN]);
                let known = |token: &u8| content.contains(&Entry::Token(*token));
                events.extend(shown.clone().filter(known).map(Event::ShowKnown));
                events.extend(shown.map(Event::ShowUnknown));
            }
            Question::Missed { .. } if self.is(Mutant::HeadFromMemory) => {
                events.extend([Event::Barrier(0), Event::Barrier(1)]);
            }
            Question::Missed { .. } => events.push(Event::Barrier(0)),
            Question::Answered { .. } => events.push(Event::Forget),
        }
    }

    fn submit(&self, state: &mut State, to: u8, entry: Entry) {
        state.submitted.insert(entry);
        let sequencer = &mut state.sequencers[usize::from(to)];
        let fenced = sequencer.log.contains(&Entry::Revoked);
        if !(self.is(Mutant::FenceAtTheDoor) && fenced) {
            sequencer.queue.push(entry);
        }
    }

    /// The batch's number is fixed only now, and everything below it is known: this is where epochs are compared.
    fn send(&self, state: &mut State, from: u8) {
        let sequencer = &mut state.sequencers[usize::from(from)];
        let mut entries = std::mem::take(&mut sequencer.queue);
        if !self.is(Mutant::FenceAtTheDoor) {
            let mut fenced = sequencer.log.contains(&Entry::Revoked);
            entries.retain(|entry| {
                let keep = *entry == Entry::Revoked || !fenced;
                fenced |= *entry == Entry::Revoked;
                keep
            });
        }
        if entries.is_empty() {
            return;
        }
        let batch = Batch {
            writer: Writer {
                sequencer: from,
                start: sequencer.start,
            },
            entries,
        };
        let number = sequencer.next;
        sequencer.pending = Some(batch.clone());
        if self.is(Mutant::ReleaseBeforeDurable) {
            release(state, &batch);
        }
        state.flights.insert(Flight { number, batch });
    }

    fn answer(&self, state: &mut State, reply: Reply) {
        state.replies.remove(&reply);
        let sequencer = &state.sequencers[usize::from(reply.to.sequencer)];
        let awaited =
            sequencer.running && sequencer.start == reply.to.start && sequencer.next == reply.number;
        if !awaited || sequencer.pending.is_none() {
            return;
        }
        if reply.created || self.is(Mutant::ConflictIsSuccess) {
            confirm(state, reply.to.sequencer);
        } else {
            self.read_back(state, reply.to.sequencer);
        }
    }

    /// The only way to learn what became of a create: look what lies at its number.
    fn read_back(&self, state: &mut State, by: u8) {
        if self.is(Mutant::TimeoutIsSuccess) {
            return confirm(state, by);
        }
        let sequencer = &mut state.sequencers[usize::from(by)];
        let Some(pending) = sequencer.pending.clone() else {
            return;
        };
        if self.is(Mutant::SkipReadBack) {
            sequencer.pending = None;
            return;
        }
        let number = sequencer.next;
        match state.store.get(usize::from(number)) {
            Some(Slot::Batch(found)) if found.writer == pending.writer => {
                // With the rule, one writer has one batch for one number, so the writer's name is enough.
                confirm(state, by);
            }
            Some(Slot::Batch(_) | Slot::Tombstone) => sequencer.running = false,
            Some(Slot::Gone) | None => {
                let mut batch = pending;
                if self.is(Mutant::RetryOtherBytes) {
                    batch.entries.append(&mut sequencer.queue);
                    sequencer.pending = Some(batch.clone());
                }
                state.flights.insert(Flight { number, batch });
            }
        }
    }

    fn sign(&self, state: &mut State, by: u8) {
        let sequencer = &state.sequencers[usize::from(by)];
        let mut content = sequencer.log.clone();
        if self.is(Mutant::SignUnconfirmed) {
            content.extend(sequencer.pending.iter().flat_map(|batch| &batch.entries));
        }
        state.signed.insert(content);
    }

    fn archive(&self, state: &mut State) {
        let gone = self.is(Mutant::ReuseNumbers);
        let first = state.store.iter_mut().find(|slot| matches!(slot, Slot::Batch(_)));
        if let Some(slot) = first {
            let left = if gone { Slot::Gone } else { Slot::Tombstone };
            if let Slot::Batch(batch) = std::mem::replace(slot, left) {
                state.archive.extend(batch.entries);
            }
        }
    }

    /// Asked after the token was shown; what is not in it was never issued.
    fn barrier(&self, state: &mut State, of: u8) {
        let Question::Missed { token } = state.question else {
            return;
        };
        let head = match self.mutant {
            Some(Mutant::BarrierFromCache) => state.cache.clone(),
            Some(Mutant::HeadFromMemory) => state.sequencers[usize::from(of)].log.clone(),
            _ => state.content(),
        };
        let fresh_looking = self.is(Mutant::AdmitFreshLooking);
        let admitted = head.contains(&Entry::Token(token)) || fresh_looking;
        state.question = Question::Answered { token, admitted };
    }
}

fn of_sequencer(number: u8, sequencer: &Sequencer, state: &State, events: &mut Vec<Event>) {
    if !sequencer.running {
        if sequencer.start < 1 {
            events.push(Event::Start(number));
        }
        return;
    }
    let entries = (0..TOKENS).map(Entry::Token).chain([Entry::Revoked]);
    events.extend(
        entries
            .filter(|entry| !state.submitted.contains(entry))
            .map(|entry| Event::Submit(number, entry)),
    );
    if sequencer.pending.is_some() {
        events.push(Event::ReadBack(number));
    } else if !sequencer.queue.is_empty() && usize::from(sequencer.next) < BATCHES {
        events.push(Event::Send(number));
    }
    if !sequencer.log.is_empty() {
        events.push(Event::Sign(number));
    }
    if state.crashes < CRASHES {
        events.push(Event::Crash(number));
    }
}

fn store(state: &mut State, flight: &Flight) {
    state.flights.remove(flight);
    let at = usize::from(flight.number);
    let free = at == state.store.len() || state.store.get(at) == Some(&Slot::Gone);
    if free {
        state.history.extend(&flight.batch.entries);
        let slot = Slot::Batch(flight.batch.clone());
        match state.store.get_mut(at) {
            Some(gone) => *gone = slot,
            None => state.store.push(slot),
        }
    }
    state.replies.insert(Reply {
        to: flight.batch.writer,
        number: flight.number,
        created: free,
    });
}

/// The batch is in the store: its tokens leave, and the next number is this sequencer's to try.
fn confirm(state: &mut State, by: u8) {
    let sequencer = &mut state.sequencers[usize::from(by)];
    let Some(batch) = sequencer.pending.take() else {
        return;
    };
    sequencer.log.extend(&batch.entries);
    sequencer.next += 1;
    release(state, &batch);
}

fn release(state: &mut State, batch: &Batch) {
    let tokens = batch.entries.iter().filter_map(|entry| match entry {
        Entry::Token(token) => Some(*token),
        Entry::Revoked => None,
    });
    state.released.extend(tokens);
}

/// Memory is lost; what is on its way to the store stays on its way.
fn crash(state: &mut State, which: u8) {
    let sequencer = &mut state.sequencers[usize::from(which)];
    sequencer.running = false;
    sequencer.log.clear();
    sequencer.next = 0;
    sequencer.queue.clear();
    sequencer.pending = None;
    state.crashes += 1;
}

/// A start reads the whole log from the store.
fn start(state: &mut State, which: u8) {
    let content = state.content();
    let next = u8::try_from(state.store.len()).unwrap_or(u8::MAX);
    let sequencer = &mut state.sequencers[usize::from(which)];
    sequencer.running = true;
    sequencer.start += 1;
    sequencer.log = content;
    sequencer.next = next;
    sequencer.queue.clear();
    sequencer.pending = None;
}
