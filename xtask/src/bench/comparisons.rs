//! Which bench is put beside which.

/// What `cargo xtask bench AREA` runs and shows.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) name: &'static str,
    /// `(package, bench, filter)`
    pub(super) benches: &'static [(&'static str, &'static str, &'static [&'static str])],
    pub(super) comparisons: &'static [Comparison],
}

/// One row.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) name: &'static str,
    /// criterion's id of ours.
    pub(super) ours: &'static str,
    /// criterion's id of what it is compared with.
    pub(super) theirs: &'static str,
    /// What that is, for the reader.
    pub(super) peer: &'static str,
    pub(super) unit: &'static str,
    /// The ratio to reach.
    pub(super) goal: f64,
}

pub(super) const AREAS: &[Area] = &[
    Area {
        name: "token",
        benches: &[("countersign-token", "verify", &[])],
        comparisons: &[],
    },
    Area {
        name: "ledger",
        benches: &[("countersign-ledger", "append", &[])],
        comparisons: &[],
    },
    Area {
        name: "gate",
        benches: &[("countersign-gate", "decide", &[])],
        comparisons: &[],
    },
];
