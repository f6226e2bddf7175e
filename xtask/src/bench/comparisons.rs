//! Which bench is put beside which.

use anyhow::Result;

use super::results::Measured;
use crate::run::Log;

/// Measures something itself.
pub(super) type Measure = fn(&Log) -> Result<Vec<Measured>>;

/// What `cargo xtask bench AREA` runs and shows.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) name: &'static str,
    /// `(package, bench, filter)`
    pub(super) benches: &'static [(&'static str, &'static str, &'static [&'static str])],
    pub(super) comparisons: &'static [Comparison],
    /// What is measured beside them and compared with nothing: a part of ours, for whoever makes it faster.
    pub(super) parts: &'static [&'static str],
    /// What criterion cannot measure.
    pub(super) more: Option<Measure>,
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
    /// Milliseconds or bytes: the ratio is theirs over ours.
    pub(super) less_is_better: bool,
}

/// Beside a peer that does the same work: at least as fast.
const PEER: f64 = 1.0;

/// Beside the signature alone: a whole verification in 1.06 of its time for RS256, in 1.03 for the slower ones.
const RS256: f64 = 1.0 / 1.06;
const OTHERS: f64 = 1.0 / 1.03;
/// The large token may take 1.8 µs more than its signature, which takes 13 to 18.
const LARGE_RS256: f64 = 0.9;

