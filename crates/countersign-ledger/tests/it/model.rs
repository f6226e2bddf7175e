//! The protocol of the ledger as a small model, every state of it visited: two sequencers over one store whose answers
//! may be late or lost, crashes at any moment, a gate with barrier reads, a forger.
//!
//! What the model says, the code has to do; that it does is shown by `simulation` on the real code. What the model adds
//! is *every* order of events, also those that no test would think of, and for each rule a mutant without it that the
//! model must refuse.

mod check;
mod state;
mod step;

use stateright::{Checker as _, HasDiscoveries, Model as _};

use check::{FENCED, FORGED, MISSING, ORDER, REFUSED_WRONGLY, ROOTS};
use state::{Mutant, Protocol};

/// Explores all of it, or until `end`.
fn explore(mutant: Option<Mutant>, end: HasDiscoveries) -> impl stateright::Checker<Protocol> {
    Protocol { mutant }
        .checker()
        .threads(2)
        .finish_when(end)
        .spawn_bfs()
        .join()
}

#[test]
#[ignore = "takes half a minute; run by cargo xtask test model"]
fn the_protocol_keeps_every_promise() {
    let explored = explore(None, HasDiscoveries::AnyFailures);
    explored.assert_properties();
    assert!(explored.is_done());
    println!("model: {} states, all visited", explored.unique_state_count());
}

#[test]
fn every_rule_is_needed() {
    for (mutant, broken) in [
        (Mutant::ReleaseBeforeDurable, MISSING),
        (Mutant::TimeoutIsSuccess, MISSING),
        (Mutant::ConflictIsSuccess, MISSING),
        (Mutant::RetryOtherBytes, MISSING),
        (Mutant::SkipReadBack, MISSING),
        (Mutant::SignUnconfirmed, ROOTS),
        (Mutant::ReuseNumbers, ORDER),
        (Mutant::FenceAtTheDoor, FENCED),
        (Mutant::BarrierFromCache, REFUSED_WRONGLY),
        (Mutant::HeadFromMemory, REFUSED_WRONGLY),
        (Mutant::NoBarrier, REFUSED_WRONGLY),
        (Mutant::AdmitFreshLooking, FORGED),
    ] {
        let explored = explore(Some(mutant), HasDiscoveries::AnyOf([broken].into()));
        let discovery = explored.discovery(broken);
        let steps = discovery
            .unwrap_or_else(|| panic!("{mutant:?} is not caught"))
            .into_actions();
        println!(
            "model: without the rule, {mutant:?} breaks \"{broken}\" in {} steps",
            steps.len()
        );
    }
}
