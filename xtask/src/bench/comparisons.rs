//! Which bench is put beside which.

/// What `cargo xtask bench AREA` runs and shows.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) name: &'static str,
    /// `(package, bench, filter)`
    pub(super) benches: &'static [(&'static str, &'static str, &'static [&'static str])],
    pub(super) comparisons: &'static [Comparison],
    /// What is measured beside them and compared with nothing: a part of ours, for whoever makes it faster.
    pub(super) parts: &'static [&'static str],
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

/// Beside a peer that does the same work: at least as fast.
const PEER: f64 = 1.0;

pub(super) const AREAS: &[Area] = &[
    Area {
        name: "token",
        benches: &[("countersign-token", "verify", &[])],
        comparisons: &[
            token(
                "verify ES256",
                "ES256/countersign",
                "ES256/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify RS256",
                "RS256/countersign",
                "RS256/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify EdDSA",
                "EdDSA/countersign",
                "EdDSA/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            // Everything but the signature takes about a microsecond, whatever the algorithm.
            token(
                "verify ES256",
                "ES256/countersign",
                "ES256/bare signature",
                "limit: the signature alone",
                0.97,
            ),
            token(
                "verify RS256",
                "RS256/countersign",
                "RS256/bare signature",
                "limit: the signature alone",
                0.94,
            ),
            token(
                "verify RS256, 1,666 bytes",
                "RS256 large/countersign",
                "RS256 large/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify RS256, 1,666 bytes",
                "RS256 large/countersign",
                "RS256 large/bare signature",
                "limit: the signature alone",
                0.9,
            ),
            token(
                "verify EdDSA",
                "EdDSA/countersign",
                "EdDSA/bare signature",
                "limit: the signature alone",
                0.97,
            ),
        ],
        parts: &[
            "ES256/parse only",
            "RS256/parse only",
            "EdDSA/parse only",
            "RS256 large/parse only",
            "parts/sha256",
            "parts/rules up to the signature",
            "parts/malformed: no token",
            "parts/malformed: not base64url",
            "parts/malformed: alg none",
            "parts/malformed: claim twice",
        ],
    },
    Area {
        name: "ledger",
        benches: &[("countersign-ledger", "append", &[])],
        // Callers wait for their own entry, so one caller pays a sync each, and many share one. The limit has no tree:
        // with very many callers the two hashes an entry (about 0.3 µs) weigh as much as the write.
        comparisons: &[
            ledger("append, 1 caller", "append/ledger/1", "append/raw/1", 0.5),
            ledger("append, 64 callers", "append/ledger/64", "append/raw/64", 0.5),
            ledger(
                "append, 1,000 callers",
                "append/ledger/1000",
                "append/raw/1000",
                0.5,
            ),
            ledger(
                "append, 4,000 callers",
                "append/ledger/4000",
                "append/raw/4000",
                0.5,
            ),
        ],
        parts: &[],
    },
    Area {
        name: "gate",
        benches: &[
            ("countersign-token", "verify", &["ES256/bare signature"]),
            ("countersign-gate", "decide", &[]),
        ],
        comparisons: &[Comparison {
            name: "decide and log, recorded",
            ours: "decide/es256_recorded",
            theirs: "ES256/bare signature",
            peer: "limit: the signature alone",
            unit: "decisions/s",
            goal: 0.75,
        }],
        parts: &[],
    },
];

const fn token(
    name: &'static str,
    ours: &'static str,
    theirs: &'static str,
    peer: &'static str,
    goal: f64,
) -> Comparison {
    Comparison {
        name,
        ours,
        theirs,
        peer,
        unit: "tokens/s",
        goal,
    }
}

const fn ledger(name: &'static str, ours: &'static str, theirs: &'static str, goal: f64) -> Comparison {
    Comparison {
        name,
        ours,
        theirs,
        peer: "limit: write and sync of as many entries at once",
        unit: "entries/s",
        goal,
    }
}
