//! A strict JSON reader on top of `serde_json`.
//!
//! `serde_json` already refuses bad syntax, invalid UTF-8, lone surrogates and numbers out of range. Added here: no
//! member twice in any object (names compared after unescaping), a depth limit, a member limit, nothing after the
//! document.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::limits::{JSON_DEPTH_MAX, JSON_MEMBERS_MAX};

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    TooComplex,
    Repeated,
    /// A name that differs from a registered one in case only.
    CaseVariant,
}

/// Remembers the fault while `serde` carries only its own error type upwards.
#[derive(Default)]
pub(crate) struct Guard(Cell<Option<Fault>>);

impl Guard {
    pub(crate) fn stop<E: de::Error>(&self, fault: Fault) -> E {
        self.0.set(Some(fault));
        E::custom("refused")
    }

    fn fault(&self) -> Fault {
        self.0.get().unwrap_or(Fault::Syntax)
    }
}

/// Reads one document with `seed`, all of it.
pub(crate) fn read<'de, T>(
    json: &'de [u8],
    guard: &Guard,
    seed: impl DeserializeSeed<'de, Value = T>,
) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = seed.deserialize(&mut reader).map_err(|_| guard.fault())?;
    reader.end().map_err(|_| Fault::Syntax)?;
    Ok(value)
}

/// Reads one document only to see that it is strict.
pub(crate) fn check(json: &[u8]) -> Result<(), Fault> {
    let guard = Guard::default();
    read(
        json,
        &guard,
        Any {
            guard: &guard,
            depth: 0,
        },
    )
    .map(drop)
}

/// Whether a lax reader takes `name` for `registered`: some compare without case, and under Unicode's folding (Go's
/// reader) `ſ` is an `s` and the Kelvin sign a `k`.
pub(crate) fn reads_as(name: &str, registered: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    };
    name.eq_ignore_ascii_case(registered)
        // Both letters are longer than what they fold to.
        || (name.len() > registered.len() && name.chars().map(fold).eq(registered.chars().map(fold)))
}

/// The names seen in one object.
pub(crate) struct Names<'de, 'g> {
    seen: Vec<Cow<'de, str>>,
    guard: &'g Guard,
}

impl<'de, 'g> Names<'de, 'g> {
    pub(crate) fn new(guard: &'g Guard) -> Self {
        Self {
            seen: Vec::with_capacity(16),
            guard,
        }
    }

    /// The next member's name, which is a new one. Its value must be read next.
    pub(crate) fn next<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Option<&str>, A::Error> {
        let Some(name) = map.next_key_seed(Name)? else {
            return Ok(None);
        };
        if self.seen.contains(&name) {
            return Err(self.guard.stop(Fault::Repeated));
        }
        if self.seen.len() >= JSON_MEMBERS_MAX {
            return Err(self.guard.stop(Fault::TooComplex));
        }
        self.seen.push(name);
        Ok(self.seen.last().map(AsRef::as_ref))
    }
}

/// A member name, borrowed unless it was written with escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What a value of any kind amounts to; arrays and objects are walked strictly.
#[derive(Debug, PartialEq)]
pub(crate) enum Shape<'de> {
    Text(Cow<'de, str>),
    Unsigned(u64),
    Bool(bool),
    /// An array of texts and nothing else.
    Texts(Vec<String>),
    Object(Object),
    Other,
}

/// The members of an object that some claim is read for, where they are texts.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Object {
    /// `sub`: who acts, in an `act` claim.
    pub(crate) subject: Option<Box<str>>,
    /// `jkt`, in a `cnf` claim.
    pub(crate) key_thumbprint: Option<Box<str>>,
    /// `x5t#S256`, in a `cnf` claim.
    pub(crate) certificate_thumbprint: Option<Box<str>>,
    /// Whether there are others, or one of these is not a text.
    pub(crate) has_others: bool,
}

