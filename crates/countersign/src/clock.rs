//! The one place that reads the wall clock; everything below takes time as a parameter.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Gives unix seconds (UTC).
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The same clock at two grains: the rules count seconds, the decision log milliseconds.
#[derive(Clone)]
pub(crate) struct Clocks {
    pub(crate) seconds: Clock,
    pub(crate) milliseconds: Clock,
}

/// The machine's clock.
pub(crate) fn system() -> Clocks {
    Clocks {
        seconds: Arc::new(now),
        milliseconds: Arc::new(now_ms),
    }
}

/// Unix seconds by the machine's clock; a clock before 1970 reads as 0, at which nothing verifies.
pub(crate) fn now() -> u64 {
    now_ms() / 1000
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given"
)]
fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
