//! What must always hold, and what must be able to happen.

use stateright::Property;

use super::state::{Entry, FORGED_TOKEN, Protocol, Question, State, TOKENS};

pub(super) const MISSING: &str = "a released token is in the log";
pub(super) const ROOTS: &str = "one root for one size";
pub(super) const ORDER: &str = "nothing is lost or reordered";
pub(super) const FENCED: &str = "no token of an old epoch behind its revocation";
pub(super) const REFUSED_WRONGLY: &str = "a miss is conclusive";
pub(super) const FORGED: &str = "a forged token never gets in";

pub(super) fn properties() -> Vec<Property<Protocol>> {
    let mut all = promises();
    all.extend(possibilities());
    all
}

fn promises() -> Vec<Property<Protocol>> {
    vec![
        Property::always(MISSING, |_, state: &State| {
            let content = state.content();
            state
                .released
                .iter()
                .all(|token| content.contains(&Entry::Token(*token)))
        }),
        Property::always(ROOTS, |_, state: &State| {
            let signed: Vec<_> = state.signed.iter().collect();
            let sizes: std::collections::BTreeSet<_> = signed.iter().map(|content| content.len()).collect();
            sizes.len() == signed.len() && signed.iter().all(|content| state.history.starts_with(content))
        }),
        Property::always(ORDER, |_, state: &State| state.content() == state.history),
        Property::always(FENCED, |_, state: &State| {
            let content = state.content();
            let revoked = content.iter().position(|entry| *entry == Entry::Revoked);
            revoked.is_none_or(|at| content.iter().skip(at).all(|entry| *entry == Entry::Revoked))
        }),
        // Only released tokens and the forged one are ever shown.
        Property::always(
            REFUSED_WRONGLY,
            |_, state: &State| !matches!(state.question, Question::Answered { token, admitted: false } if token != FORGED_TOKEN),
        ),
        Property::always(FORGED, |_, state: &State| {
            !matches!(
                state.question,
                Question::Answered {
                    token: FORGED_TOKEN,
                    admitted: true
                }
            )
        }),
    ]
}

/// A model in which nothing happens keeps every promise.
fn possibilities() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("all tokens are released", |_, state: &State| {
            state.released.len() == usize::from(TOKENS)
        }),
        Property::sometimes("both sequencers write", |_, state: &State| {
            let writers = state.store.iter().filter_map(|slot| match slot {
                super::state::Slot::Batch(batch) => Some(batch.writer.sequencer),
                _ => None,
            });
            writers.collect::<std::collections::BTreeSet<_>>().len() == 2
        }),
        Property::sometimes("a token is admitted", |_, state: &State| {
            matches!(state.question, Question::Answered { admitted: true, .. })
        }),
        Property::sometimes("the forged token is refused", |_, state: &State| {
            matches!(
                state.question,
                Question::Answered {
                    token: FORGED_TOKEN,
                    admitted: false
                }
            )
        }),
        Property::sometimes(
            "a create outlives its sender and is stored",
            |_, state: &State| {
                state.store.iter().any(|slot| match slot {
                    super::state::Slot::Batch(batch) => {
                        let sender = state.sequencers.get(usize::from(batch.writer.sequencer));
                        sender.is_some_and(|it| it.start > batch.writer.start)
                    }
                    _ => false,
                })
            },
        ),
        Property::sometimes("a batch is archived and the log signed", |_, state: &State| {
            !state.archive.is_empty() && !state.signed.is_empty()
        }),
        Property::sometimes(
            "the key is revoked before a token is recorded",
            |_, state: &State| state.content().first() == Some(&Entry::Revoked) && state.submitted.len() > 1,
        ),
    ]
}
