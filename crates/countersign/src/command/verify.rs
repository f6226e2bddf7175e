//! `countersign verify`: the gate's token rules, offline, for a person (`--explain`) or a machine (`--batch`).

mod request;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use countersign_token::{
    Check, Explanation, Outcome, ParsedToken, Reason, Refusal, VerifiedToken, explain, verify,
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::request::{Request, Used};
use crate::cli::Verify;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::policy::Policy;
use crate::printer::{Printer, Tone};

/// A line of a batch may hold a token and little more.
const LINE_BYTES_MAX: u64 = 64 * 1024;

pub(crate) fn run(arguments: &Verify, printer: Printer) -> Result<Exit, Failure> {
    let policy = Policy::load(&arguments.policy)?;
    let name = arguments.resource.as_deref();
    if let Some(file) = &arguments.batch {
        // A line may lack a resource that exists; a name mistyped here would refuse all of them.
        if name.is_some() && policy.resource(name).is_none() {
            return Err(unknown_resource(name, &policy));
        }
        return batch(file, arguments, &policy, printer);
    }
    let token = token_text(arguments.token.as_deref().unwrap_or("-"))?;
    let resource = policy
        .resource(name)
        .ok_or_else(|| unknown_resource(name, &policy))?;
    let check = Check::new(
        &policy.registry,
        resource,
        arguments.at.unwrap_or_else(clock::now),
    );
    let explanation = explain(token.trim(), &check);
    if printer.json() {
        printer.document(&document(&explanation, arguments.explain));
    } else {
        print(&explanation, arguments.explain, printer);
    }
    Ok(if explanation.result.is_ok() {
        Exit::Done
    } else {
        Exit::Refused
    })
}

/// The token typed, or standard input for `-`, so that it need not stand in a shell's history.
pub(crate) fn token_text(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(LINE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| {
            Failure::usage("input_unreadable", format!("cannot read standard input: {error}"))
        })?;
    Ok(text.trim().to_owned())
}

fn unknown_resource(name: Option<&str>, policy: &Policy) -> Failure {
    let message = match name {
        Some(name) => format!("the policy names no resource {name:?}"),
        None => "the policy names several resources".to_owned(),
    };
    Failure::usage("resource_unknown", message)
        .hint(format!("choose with --resource: {}", policy.resource_names()))
}

fn document(explanation: &Explanation, with_steps: bool) -> Value {
    let mut body = decision(&explanation.result);
    if let (true, Some(members)) = (with_steps, body.as_object_mut()) {
        let step = |step: &countersign_token::Step| {
            json!({
                "reason": step.reason.as_str(),
                "rule": step.rule,
                "outcome": outcome_word(step.outcome),
                "detail": step.detail,
            })
        };
        members.insert("steps".to_owned(), explanation.steps.iter().map(step).collect());
    }
    body
}

fn decision(result: &Result<VerifiedToken, Refusal>) -> Value {
    match result {
        Ok(token) => json!({
            "decision": "admit", "reason": null, "detail": null,
            "issuer": token.issuer(), "realm": token.realm(), "tenant": token.tenant(), "subject": token.subject(),
            "key_id": token.key_id(), "fingerprint": token.fingerprint().to_string(),
        }),
        Err(refusal) => refused(refusal.reason, &refusal.detail.to_string()),
    }
}

fn refused(reason: Reason, detail: &str) -> Value {
    json!({"decision": "refuse", "reason": reason.as_str(), "detail": detail})
}

fn print(explanation: &Explanation, with_steps: bool, printer: Printer) {
    if with_steps {
        for step in &explanation.steps {
            printer.line(&step_line(step, printer));
        }
        printer.line("");
    }
    match &explanation.result {
        Ok(token) => {
            printer.line(&format!(
                "{}  {} of {}",
                printer.paint(Tone::Good, "admit"),
                visible(token.subject()),
                visible(token.issuer())
            ));
            printer.line(&format!(
                "       realm {}, key {}, fingerprint {}",
                token.realm(),
                token.key_id(),
                token.fingerprint()
            ));
            printer.line("       the token rules hold; whether it was issued only the ledger can say");
        }
        Err(refusal) => {
            let verdict = printer.paint(Tone::Bad, "refuse");
            printer.line(&format!(
                "{verdict} {}: {}",
                refusal.reason.as_str(),
                refusal.detail
            ));
            printer.line(&format!("       what to do: {}", refusal.reason.remedy()));
        }
    }
}

/// A token's text without any character that a terminal could take for a command: the issuer signs it, we print it.
fn visible(text: &str) -> String {
    let visible = |each: char| if each.is_control() { '\u{fffd}' } else { each };
    text.chars().map(visible).collect()
}

fn step_line(step: &countersign_token::Step, printer: Printer) -> String {
    let (mark, tone) = match step.outcome {
        Outcome::Passed => ("pass", Tone::Good),
        Outcome::Failed => ("FAIL", Tone::Bad),
        Outcome::NotReached => ("  - ", Tone::Dim),
    };
    let detail = if step.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", step.detail)
    };
    format!(
        "{}  {:<28} {}{detail}",
        printer.paint(tone, mark),
        step.reason.as_str(),
        step.rule
    )
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::NotReached => "not_reached",
    }
}

