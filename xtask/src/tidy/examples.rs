//! Each public item of the library that others embed has an example in its documentation, which `cargo test` runs.
//!
//! Asked for: structs, enums, traits, functions, and what makes a value (an associated function without `self`). Such a
//! function may be shown by the example of its type instead of one of its own. Accessors belong to the example of their
//! type. The lint `unreachable_pub` sees to it that what says `pub` is public.

use super::Finding;
use crate::source::Source;
use crate::workspace::Workspace;

const CRATE: &str = "crates/countersign-token/src/";

/// Every item has its example.
pub(super) fn complete(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in workspace.rust().filter(|it| it.path.starts_with(CRATE)) {
        let items = items(&file.text);
        let has_example = |item: &Item| {
            let of_type = |it: &&Item| it.kind == Kind::Type && Some(&it.name) == item.made.as_ref();
            let shown = format!("{}::{}(", item.made.as_deref().unwrap_or_default(), item.name);
            item.is_shown()
                || items
                    .iter()
                    .filter(of_type)
                    .any(|it| it.examples().contains(&shown))
        };
        for item in items.iter().filter(|item| !has_example(item)) {
            findings.push(Finding::at(
                &file.path,
                item.line,
                format!("{} has no example", item.full_name()),
            ));
        }
    }
    findings
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A struct, an enum or a trait.
    Type,
    Function,
}

#[derive(Debug)]
struct Item {
    kind: Kind,
    name: String,
    /// For an associated function: the type it makes.
    made: Option<String>,
    line: usize,
    docs: String,
}

impl Item {
    fn full_name(&self) -> String {
        match &self.made {
            Some(made) => format!("{made}::{}", self.name),
            None => self.name.clone(),
        }
    }

    fn is_shown(&self) -> bool {
        !self.examples().is_empty()
    }

    /// The code of the blocks that are compiled and run.
    fn examples(&self) -> String {
        let mut examples = String::new();
        let mut block: Option<bool> = None;
        for line in self.docs.lines() {
            match (line.strip_prefix("```"), block) {
                (Some(kind), None) => block = Some(kind.is_empty()),
                (Some(_), Some(_)) => block = None,
                (None, Some(true)) => examples.extend([line, "\n"]),
                (None, _) => {}
            }
        }
        examples
    }
}

/// The public items of a file, without its tests.
fn items(text: &str) -> Vec<Item> {
    let tests = Source::parse(text).test_lines();
    let mut items = Vec::new();
    let (mut docs, mut of) = (String::new(), None);
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if tests.iter().any(|range| range.contains(&number)) {
            continue;
        }
        let code = line.trim_start();
        if let Some(doc) = code.strip_prefix("///") {
            docs.extend([doc.strip_prefix(' ').unwrap_or(doc), "\n"]);
            continue;
        }
        if let Some(rest) = line.strip_prefix("impl") {
            // A trait's functions are documented where the trait is.
            of = (!rest.contains(" for ")).then(|| name_behind(rest.trim_start_matches(generics)));
        }
        if let Some((kind, name)) = declared(code) {
            let is_method = kind == Kind::Function && line != code;
            let made = if is_method { of.clone() } else { None };
            if !is_method || !takes_self(text, number) {
                let docs = std::mem::take(&mut docs);
                items.push(Item {
                    kind,
                    name,
                    made,
                    line: number,
                    docs,
                });
            }
        }
        if !code.starts_with("#[") && !docs.is_empty() {
            docs.clear();
        }
    }
    items
}

fn generics(character: char) -> bool {
    matches!(character, '<' | '>' | '\'' | '_' | ' ' | ',') || character.is_ascii_lowercase()
}

fn name_behind(text: &str) -> String {
    text.chars()
        .take_while(|it| it.is_alphanumeric() || *it == '_')
        .collect()
}

fn declared(code: &str) -> Option<(Kind, String)> {
    let rest = code.strip_prefix("pub ")?;
    for (word, kind) in [
        ("struct ", Kind::Type),
        ("enum ", Kind::Type),
        ("trait ", Kind::Type),
        ("fn ", Kind::Function),
        ("const fn ", Kind::Function),
    ] {
        if let Some(name) = rest.strip_prefix(word) {
            return Some((kind, name_behind(name)));
        }
    }
    None
}

/// Whether the function that begins on this line (from 1) takes `self`.
fn takes_self(text: &str, line: usize) -> bool {
    let rest: String = text.lines().skip(line - 1).take(4).collect::<Vec<_>>().join(" ");
    let parameters = rest.split_once('(').map_or("", |(_, rest)| rest).trim_start();
    let first = parameters.split([',', ')', ':']).next().unwrap_or_default();
    matches!(
        first
            .trim()
            .trim_start_matches(['&', '\'', ' '])
            .rsplit(' ')
            .next(),
        Some("self")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let workspace = Workspace::of(&[("crates/countersign-token/src/cat.rs", text)]);
        complete(&workspace).into_iter().map(|it| it.problem).collect()
    }

    #[test]
    fn what_has_no_example_is_found() {
        let text = "\
/// A cat.
///
/// ```text
/// =^.^=
/// ```
#[derive(Debug)]
pub struct Cat<'a>(&'a str);

impl<'a> Cat<'a> {
    /// Makes one.
    pub const fn new(name: &'a str) -> Self {
        Self(name)
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.0
    }

    fn hidden() {}
}

impl From<u8> for Cat<'_> {
    fn from(_: u8) -> Self {
        Self(\"\")
    }
}

/// Speaks.
pub fn speak() {}

pub(crate) fn whisper() {}

#[cfg(test)]
mod tests {
    pub fn tests_need_none() {}
}
";
        let all = [
            "Cat has no example",
            "Cat::new has no example",
            "speak has no example",
        ];
        assert_eq!(found(text), all);
        let shown = text.replace(
            "/// A cat.\n",
            "/// A cat.\n///\n/// ```\n/// let cat = Cat::new(\"Tom\");\n/// ```\n",
        );
        assert_eq!(found(&shown), all[2..]);
        let named_only = text.replace("/// A cat.\n", "/// A cat.\n///\n/// ```\n/// // Cat\n/// ```\n");
        assert_eq!(found(&named_only), all[1..]);
        let own = text.replace(
            "/// Makes one.\n",
            "/// Makes one.\n    ///\n    /// ```\n    /// f();\n    /// ```\n",
        );
        assert_eq!(found(&own), [all[0], all[2]]);
    }

    #[test]
    fn other_crates_are_left_alone() {
        assert_eq!(
            complete(&Workspace::of(&[("crates/cat/src/lib.rs", "pub fn speak() {}")])),
            []
        );
    }
}
