//! The report for a person: one screen. Text from logs is hostile and never reaches the terminal unescaped.

use std::fmt::Write as _;

use countersign_hunt::finding::{Finding, Picture, Severity, Values};
use countersign_hunt::report::{Count, Outcome, Report};
use countersign_hunt::verdict::Verdict;

use crate::printer::{Printer, Tone};

/// Findings that fit on a screen; the JSON document has them all.
const FINDINGS_SHOWN: usize = 4;
/// Values of one sort that fit on a line.
const VALUES_SHOWN: usize = 3;
/// Characters of a value that are shown.
const VALUE_LENGTH: usize = 48;

/// The whole report as text.
pub(crate) fn render(report: &Report, printer: Printer) -> String {
    let mut out = String::new();
    evidence(&mut out, report);
    verdicts(&mut out, report, printer);
    for finding in report.findings.iter().take(FINDINGS_SHOWN) {
        show(&mut out, finding, printer);
    }
    let hidden = report.findings.len().saturating_sub(FINDINGS_SHOWN);
    if hidden > 0 {
        line(&mut out, &format!("\n… and {hidden} more: --json lists all"));
    }
    conclusion(&mut out, report, printer);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// What was compared with what.
fn evidence(out: &mut String, report: &Report) {
    let (ledger, coverage, input) = (&report.ledger, &report.coverage, &report.input);
    let span = match (&coverage.from, &coverage.until) {
        (Some(from), Some(until)) => format!("{from} to {until}, less {} s", coverage.clock_skew_seconds),
        _ => "nothing: no token was issued yet".to_owned(),
    };
    let (origin, root) = (clean(&ledger.origin), ledger.root.get(..16).unwrap_or_default());
    line(
        out,
        &format!(
            "ledger    {origin}: {} entries verified, root {root}…",
            ledger.size
        ),
    );
    let (issuers, keys) = (coverage.issuers, coverage.keys);
    line(
        out,
        &format!("covers    {span}; issuers: {issuers}, keys: {keys}"),
    );
    let mut logs = format!("logs      {} rows in {} file(s)", input.rows, input.files.len());
    for (count, what) in [
        (input.outside_range, "outside the time range"),
        (input.duplicates, "duplicates"),
        (input.rejects.rows, "rejected"),
    ] {
        if count > 0 {
            let _ = write!(logs, ", {count} {what}");
        }
    }
    line(out, &logs);
    if let Some(reject) = input.rejects.first.first() {
        let (file, cause) = (clean(&reject.file), word(&reject.cause));
        line(
            out,
            &format!("          first rejected: {file}:{} {cause}", reject.line),
        );
    }
}

fn verdicts(out: &mut String, report: &Report, printer: Printer) {
    line(
        out,
        &printer.paint(Tone::Dim, "\nverdict                  uses   admitted"),
    );
    let row = |name: &str, count: &Count| format!("{name:<20} {:>8} {:>10}", count.uses, count.admitted);
    for (verdict, count) in &report.verdicts {
        let text = row(verdict.as_str(), count);
        let tone = if verdict.is_finding() && count.uses > 0 {
            Tone::Bad
        } else {
            Tone::Strong
        };
        line(
            out,
            &if count.uses > 0 {
                printer.paint(tone, &text)
            } else {
                text
            },
        );
        if *verdict == Verdict::OutsideCoverage {
            for (gap, count) in &report.gaps {
                line(
                    out,
                    &printer.paint(Tone::Dim, &row(&format!("  {}", word(gap)), count)),
                );
            }
        }
    }
    let judged = report.judged;
    let share = judged
        .share
        .map(|share| format!(" ({:.1} %)", share * 100.0))
        .unwrap_or_default();
    line(
        out,
        &format!("judged {} of {} uses{share}", judged.judged, judged.uses),
    );
}

fn show(out: &mut String, finding: &Finding, printer: Printer) {
    let tone = match finding.severity {
        Severity::Critical => Tone::Bad,
        Severity::High => Tone::Warn,
        Severity::Low => Tone::Dim,
    };
    let severity = printer.paint(tone, finding.severity.as_str());
    let key = finding
        .key_id
        .as_deref()
        .map_or_else(|| "no key id".to_owned(), |key| format!("key {}", clean(key)));
    line(out, &format!("\n{severity}  {}  {key}", finding.verdict.as_str()));
    let (admitted, refused) = (finding.admitted.uses, finding.refused.uses);
    let (first, last) = (&finding.first_use, &finding.last_use);
    let proved = finding.signature_proved;
    line(
        out,
        &format!(
            "  {admitted} admitted, {refused} refused, {proved} with a good signature; {first} to {last}"
        ),
    );
    if !finding.differences.is_empty() {
        let differences: Vec<String> = finding.differences.keys().map(word).collect();
        line(
            out,
            &format!("  log and ledger differ in {}", differences.join(", ")),
        );
    }
    let (name, picture) = if admitted > 0 {
        ("admitted", &finding.admitted)
    } else {
        ("refused, as claimed", &finding.refused)
    };
    who(out, name, picture);
}

fn who(out: &mut String, name: &str, picture: &Picture) {
    line(
        out,
        &format!(
            "  {name}: subjects {}; addresses {}; resources {}",
            few(&picture.subjects),
            few(&picture.source_ips),
            few(&picture.resources)
        ),
    );
    if let Some(row) = picture.evidence.first() {
        line(
            out,
            &format!(
                "  see {}:{} (fingerprint {})",
                clean(&row.file),
                row.line,
                row.fingerprint
            ),
        );
    }
}

fn conclusion(out: &mut String, report: &Report, printer: Printer) {
    let critical = report.findings.iter().any(|it| it.severity == Severity::Critical);
    let high = report.findings.iter().any(|it| it.severity == Severity::High);
    let (tone, text) = match report.outcome {
        Outcome::NoFindings => (Tone::Good, "no findings in the uses that could be judged"),
        Outcome::CannotTell => (
            Tone::Warn,
            "cannot tell: no use could be judged. The table says why; a newer copy of the ledger or the ledger of the \
             issuers in the log may help",
        ),
        Outcome::Findings if critical || high => (
            Tone::Bad,
            "next: mark the keys as suspect (countersign key suspect KEY), then look at the rows above",
        ),
        Outcome::Findings => (
            Tone::Warn,
            "only attempts that failed before the signature; no key need be lost",
        ),
    };
    line(out, &format!("\n{}", printer.paint(tone, text)));
}

fn few(values: &Values) -> String {
    let mut shown: Vec<String> = values
        .values
        .iter()
        .take(VALUES_SHOWN)
        .map(|value| clean(value))
        .collect();
    let hidden = values.values.len().saturating_sub(VALUES_SHOWN);
    if shown.is_empty() {
        return "-".to_owned();
    }
    if hidden > 0 {
        let more = if values.more { "+" } else { "" };
        shown.push(format!("and {hidden}{more} more"));
    }
    shown.join(", ")
}

/// Foreign text for a terminal: what is not printable is escaped, and it is cut.
fn clean(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == VALUE_LENGTH {
            out.push('…');
            break;
        }
        match character {
            '"' | '\'' | '\\' => out.push(character),
            _ => out.extend(character.escape_debug()),
        }
    }
    out
}

/// The `snake_case` word of a report's enum.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_harmless_and_short() {
        for (text, expect) in [
            ("alice@example.com", "alice@example.com"),
            ("Zoë \"'\\", "Zoë \"'\\"),
            ("\u{1b}[2J\r\n", "\\u{1b}[2J\\r\\n"),
            ("\u{202e}gpj.exe\u{0}\u{9b}1m", "\\u{202e}gpj.exe\\0\\u{9b}1m"),
        ] {
            assert_eq!(clean(text), expect);
        }
        assert_eq!(clean(&"x".repeat(1000)).chars().count(), VALUE_LENGTH + 1);
    }
}