/// One line of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    id: Value,
    token: String,
    at: Option<u64>,
    resource: Option<String>,
    /// The request that the token came with; without one it came alone.
    request: Option<Request>,
}

/// What is read of a line that is not an [`Item`], so that its answer can be told from others.
#[derive(Debug, Deserialize)]
struct Named {
    id: Value,
}

/// Every line gets a line, in order; a line that cannot be read is refused with `request_malformed`.
fn batch(file: &Path, arguments: &Verify, policy: &Policy, printer: Printer) -> Result<Exit, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(
            "file_unreadable",
            format!("cannot read {}: {error}", file.display()),
        )
        .hint("name a file with one JSON object a line, or - for standard input")
    };
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(unreadable)?)
    };
    let mut reader = BufReader::new(source);
    let batch = Batch {
        policy,
        default_now: arguments.at.unwrap_or_else(clock::now),
        default_resource: arguments.resource.as_deref(),
        used: Used::default(),
    };
    let mut all_admitted = true;
    while let Some(line) = next_line(&mut reader).map_err(unreadable)? {
        let body = match line {
            Line::Whole(line) => batch.judge(&line),
            Line::TooLong => malformed("longer than 64 KiB", Value::Null),
        };
        all_admitted &= body.get("decision") == Some(&json!("admit"));
        printer.document(&body);
    }
    Ok(if all_admitted { Exit::Done } else { Exit::Refused })
}

/// A line of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// Skipped, and answered all the same.
    TooLong,
}

fn next_line(reader: &mut impl BufRead) -> std::io::Result<Option<Line>> {
    let mut line = Vec::new();
    let read = reader
        .by_ref()
        .take(LINE_BYTES_MAX + 1)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop_if(|byte| *byte == b'\n').is_some() || read as u64 <= LINE_BYTES_MAX {
        return Ok(Some(Line::Whole(line)));
    }
    reader.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

/// What the lines of a batch are judged by.
struct Batch<'a> {
    policy: &'a Policy,
    default_now: u64,
    default_resource: Option<&'a str>,
    used: Used,
}

impl Batch<'_> {
    fn judge(&self, line: &[u8]) -> Value {
        let item: Item = match serde_json::from_slice(line) {
            Ok(item) => item,
            Err(error) => {
                let named = serde_json::from_slice::<Named>(line);
                let id = named.map_or(Value::Null, |named| named.id);
                return malformed(&format!("not a batch line (column {})", error.column()), id);
            }
        };
        let name = item.resource.as_deref().or(self.default_resource);
        let Some(resource) = self.policy.resource(name) else {
            return with_id(
                refused(Reason::ResourceUnknown, Reason::ResourceUnknown.meaning()),
                item.id,
            );
        };
        let now = item.at.unwrap_or(self.default_now);
        let check = Check::new(&self.policy.registry, resource, now);
        let result = match &item.request {
            Some(request) => request.verify(&item.token, &check, &self.used),
            None => ParsedToken::parse(&item.token).and_then(|token| verify(&token, &check)),
        };
        with_id(decision(&result), item.id)
    }
}

fn malformed(detail: &str, id: Value) -> Value {
    with_id(refused(Reason::RequestMalformed, detail), id)
}

fn with_id(mut body: Value, id: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.insert("id".to_owned(), id);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Line, next_line, visible};

    #[test]
    fn every_line_is_one_line_however_long_it_is() {
        let longest = vec![b'x'; usize::try_from(LINE_BYTES_MAX).unwrap()];
        let mut input = Vec::new();
        for line in [
            b"a".as_slice(),
            b"",
            &longest,
            &[&longest[..], b"y"].concat(),
            b"b\r",
            &longest,
        ] {
            input.extend_from_slice(line);
            input.push(b'\n');
        }
        input.pop();
        let mut reader = input.as_slice();
        let mut lengths = Vec::new();
        while let Some(line) = next_line(&mut reader).unwrap() {
            lengths.push(match line {
                Line::Whole(line) => Some(line.len()),
                Line::TooLong => None,
            });
        }
        let full = Some(longest.len());
        assert_eq!(lengths, [Some(1), Some(0), full, None, Some(2), full]);
        assert_eq!(next_line(&mut [].as_slice()).unwrap(), None);
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(visible("a\u{1b}[2Jb\u{9b}\n"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
    }
}
