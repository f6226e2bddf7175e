//! Times and numbers as people read them. All times are UTC.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The latest second that is written as a date: the end of the year 9999.
const LATEST: u64 = 253_402_300_799;

/// `2026-03-01 12:00:00`, or none past the year 9999.
pub(crate) fn date_time(seconds: u64) -> Option<String> {
    let time = moment(seconds)?;
    let (date, clock) = (time.date(), time.time());
    Some(format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
    ))
}

/// The second that an RFC 3339 text names, if it is after 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

/// How far `then` lies from `now`: `12 s ago`, `in 3 days`, `now`.
pub(crate) fn distance(now: u64, then: u64) -> String {
    match now.abs_diff(then) {
        0 => "now".to_owned(),
        apart if then < now => format!("{} ago", span(apart)),
        apart => format!("in {}", span(apart)),
    }
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len().saturating_add(digits.len() / 3));
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && digits.len().saturating_sub(position) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number that a collection's length gives.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn moment(seconds: u64) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(seconds.min(LATEST.saturating_add(1))).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ if seconds < 2 * DAY => "1 day".to_owned(),
        _ => format!("{} days", grouped(seconds / DAY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written() {
        assert_eq!(date_time(0).as_deref(), Some("1970-01-01 00:00:00"));
        assert_eq!(date_time(1_772_366_400).as_deref(), Some("2026-03-01 12:00:00"));
        assert_eq!(date_time(LATEST).as_deref(), Some("9999-12-31 23:59:59"));
        assert_eq!(date_time(LATEST + 1), None);
        assert_eq!(date_time(u64::MAX), None);
    }

    #[test]
    fn times_are_read() {
        assert_eq!(parse("2026-03-01T12:00:00.250Z"), Some(1_772_366_400));
        assert_eq!(parse("2026-03-01T13:00:00+01:00"), Some(1_772_366_400));
        for bad in [
            "",
            "yesterday",
            "1969-12-31T23:59:59.000Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn distances_have_a_direction() {
        let check = |then, expect| assert_eq!(distance(1_000_000, then), expect);
        check(1_000_000, "now");
        check(999_941, "59 s ago");
        check(999_000, "16 min ago");
        check(990_000, "2 h ago");
        check(900_000, "1 day ago");
        check(1_000_060, "in 1 min");
        check(1_000_000 + 86_400 * 1500, "in 1,500 days");
    }

    #[test]
    fn numbers_are_grouped() {
        let check = |number, expect| assert_eq!(grouped(number), expect);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(1_234_567, "1,234,567");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }
}
