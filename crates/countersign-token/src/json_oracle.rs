//! A second strict JSON reader, on top of `serde_json`: slower, built otherwise, and asked only whether ours is right.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use std::cell::Cell;
use std::fmt;

use proptest::prelude::*;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::{self, Fault, Nested, Reader, Value};
use crate::limits::{JSON_DEPTH_MAX, JSON_MEMBERS_MAX};

/// A document, as far as our reader tells values apart.
#[derive(Debug, PartialEq)]
pub(crate) enum Tree {
    Text(String),
    Unsigned(u64),
    Bool(bool),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
    Other,
}

/// Remembers the fault while `serde` carries only its own error type upwards.
#[derive(Default)]
pub(crate) struct Guard(Cell<Option<Fault>>);

impl Guard {
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.0.get()
    }

    pub(crate) fn stop<E: de::Error>(&self, fault: Fault) -> E {
        self.0.set(Some(fault));
        E::custom("refused")
    }
}

fn read(json: &[u8]) -> Result<Tree, Fault> {
    let text = str::from_utf8(json).map_err(|_| Fault::Syntax)?;
    let guard = Guard::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let any = Any {
        guard: &guard,
        depth: 0,
    };
    let tree = any
        .deserialize(&mut reader)
        .map_err(|_| guard.0.get().unwrap_or(Fault::Syntax))?;
    reader.end().map_err(|_| Fault::Syntax)?;
    Ok(tree)
}

#[derive(Clone, Copy)]
pub(crate) struct Any<'g> {
    guard: &'g Guard,
    depth: usize,
}

impl<'g> Any<'g> {
    /// A value inside the document's own object.
    pub(crate) fn inside(guard: &'g Guard) -> Self {
        Self { guard, depth: 1 }
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > JSON_DEPTH_MAX {
            return Err(self.guard.stop(Fault::TooComplex));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Unsigned(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let inside = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Tree::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let inside = self.deeper()?;
        let mut members: Vec<(String, Tree)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(seen, _)| *seen == name) {
                return Err(self.guard.stop(Fault::Repeated));
            }
            if members.len() >= JSON_MEMBERS_MAX {
                return Err(self.guard.stop(Fault::TooComplex));
            }
            members.push((name, map.next_value_seed(inside)?));
        }
        Ok(Tree::Object(members))
    }
}

/// What our reader sees, for comparison.
fn read_ours(json: &[u8]) -> Result<Tree, Fault> {
    json::check(json)?;
    let mut reader = Reader::new(str::from_utf8(json).map_err(|_| Fault::Syntax)?);
    let tree = tree(reader.value()?);
    reader.end()?;
    Ok(tree)
}

fn tree(value: Value<'_>) -> Tree {
    match value {
        Value::Text(text) => Tree::Text(text.unescaped().into_owned()),
        Value::Unsigned(number) => Tree::Unsigned(number),
        Value::Bool(value) => Tree::Bool(value),
        Value::Array(list) => Tree::Array(items(list)),
        Value::Object(object) => Tree::Object(members(object)),
        Value::Other => Tree::Other,
    }
}

fn items(list: Nested<'_>) -> Vec<Tree> {
    let mut items = Vec::new();
    list.items(|value| items.push(tree(value)));
    items
}

fn members(object: Nested<'_>) -> Vec<(String, Tree)> {
    let mut members = Vec::new();
    object.members(|name, value| members.push((name.to_owned(), tree(value))));
    members
}

fn agree(json: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(read_ours(json), read(json), "{}", String::from_utf8_lossy(json));
    Ok(())
}

/// Pieces that documents are made of, good and bad.
pub(crate) const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\t",
    "\n",
    "\r",
    "\u{c}",
    "\u{a0}",
    "\0",
    "\u{1f}",
    "\u{7f}",
    "true",
    "false",
    "null",
    "tru",
    "nul",
    "NaN",
    "Infinity",
    "0",
    "-0",
    "00",
    "1",
    "-",
    "+",
    ".",
    "e",
    "E",
    "1.5",
    "1e5",
    "1E-5",
    "1e+5",
    "1e400",
    "-1e400",
    "0e400",
    "1e-400",
    "1.",
    ".5",
    "1e",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "\"a\"",
    "\"b\"",
    "\"\\u0061\"",
    "\"\\u0062\"",
    "\"sub\"",
    "\"\\/\"",
    "\"\\b\\f\\n\\r\\t\\\"\\\\\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{1f600}\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83d\\u0061\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\u00\"",
    "\"\\u+061\"",
    "\"\\x\"",
    "\"\u{e9}\\u00e9\"",
    "\"1234567\"",
    "\"12345678\"",
    "\"123456789 abcdef\"",
    "\"1234567\\n\"",
    "\"\"",
    "\"a\":1",
    "\"a\":1,",
    "{}",
    "[]",
    "{\"a\":1}",
    "[1,2]",
    "\u{feff}",
    "//",
    "'a'",
];

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(PIECES), 0..16).prop_map(|pieces| pieces.concat().into_bytes())
}