impl Object {
    fn take(&mut self, name: &str, value: Shape<'_>) {
        let slot = match name {
            "sub" => &mut self.subject,
            "jkt" => &mut self.key_thumbprint,
            "x5t#S256" => &mut self.certificate_thumbprint,
            _ => return self.has_others = true,
        };
        match value {
            Shape::Text(text) => *slot = Some(text.into()),
            _ => self.has_others = true,
        }
    }
}

/// Reads a value of any kind.
#[derive(Clone, Copy)]
pub(crate) struct Any<'g> {
    pub(crate) guard: &'g Guard,
    /// How many arrays and objects are open around the value.
    pub(crate) depth: usize,
}

impl Any<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.saturating_add(1);
        if depth > JSON_DEPTH_MAX {
            return Err(self.guard.stop(Fault::TooComplex));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Shape<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Shape::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Shape::Unsigned(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Shape::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Shape::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let inside = self.deeper()?;
        let mut texts = Some(Vec::new());
        while let Some(item) = items.next_element_seed(inside)? {
            match (item, &mut texts) {
                (Shape::Text(text), Some(texts)) => texts.push(text.into_owned()),
                _ => texts = None,
            }
        }
        Ok(texts.map_or(Shape::Other, Shape::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inside = self.deeper()?;
        let mut names = Names::new(self.guard);
        let mut object = Object::default();
        while let Some(name) = names.next(&mut map)? {
            // Only these are kept, so no other name is worth a copy.
            let kept = ["sub", "jkt", "x5t#S256"].into_iter().find(|kept| *kept == name);
            let value = map.next_value_seed(inside)?;
            object.take(kept.unwrap_or_default(), value);
        }
        Ok(Shape::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_strictly() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let wide = |members: usize| {
            let members: Vec<_> = (0..members).map(|i| format!("\"m{i}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        let cases: Vec<(String, Result<(), Fault>)> = vec![
            (r#"{"a":1,"b":[{"a":2}]}"#.into(), Ok(())),
            (" {\"a\" : 1}\n".into(), Ok(())),
            (r#"{"a":1,"a":1}"#.into(), Err(Fault::Repeated)),
            (r#"{"\u0061":1,"a":1}"#.into(), Err(Fault::Repeated)),
            (r#"{"x":[{"y":{"a":1,"a":1}}]}"#.into(), Err(Fault::Repeated)),
            (deep(JSON_DEPTH_MAX), Ok(())),
            (deep(JSON_DEPTH_MAX + 1), Err(Fault::TooComplex)),
            (deep(10_000), Err(Fault::TooComplex)),
            (wide(JSON_MEMBERS_MAX), Ok(())),
            (wide(JSON_MEMBERS_MAX + 1), Err(Fault::TooComplex)),
            (String::new(), Err(Fault::Syntax)),
            ("{} {}".into(), Err(Fault::Syntax)),
            ("\u{feff}{}".into(), Err(Fault::Syntax)),
            (r#"{"a":NaN}"#.into(), Err(Fault::Syntax)),
            (r#"{"a":01}"#.into(), Err(Fault::Syntax)),
            (r#"{"a":1e400}"#.into(), Err(Fault::Syntax)),
            (r#"{"a":"\ud800"}"#.into(), Err(Fault::Syntax)),
            (r#"{"a":1,}"#.into(), Err(Fault::Syntax)),
            (r"{'a':1}".into(), Err(Fault::Syntax)),
            ("{\"a\":\"\n\"}".into(), Err(Fault::Syntax)),
            ("{\"a\":1}\0".into(), Err(Fault::Syntax)),
        ];
        for (json, expected) in cases {
            assert_eq!(check(json.as_bytes()), expected, "{json:.80}");
        }
        assert_eq!(check(b"{\"a\":\"\xff\"}"), Err(Fault::Syntax));
        assert_eq!(check(b"\xef\xbb\xbf{}"), Err(Fault::Syntax));
    }
}