pub(super) const AREAS: &[Area] = &[
    Area {
        name: "token",
        benches: &[("countersign-token", "verify", &[])],
        comparisons: &[
            token(
                "verify RS256",
                "RS256/countersign",
                "RS256/bare signature",
                "limit: the signature alone",
                RS256,
            ),
            token(
                "verify RS256",
                "RS256/countersign",
                "RS256/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify RS256",
                "RS256/countersign",
                "RS256/jose",
                "npm jose",
                PEER,
            ),
            token(
                "verify RS256, large",
                "RS256 large/countersign",
                "RS256 large/bare signature",
                "limit: the signature alone",
                LARGE_RS256,
            ),
            token(
                "verify RS256, large",
                "RS256 large/countersign",
                "RS256 large/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify RS256, large",
                "RS256 large/countersign",
                "RS256 large/jose",
                "npm jose",
                PEER,
            ),
            token(
                "verify ES256",
                "ES256/countersign",
                "ES256/bare signature",
                "limit: the signature alone",
                OTHERS,
            ),
            token(
                "verify ES256",
                "ES256/countersign",
                "ES256/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify ES256",
                "ES256/countersign",
                "ES256/jose",
                "npm jose",
                PEER,
            ),
            token(
                "verify ES256, large",
                "ES256 large/countersign",
                "ES256 large/bare signature",
                "limit: the signature alone",
                OTHERS,
            ),
            token(
                "verify ES256, large",
                "ES256 large/countersign",
                "ES256 large/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify ES256, large",
                "ES256 large/countersign",
                "ES256 large/jose",
                "npm jose",
                PEER,
            ),
            token(
                "verify EdDSA",
                "EdDSA/countersign",
                "EdDSA/bare signature",
                "limit: the signature alone",
                OTHERS,
            ),
            token(
                "verify EdDSA",
                "EdDSA/countersign",
                "EdDSA/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify EdDSA",
                "EdDSA/countersign",
                "EdDSA/jose",
                "npm jose",
                PEER,
            ),
            token(
                "verify EdDSA, large",
                "EdDSA large/countersign",
                "EdDSA large/bare signature",
                "limit: the signature alone",
                OTHERS,
            ),
            token(
                "verify EdDSA, large",
                "EdDSA large/countersign",
                "EdDSA large/jsonwebtoken",
                "jsonwebtoken",
                PEER,
            ),
            token(
                "verify EdDSA, large",
                "EdDSA large/countersign",
                "EdDSA large/jose",
                "npm jose",
                PEER,
            ),
            token(
                "verify ML-DSA-44",
                "ML-DSA-44/countersign",
                "ML-DSA-44/bare signature",
                "limit: the signature alone",
                OTHERS,
            ),
            token(
                "verify ML-DSA-44, large",
                "ML-DSA-44 large/countersign",
                "ML-DSA-44 large/bare signature",
                "limit: the signature alone",
                OTHERS,
            ),
        ],
        parts: &[
            "RS256/parse only",
            "RS256 large/parse only",
            "ES256/parse only",
            "ES256 large/parse only",
            "EdDSA/parse only",
            "EdDSA large/parse only",
            "ML-DSA-44/parse only",
            "ML-DSA-44 large/parse only",
            "parts/sha256",
            "parts/rules up to the signature",
            "parts/malformed: no token",
            "parts/malformed: not base64url",
            "parts/malformed: alg none",
            "parts/malformed: claim twice",
        ],
        more: Some(super::jose::measure),
    },
    Area {
        name: "ledger",
        benches: &[
            ("countersign-token", "verify", &["RS256/bare signature"]),
            ("countersign-ledger", "append", &[]),
            ("countersign-ledger", "follow", &[]),
        ],
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
            // Beside Tessera, with latencies.
            hammer(
                "append, 1 caller waiting",
                ("ours/1/per_second", "tessera/1/per_second", "Tessera POSIX"),
                "entries/s",
                5.0,
                false,
            ),
            hammer(
                "append p50, 1 caller waiting",
                ("ours/1/p50_ms", "tessera/1/p50_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p99, 1 caller waiting",
                ("ours/1/p99_ms", "tessera/1/p99_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p999, 1 caller waiting",
                ("ours/1/p999_ms", "tessera/1/p999_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append, 64 callers waiting",
                ("ours/64/per_second", "tessera/64/per_second", "Tessera POSIX"),
                "entries/s",
                5.0,
                false,
            ),
            hammer(
                "append p50, 64 callers waiting",
                ("ours/64/p50_ms", "tessera/64/p50_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p99, 64 callers waiting",
                ("ours/64/p99_ms", "tessera/64/p99_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p999, 64 callers waiting",
                ("ours/64/p999_ms", "tessera/64/p999_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append, 1,000 callers waiting",
                ("ours/1000/per_second", "tessera/1000/per_second", "Tessera POSIX"),
                "entries/s",
                5.0,
                false,
            ),
            hammer(
                "append p50, 1,000 callers waiting",
                ("ours/1000/p50_ms", "tessera/1000/p50_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p99, 1,000 callers waiting",
                ("ours/1000/p99_ms", "tessera/1000/p99_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p999, 1,000 callers waiting",
                ("ours/1000/p999_ms", "tessera/1000/p999_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append, 10,000 callers waiting",
                (
                    "ours/10000/per_second",
                    "tessera/10000/per_second",
                    "Tessera POSIX",
                ),
                "entries/s",
                5.0,
                false,
            ),
            hammer(
                "append p50, 10,000 callers waiting",
                ("ours/10000/p50_ms", "tessera/10000/p50_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p99, 10,000 callers waiting",
                ("ours/10000/p99_ms", "tessera/10000/p99_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p999, 10,000 callers waiting",
                ("ours/10000/p999_ms", "tessera/10000/p999_ms", "Tessera POSIX"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "append p50, 1 caller waiting",
                ("ours/1/p50_ms", "sync/p50_ms", "limit: one fdatasync"),
                "ms",
                0.77,
                true,
            ),
            hammer(
                "append, 10,000 callers waiting",
                ("ours/10000/per_second", "goal/appends", "the goal"),
                "entries/s",
                1.0,
                false,
            ),
            hammer(
                "append p99, 10,000 callers waiting",
                ("ours/10000/p99_ms", "goal/p99_ms", "the goal"),
                "ms",
                1.0,
                true,
            ),
            hammer(
                "audit, one core",
                ("audit/ours/1", "audit/fsck/1", "Tessera fsck"),
                "entries/s",
                1.0,
                false,
            ),
            hammer(
                "audit, one core",
                ("audit/ours/1", "goal/audit", "the goal"),
                "entries/s",
                1.0,
                false,
            ),
            hammer(
                "audit, two cores",
                ("audit/ours/2", "audit/fsck/2", "Tessera fsck"),
                "entries/s",
                1.0,
                false,
            ),
            hammer(
                "stored for a token, tiles and bundles",
                ("bytes/published_bytes", "goal/bytes", "the goal"),
                "bytes",
                1.0,
                true,
            ),
            Comparison {
                name: "issued set, look-up among 10 M",
                ours: "issued/look-up of a recorded token",
                theirs: "RS256/bare signature",
                peer: "the signature check before it; fifty times as fast is 2 % of it",
                unit: "look-ups/s",
                goal: 50.0,
                less_is_better: false,
            },
            Comparison {
                name: "issued set, memory of 10 M",
                ours: "issued/memory",
                theirs: "issued/twelve bytes a token",
                peer: "the goal: 12 bytes a token",
                unit: "tokens/GB",
                goal: 1.0,
                less_is_better: false,
            },
            Comparison {
                name: "follow: hear, hash, prove, decode, keep",
                ours: "follow/entries",
                theirs: "follow/a million a second",
                peer: "the goal",
                unit: "entries/s",
                goal: 1.0,
                less_is_better: false,
            },
        ],
        parts: &[
            "issued/look-up of a forged token",
            "sync/per_second",
            "sync/p99_ms",
            "sync/p999_ms",
            "bytes/journal_bytes",
        ],
        more: Some(super::ledger::measure),
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
            less_is_better: false,
        }],
        parts: &[],
        more: None,
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
        less_is_better: false,
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
        less_is_better: false,
    }
}

/// Ours, theirs and who they are.
const fn hammer(
    name: &'static str,
    (ours, theirs, peer): (&'static str, &'static str, &'static str),
    unit: &'static str,
    goal: f64,
    less_is_better: bool,
) -> Comparison {
    Comparison {
        name,
        ours,
        theirs,
        peer,
        unit,
        goal,
        less_is_better,
    }
}
