//! The crash rules, by name. In tests each can be switched off, to see that its absence is noticed.

/// What the ledger keeps to so that no failure can make it lose, reorder or fork anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nobody hears of an entry before its batch is durable.
    SyncBeforeRelease,
    /// A file's name is made durable as well as its content.
    SyncDirectories,
    /// After a failed write or sync nothing is written any more, and nothing read back is believed.
    StopAfterFailedSync,
    /// What an earlier process may have failed to sync is made durable before anything is built on it.
    SettleAtStart,
    /// A batch whose outcome is unknown is read back.
    ReadBackUnknown,
    /// While an outcome is unknown only the same bytes are tried at the same number.
    RetrySameBytes,
    /// Another writer's batch at our number stops us.
    StopWhenFenced,
    /// After a pause the newest batch is looked at before the next is created.
    LookAfterStall,
    /// Tiles are durable before a checkpoint is signed over them.
    TilesBeforeCheckpoint,
    /// The root is recomputed at start.
    RecomputeRoot,
    /// A store that has fewer entries than were signed for is refused.
    RefuseRollback,
    /// The time of a batch is never before that of the one before.
    TimeForward,
    /// Batches are removed only when full bundles hold all of their entries.
    RemoveOnlyPublished,
}

/// Whether a rule is kept: always, outside tests.
#[cfg(not(test))]
pub(crate) const fn kept(_rule: Rule) -> bool {
    true
}

/// Whether a rule is kept on this thread.
#[cfg(test)]
pub(crate) fn kept(rule: Rule) -> bool {
    BROKEN.get() != Some(rule)
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
}

/// Runs `body` on this thread without `rule`.
#[cfg(test)]
pub(crate) fn without<T>(rule: Rule, body: impl FnOnce() -> T) -> T {
    BROKEN.set(Some(rule));
    let result = body();
    BROKEN.set(None);
    result
}
