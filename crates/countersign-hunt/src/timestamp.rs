//! Times as people and logs write them. Inside, time is a number in UTC.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcDateTime};

/// Milliseconds since 1970 of an RFC 3339 time; none for anything else and for times before 1970.
pub fn parse_rfc3339_ms(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// Milliseconds since 1970 of what a person may type: RFC 3339, a date (its first moment, UTC) or unix seconds.
pub fn parse_typed_ms(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<u64>().ok()?.checked_mul(1000);
    }
    if text.len() == 10 {
        return parse_rfc3339_ms(&format!("{text}T00:00:00Z"));
    }
    parse_rfc3339_ms(text)
}

/// RFC 3339 in UTC with milliseconds.
pub fn format_ms(time_ms: u64) -> String {
    match civil(time_ms / 1000) {
        Some(civil) => format!("{civil}.{:03}Z", time_ms % 1000),
        None => format!("{}.{:03}", time_ms / 1000, time_ms % 1000),
    }
}

/// RFC 3339 in UTC. A time after the year 9999 stays the number of seconds.
pub fn format_seconds(seconds: u64) -> String {
    civil(seconds).map_or_else(|| seconds.to_string(), |civil| format!("{civil}Z"))
}

fn civil(seconds: u64) -> Option<String> {
    let time = UtcDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_written_and_typed() {
        let noon = 1_785_585_600_000;
        for (text, expect) in [
            ("2026-08-01T12:00:00.000Z", Some(noon)),
            ("2026-08-01T12:00:00Z", Some(noon)),
            ("2026-08-01T14:00:00.25+02:00", Some(noon + 250)),
            ("1785585600", Some(noon)),
            ("2026-08-01", Some(noon - 12 * 3_600_000)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1969-12-31T23:59:59Z", None),
            ("2026-08-01T12:00:00", None),
            ("2026-13-01", None),
            ("99999999999999999999", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_typed_ms(text), expect, "{text}");
        }
        assert_eq!(parse_rfc3339_ms("1785585600"), None);
        assert_eq!(format_ms(noon + 7), "2026-08-01T12:00:00.007Z");
        assert_eq!(format_seconds(noon / 1000), "2026-08-01T12:00:00Z");
        assert_eq!(format_seconds(u64::MAX), u64::MAX.to_string());
    }
}
