//! Just enough reading of Rust to tell code from comments, strings and tests.

use std::ops::RangeInclusive;

/// A Rust file split into what is code and what is comment. Both keep every line break, so line numbers agree.
#[derive(Debug)]
pub(crate) struct Source {
    /// The code: comments gone, strings and characters emptied.
    pub(crate) code: String,
    /// The text of the comments alone.
    pub(crate) comments: String,
}

/// A function found in the code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Where it starts, from 1.
    pub(crate) line: usize,
    /// Lines from `fn` to its closing brace.
    pub(crate) length: usize,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Self {
        Splitter {
            text: text.chars().collect(),
            at: 0,
            code: String::new(),
            comments: String::new(),
        }
        .split()
    }

    /// The line ranges (from 1) of items under `#[cfg(test)]`.
    pub(crate) fn test_lines(&self) -> Vec<RangeInclusive<usize>> {
        let mut ranges = Vec::new();
        for (start, _) in self
            .code
            .match_indices("#[cfg(test)]")
            .chain(self.code.match_indices("#[cfg(all(test"))
        {
            let Some(rest) = self.code.get(start..) else {
                continue;
            };
            let first = self.line_of(start);
            let length = match body(rest) {
                Some(body) => body.matches('\n').count(),
                None => rest
                    .split_once(';')
                    .map_or(0, |(item, _)| item.matches('\n').count()),
            };
            ranges.push(first..=first + length);
        }
        ranges
    }

    /// Lines that hold code, without those of tests.
    pub(crate) fn code_lines(&self) -> usize {
        let tests = self.test_lines();
        let counts = |number: usize, line: &str| {
            !line.trim().is_empty() && !tests.iter().any(|range| range.contains(&number))
        };
        self.code
            .lines()
            .enumerate()
            .filter(|(index, line)| counts(index + 1, line))
            .count()
    }

    /// Every function with a body, nested ones too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (start, _) in self.code.match_indices("fn ") {
            let before = self.code.get(..start).and_then(|text| text.chars().next_back());
            if before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
                continue;
            }
            let Some(rest) = self.code.get(start..) else {
                continue;
            };
            let name: String = rest
                .chars()
                .skip(3)
                .take_while(|it| it.is_alphanumeric() || *it == '_')
                .collect();
            if name.is_empty() {
                continue;
            }
            if let Some(body) = body(rest) {
                let length = body.matches('\n').count() + 1;
                found.push(Function {
                    name,
                    line: self.line_of(start),
                    length,
                });
            }
        }
        found
    }

    /// The line (from 1) of a byte offset into the code.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.code
            .get(..offset)
            .map_or(0, |text| text.matches('\n').count())
            + 1
    }
}

/// The text up to the brace that closes the first block, or nothing when a `;` comes before any block.
fn body(item: &str) -> Option<&str> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (offset, character) in item.char_indices() {
        match character {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces == 1 => return item.get(..=offset),
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

struct Splitter {
    text: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

impl Splitter {
    fn split(mut self) -> Source {
        while let Some(character) = self.peek(0) {
            match character {
                '/' if self.peek(1) == Some('/') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                '\'' => self.character(),
                _ => match self.raw_string_hashes() {
                    Some((prefix, hashes)) => self.raw_string(prefix, hashes),
                    None => self.word_or_sign(),
                },
            }
        }
        Source {
            code: self.code,
            comments: self.comments,
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn starts_with(&self, wanted: &str) -> bool {
        wanted
            .chars()
            .enumerate()
            .all(|(ahead, character)| self.peek(ahead) == Some(character))
    }

    fn take(&mut self, as_code: bool, as_comment: bool) {
        let Some(character) = self.peek(0) else { return };
        let blank = if character == '\n' { '\n' } else { ' ' };
        self.code.push(if as_code { character } else { blank });
        self.comments.push(if as_comment { character } else { blank });
        self.at += 1;
    }

    /// Takes a whole identifier, so that the `r` of `for` is not read as the start of a raw string.
    fn word_or_sign(&mut self) {
        let is_word = |it: char| it.is_alphanumeric() || it == '_';
        let continues = self.peek(0).is_some_and(is_word);
        self.take(true, false);
        while continues && self.peek(0).is_some_and(is_word) {
            self.take(true, false);
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|character| character != '\n') {
            self.take(false, true);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            if self.starts_with("/*") {
                depth += 1;
                self.take(false, true);
            } else if self.starts_with("*/") {
                depth = depth.saturating_sub(1);
                self.take(false, true);
            }
            self.take(false, true);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(true, false);
        while let Some(character) = self.peek(0) {
            match character {
                '\\' => {
                    self.take(false, false);
                    self.take(false, false);
                }
                '"' => return self.take(true, false),
                _ => self.take(false, false),
            }
        }
    }

    fn character(&mut self) {
        if self.peek(1) == Some('\\') {
            self.take(true, false);
            self.take(false, false);
            self.take(false, false);
            while self.peek(0).is_some_and(|character| character != '\'') {
                self.take(false, false);
            }
            self.take(true, false);
        } else if self.peek(2) == Some('\'') {
            self.take(true, false);
            self.take(false, false);
            self.take(true, false);
        } else {
            self.take(true, false);
        }
    }

    /// At `r"`, `br#"` and the like: the length of the prefix and the number of hashes.
    fn raw_string_hashes(&self) -> Option<(usize, usize)> {
        let prefix = ["r", "br", "cr"]
            .into_iter()
            .find(|prefix| self.starts_with(prefix) && matches!(self.peek(prefix.len()), Some('"' | '#')))?;
        let rest = self.text.get(self.at + prefix.len()..).unwrap_or_default();
        let hashes = rest.iter().take_while(|it| **it == '#').count();
        (self.peek(prefix.len() + hashes) == Some('"')).then_some((prefix.len(), hashes))
    }

    fn raw_string(&mut self, prefix: usize, hashes: usize) {
        for _ in 0..=prefix + hashes {
            self.take(true, false);
        }
        let end = format!("\"{}", "#".repeat(hashes));
        while self.peek(0).is_some() && !self.starts_with(&end) {
            self.take(false, false);
        }
        for _ in 0..=hashes {
            self.take(true, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        let text = "let a = \"// no {\"; // yes {\nlet b = r#\"x \" /* \"#; /* c /* d */ e */ let c = '{'; let d: &'a str;";
        let source = Source::parse(text);
        assert!(!source.code.contains('{'));
        assert!(!source.code.contains("yes"));
        assert!(source.code.contains("let c = ' '"));
        assert!(source.code.contains("&'a str"));
        assert!(source.comments.contains("// yes {"));
        assert!(source.comments.contains("e */"));
        assert_eq!(source.code.lines().count(), 2);
    }

    #[test]
    fn escapes_do_not_end_a_literal() {
        let source = Source::parse(r#"let a = "\"{"; let b = '\''; let c = '\u{1F600}'; for"{""#);
        assert!(!source.code.contains('{'), "{}", source.code);
    }

    #[test]
    fn functions_have_a_length_from_fn_to_brace() {
        let source = Source::parse(
            "pub fn one(x: [u8; 3]) -> u8 {\n    if x { 1 } else { 2 }\n}\ntrait T { fn none(&self); }\n",
        );
        assert_eq!(
            source.functions(),
            [Function {
                name: "one".to_owned(),
                line: 1,
                length: 3
            }]
        );
    }

    #[test]
    fn tests_do_not_count_as_code() {
        let source =
            Source::parse("fn a() {}\n\n// why\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
        assert_eq!(source.test_lines(), [4..=7]);
        assert_eq!(source.code_lines(), 2);
    }
}
