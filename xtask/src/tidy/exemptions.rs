//! What may break a rule, and why. An entry that is no longer needed is a finding too.

/// `(path, what, why)`
pub(crate) type Exemption = (&'static str, &'static str, &'static str);

/// Files over the hard limit of lines of code.
pub(crate) const LONG_FILES: &[Exemption] = &[];

/// Functions over the hard limit of lines.
pub(crate) const LONG_FUNCTIONS: &[Exemption] = &[(
    "crates/countersign-gate/src/answer.rs",
    "kind",
    "one match over all reasons, so that a new one must be placed",
)];

/// Calls that only the owner of an effect may make.
pub(crate) const CALLS: &[Exemption] = &[
    (
        "crates/countersign-ledger/src/time.rs",
        "SystemTime::now",
        "a batch says when its sequencer wrote it; nothing is decided by it",
    ),
    (
        "crates/countersign-token/benches/verify.rs",
        "SystemTime::now",
        "the peer that is measured takes no clock",
    ),
    (
        "crates/countersign-token/examples/axum_service.rs",
        "SystemTime::now",
        "a service of its own, which shows where the time comes from",
    ),
    (
        "crates/countersign/src/clock.rs",
        "SystemTime::now",
        "the clock that everything else is given",
    ),
    (
        "xtask/src/process.rs",
        "thread::sleep",
        "a developer tool polls the ports of other processes",
    ),
];