/// A document that is well-formed but for members that may stand twice.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(
        &[
            "null",
            "true",
            "false",
            "0",
            "17",
            "-17",
            "1.25",
            "1e3",
            "\"\"",
            "\"text\"",
            "\"a longer text than a word\"",
            "\"\\u0073ub\"",
            "\"caf\u{e9}\"",
            "\"\\\"\"",
            "18446744073709551615",
        ][..],
    );
    let name = prop::sample::select(
        &[
            "\"a\"",
            "\"\\u0061\"",
            "\"b\"",
            "\"sub\"",
            "\"s\\u0075b\"",
            "\"c\u{e9}\"",
            "\"c\\u00e9\"",
            "\"exp\"",
            "\"\"",
            "\"a rather long name\"",
            "\"A\"",
            "\"d\"",
            "\"e\"",
            "\"f\"",
            "\"g\"",
            "\"h\"",
        ][..],
    );
    let space = prop::sample::select(&["", "", "", " ", "\n\t", "\r\n"][..]);
    scalar
        .prop_map(str::to_owned)
        .prop_recursive(18, 64, 5, move |inner| {
            let item = (space.clone(), inner, space.clone()).prop_map(|(a, v, b)| format!("{a}{v}{b}"));
            let member =
                (name.clone(), space.clone(), item.clone()).prop_map(|(n, s, v)| format!(" {n}{s}:{v}"));
            prop_oneof![
                prop::collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree_on_any_bytes(json in prop::collection::vec(any::<u8>(), 0..40)) {
        agree(&json)?;
    }

    #[test]
    fn both_readers_agree_on_any_sequence_of_pieces(json in pieces()) {
        agree(&json)?;
    }

    #[test]
    fn both_readers_agree_on_documents(json in document()) {
        agree(json.as_bytes())?;
    }

    #[test]
    fn both_readers_agree_on_changed_documents(
        json in document(),
        at in any::<prop::sample::Index>(),
        piece in prop::sample::select(PIECES),
        length in 0_usize..3,
    ) {
        let mut json = json.into_bytes();
        let at = at.index(json.len() + 1);
        let end = json.len().min(at + length);
        json.splice(at..end, piece.bytes());
        agree(&json)?;
    }

    #[test]
    fn both_readers_agree_on_changed_bits(json in document(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut json = json.into_bytes();
        let at = at.index(json.len());
        json[at] ^= 1 << bit;
        agree(&json)?;
    }

    #[test]
    fn both_readers_agree_on_numbers(json in "-?[0-9]{0,22}(\\.[0-9]{0,22})?([eE][+-]?[0-9]{1,4})?") {
        agree(json.as_bytes())?;
    }

    #[test]
    fn both_readers_agree_on_strings(text in ".{0,40}") {
        agree(format!("\"{text}\"").as_bytes())?;
        agree(serde_json::json!({ "a": text }).to_string().as_bytes())?;
    }
}

#[test]
fn both_readers_agree_where_many_names_stand() {
    for count in [47, 48, 49, 100, JSON_MEMBERS_MAX, JSON_MEMBERS_MAX + 1] {
        let member = |at: usize| format!("\"m{at}\":{{\"m{at}\":0,\"x\":[{{\"x\":1,\"m0\":2}}]}}");
        let members: Vec<_> = (0..count).map(member).collect();
        agree(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
        for again in [0, 30, 47, count - 1] {
            for name in [format!("m{again}"), format!("\\u006d{again}")] {
                let document = format!("{{{},\"{name}\":0}}", members.join(","));
                agree(document.as_bytes()).unwrap();
            }
        }
    }
}

#[test]
fn both_readers_agree_wherever_a_document_is_cut() {
    let document = r#" {"a" : [1, -2.5e3, {"b\u00e9": "x\n\ud83d\ude00y", "": null}], "c": true, "d\\": [[]], "e": {} } "#;
    for end in 0..=document.len() {
        agree(&document.as_bytes()[..end]).unwrap();
    }
}
