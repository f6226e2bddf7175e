use std::sync::Arc;

use time::OffsetDateTime;

/// Gives the time in seconds since 1970 (UTC).
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Gives the time in milliseconds since 1970 (UTC). The decision log is written to the millisecond;
/// the token rules see the same clock in whole seconds.
pub type ClockMs = Arc<dyn Fn() -> u64 + Send + Sync>;

pub(crate) const fn seconds(milliseconds: u64) -> u64 {
    milliseconds / 1000
}

/// RFC 3339 in UTC with milliseconds: `2026-03-01T12:00:00.250Z`.
pub(crate) fn rfc3339(milliseconds: u64) -> String {
    let whole = i64::try_from(seconds(milliseconds)).ok();
    let time = whole.and_then(|whole| OffsetDateTime::from_unix_timestamp(whole).ok());
    // Only a clock past the year 9999 gets here; the line must keep its form.
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        milliseconds % 1000,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_to_the_millisecond() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_772_366_400_250), "2026-03-01T12:00:00.250Z");
        assert_eq!(rfc3339(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(rfc3339(u64::MAX), "1970-01-01T00:00:00.615Z");
    }
}
