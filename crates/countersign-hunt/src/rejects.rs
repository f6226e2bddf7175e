//! Rows that could not be read: counted, and listed where somebody asks for it. Their text is never copied: a file
//! that is no decision log may hold tokens.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::normal_form::Position;
use crate::source::decisions::Fault;

/// How many rejected rows the report itself names.
const FIRST_MAX: usize = 5;

/// Counts rejected rows and writes one JSON object a line to a sink.
#[derive(Debug)]
pub struct Rejects<W> {
    summary: RejectSummary,
    sink: Option<W>,
}

/// What a report says of rejected rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RejectSummary {
    /// How many.
    pub rows: u64,
    /// By what was wrong.
    pub causes: BTreeMap<Fault, u64>,
    /// The first of them.
    pub first: Vec<Reject>,
}

/// One rejected row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// The file, as it was named.
    pub file: String,
    /// Line, counted from 1.
    pub line: u64,
    /// Offset of the line's first byte.
    pub offset: u64,
    /// What is wrong.
    pub cause: Fault,
}

impl<W: Write> Rejects<W> {
    /// Counts, and lists in `sink` if there is one.
    pub fn new(sink: Option<W>) -> Self {
        Self {
            summary: RejectSummary::default(),
            sink,
        }
    }

    /// Takes in one rejected row.
    pub fn add(&mut self, file: &str, position: Position, cause: Fault) -> io::Result<()> {
        let reject = Reject {
            file: file.to_owned(),
            line: position.line,
            offset: position.offset,
            cause,
        };
        if let Some(sink) = &mut self.sink {
            serde_json::to_writer(&mut *sink, &reject)?;
            sink.write_all(b"\n")?;
        }
        self.summary.rows += 1;
        *self.summary.causes.entry(cause).or_default() += 1;
        if self.summary.first.len() < FIRST_MAX {
            self.summary.first.push(reject);
        }
        Ok(())
    }

    /// Completes the list and gives the counts.
    pub fn finish(mut self) -> io::Result<RejectSummary> {
        if let Some(sink) = &mut self.sink {
            sink.flush()?;
        }
        Ok(self.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_and_counted_and_a_few_are_named() {
        let mut list = Vec::new();
        let mut rejects = Rejects::new(Some(&mut list));
        for line in 1..=7 {
            let cause = if line == 7 {
                Fault::Truncated
            } else {
                Fault::NotJson
            };
            rejects
                .add(
                    "a.ndjson",
                    Position {
                        line,
                        offset: line * 10,
                    },
                    cause,
                )
                .unwrap();
        }
        let summary = rejects.finish().unwrap();
        assert_eq!((summary.rows, summary.first.len()), (7, FIRST_MAX));
        assert_eq!(
            summary.causes,
            BTreeMap::from([(Fault::NotJson, 6), (Fault::Truncated, 1)])
        );
        let list = String::from_utf8(list).unwrap();
        assert_eq!(list.lines().count(), 7);
        assert_eq!(
            list.lines().last(),
            Some(r#"{"file":"a.ndjson","line":7,"offset":70,"cause":"truncated"}"#)
        );
    }
}
