use tokio::sync::oneshot::Receiver;

use super::*;
use crate::draft::{AnnouncementDraft, IssuanceDraft, KeyName, TransitionDraft};
use crate::entry::{IssuanceKind, KeyStateCode, ReasonCode};

const KEY: KeyName = KeyName {
    issuer: [1; 32],
    key: [2; 32],
};

fn announcement() -> Draft {
    AnnouncementDraft {
        key: KEY,
        realm: [3; 32],
        at: 1,
        sign_from: 1,
        sign_until: None,
    }
    .into()
}

fn transition(state: KeyStateCode) -> Draft {
    TransitionDraft {
        key: KEY,
        state,
        reason: ReasonCode::Routine,
        at: 1,
        sign_from: 1,
        sign_until: None,
    }
    .into()
}

/// Orders, and where to hear of each.
fn batch(orders: Vec<Order>) -> (Vec<Waiting>, Vec<Receiver<Result<u64, AppendError>>>) {
    let waiting = |order| {
        let (reply, receiver) = oneshot::channel();
        (Waiting { order, reply }, receiver)
    };
    orders.into_iter().map(waiting).unzip()
}

fn together(drafts: Vec<Draft>) -> Order {
    Order::Together(drafts)
}

fn issuance(placer: &Placer) -> Order {
    let registry = placer.registry();
    let epoch = registry.standing(0).unwrap().epoch;
    let draft = IssuanceDraft {
        kind: IssuanceKind::Access,
        fingerprint: [5; 32],
        key: KEY,
        epoch,
        parent_key: None,
        issued_at: 1,
        expires_at: 2,
        lineage: None,
    };
    Order::Issuance {
        entry: Entry::Issuance(crate::registry::issuance(&draft, 0))
            .encode()
            .unwrap(),
        tickets: registry.tickets(&draft).unwrap(),
    }
}

/// A placer that knows one active key, announced at 0.
fn placer() -> Placer {
    let mut placer = Placer::new(Arc::default());
    let (orders, _) = batch(vec![together(vec![
        announcement(),
        transition(KeyStateCode::Active),
    ])]);
    placer.place(orders, 0).tell(Ok(()));
    placer
}

fn answers(receivers: Vec<Receiver<Result<u64, AppendError>>>) -> Vec<Result<u64, AppendError>> {
    receivers
        .into_iter()
        .map(|mut receiver| receiver.try_recv().unwrap())
        .collect()
}

#[test]
fn a_transition_fences_what_follows_it_in_its_own_batch() {
    let mut placer = placer();
    let (orders, receivers) = batch(vec![
        issuance(&placer),
        together(vec![transition(KeyStateCode::Revoked)]),
        issuance(&placer),
        issuance(&placer),
    ]);
    let ordered = placer.place(orders, 2);
    assert_eq!(ordered.entries.len(), 2);
    ordered.tell(Ok(()));
    let fenced = Err(AppendError::EpochFenced);
    assert_eq!(answers(receivers), [Ok(2), Ok(3), fenced, fenced]);
}

#[test]
fn drafts_that_belong_together_are_all_placed_or_none() {
    let mut placer = placer();
    let before = placer.registry();
    let (orders, receivers) = batch(vec![
        together(vec![
            transition(KeyStateCode::Suspect),
            transition(KeyStateCode::Active),
        ]),
        together(Vec::new()),
        issuance(&placer),
    ]);
    let ordered = placer.place(orders, 2);
    assert_eq!(ordered.entries.len(), 1);
    ordered.tell(Ok(()));
    assert_eq!(
        answers(receivers),
        [
            Err(AppendError::TransitionNotAllowed),
            Err(AppendError::Empty),
            Ok(2)
        ]
    );
    assert_eq!(placer.registry(), before);
}

#[test]
fn a_batch_that_was_not_written_is_forgotten() {
    let mut placer = placer();
    let before = placer.registry();
    let (orders, receivers) = batch(vec![together(vec![transition(KeyStateCode::Revoked)])]);
    let ordered = placer.place(orders, 2);
    assert_ne!(placer.registry(), before);
    placer.undo(&ordered);
    ordered.tell(Err(AppendError::StorageFull));
    assert_eq!(placer.registry(), before);
    assert_eq!(answers(receivers), [Err(AppendError::StorageFull)]);
    let (orders, receivers) = batch(vec![issuance(&placer)]);
    placer.place(orders, 2).tell(Ok(()));
    assert_eq!(answers(receivers), [Ok(2)]);
}

#[test]
fn a_waypoint_stands_where_it_must_and_only_in_front_of_an_entry() {
    let mut placer = placer();
    let first = WAYPOINT_EVERY - 1;
    let refused = || together(vec![announcement()]);
    let (orders, receivers) = batch(vec![
        issuance(&placer),
        refused(),
        issuance(&placer),
        issuance(&placer),
    ]);
    let ordered = placer.place(orders, first);
    let kinds: Vec<u8> = ordered.entries.iter().map(|entry| entry[1]).collect();
    assert_eq!(kinds, [1, 6, 1, 1]);
    ordered.tell(Ok(()));
    assert_eq!(
        answers(receivers),
        [
            Ok(first),
            Err(AppendError::KeyAlreadyAnnounced),
            Ok(first + 2),
            Ok(first + 3)
        ]
    );
    let (orders, _receivers) = batch(vec![refused()]);
    assert!(placer.place(orders, 2 * WAYPOINT_EVERY).entries.is_empty());
}
