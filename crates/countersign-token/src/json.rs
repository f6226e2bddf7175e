//! A strict JSON reader (RFC 8259): one pass over a borrowed text, nothing copied, nothing built.
//!
//! ```text
//! document = value space                                  ; and nothing after it
//! value    = space ( object / array / string / number / "true" / "false" / "null" )
//! object   = "{" space [ member *( space "," member ) space ] "}"
//! member   = space string space ":" value
//! array    = "[" space [ value *( space "," value ) space ] "]"
//! string   = quote *( %x20-21 / %x23-5B / %x5D-10FFFF / escape ) quote
//! escape   = "\" ( quote / "\" / "/" / "b" / "f" / "n" / "r" / "t" / "u" 4HEX )   ; surrogates in pairs only
//! number   = [ "-" ] ( "0" / %x31-39 *DIGIT ) [ "." 1*DIGIT ] [ ( "e" / "E" ) [ "+" / "-" ] 1*DIGIT ]
//! space    = *( %x20 / %x09 / %x0A / %x0D )
//! ```
//!
//! Each method of [`Reader`] reads one of these rules. Refused beyond the grammar, because readers differ about them:
//! a member that stands twice in one object (names are compared unescaped), a number that no double can hold, more
//! than [`JSON_DEPTH_MAX`] levels, more than [`JSON_MEMBERS_MAX`] members in one object.

mod names;

use std::borrow::Cow;

use self::names::Names;
use crate::limits::JSON_DEPTH_MAX;
use crate::span::Span;

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    TooComplex,
    Repeated,
    /// A name that differs from a registered one in case only.
    CaseVariant,
}

/// Reads one document only to see that it is strict.
pub(crate) fn check(json: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new(str::from_utf8(json).map_err(|_| Fault::Syntax)?);
    reader.value()?;
    reader.end()
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

/// A value, checked all the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'t> {
    Text(Text<'t>),
    /// A number written in digits alone that fits.
    Unsigned(u64),
    Array(Nested<'t>),
    Object(Nested<'t>),
    Bool(bool),
    /// `null`, or any other number.
    Other,
}

/// An array or an object that has been checked and can be read again for what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nested<'t> {
    around: &'t str,
    place: Span,
}

impl<'t> Nested<'t> {
    /// Goes through an array.
    pub(crate) fn items(self, mut take: impl FnMut(Value<'t>)) {
        let read = self.reader().array(|reader| reader.value().map(&mut take));
        debug_assert_eq!(read, Ok(()), "it was read before");
    }

    /// Goes through an object.
    pub(crate) fn members(self, mut take: impl FnMut(&str, Value<'t>)) {
        let read = self.reader().object(|reader, name| {
            take(&name.unescaped(), reader.member_value()?);
            Ok(())
        });
        debug_assert_eq!(read, Ok(()), "it was read before");
    }

    fn reader(self) -> Reader<'t> {
        Reader::within(self.around, self.place)
    }
}

/// What stands between two quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'t> {
    /// What it stands in.
    around: &'t str,
    /// Where, as written.
    place: Span,
    is_escaped: bool,
}

impl<'t> Text<'t> {
    /// Where it stands, if it stands there as it is meant.
    pub(crate) fn place(self) -> Option<Span> {
        (!self.is_escaped).then_some(self.place)
    }

    /// What it means; borrowed unless it was written with escapes.
    pub(crate) fn unescaped(self) -> Cow<'t, str> {
        if self.is_escaped {
            Cow::Owned(unescape(self.raw()))
        } else {
            Cow::Borrowed(self.raw())
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.place.length() == 0
    }

    /// As written, with escapes.
    fn raw(self) -> &'t str {
        self.place.of(self.around)
    }
}

/// Reads a document from its beginning. After a fault there is nothing more to read.
pub(crate) struct Reader<'t> {
    /// The document, up to its end, and what stands before it.
    text: &'t str,
    /// Up to where it was read.
    at: usize,
    /// How many arrays and objects are open.
    depth: usize,
    names: Names,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(document: &'t str) -> Self {
        Self::within(document, Span::new(0, document.len()))
    }

    /// Reads the document that stands there.
    pub(crate) fn within(text: &'t str, place: Span) -> Self {
        Self {
            text: Span::new(0, place.end()).of(text),
            at: place.begin(),
            depth: 0,
            names: Names::new(),
        }
    }

    /// Nothing may follow the document.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek_past_space() {
            None => Ok(()),
            Some(_) => Err(Fault::Syntax),
        }
    }

    /// Reads an object. `member` is called with each name, a new one, and must read its [`Self::member_value`].
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'t>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open(b'{')?;
        let outer = self.names.enter();
        if self.peek_past_space() != Some(b'}') {
            loop {
                self.peek_past_space();
                let name = self.string()?;
                self.names.add(name)?;
                member(self, name)?;
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        self.names.leave(outer);
        self.close(b'}')
    }

    /// Reads an array. `item` is called before each value and must read it.
    pub(crate) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open(b'[')?;
        if self.peek_past_space() != Some(b']') {
            loop {
                item(self)?;
                if !self.goes_on(b']')? {
                    break;
                }
            }
        }
        self.close(b']')
    }

    /// Reads the colon after a name, and the value.
    #[expect(clippy::inline_always, reason = "measured: a twentieth of reading a token")]
    #[inline(always)]
    pub(crate) fn member_value(&mut self) -> Result<Value<'t>, Fault> {
        self.peek_past_space();
        self.expect(b':')?;
        self.value()
    }

    /// Reads a value of any kind.
    #[expect(clippy::inline_always, reason = "measured: a twentieth of reading a token")]
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Value<'t>, Fault> {
        match self.peek_past_space() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            first => self.other_value(first),
        }
    }

    /// Apart, because most values are texts and numbers, and those are read in place.
    #[inline(never)]
    fn other_value(&mut self, first: Option<u8>) -> Result<Value<'t>, Fault> {
        match first {
            Some(b'{') => {
                let begin = self.at;
                self.object(|reader, _| reader.member_value().map(drop))?;
                Ok(Value::Object(self.nested(begin)))
            }
            Some(b'[') => {
                let begin = self.at;
                self.array(|reader| reader.value().map(drop))?;
                Ok(Value::Array(self.nested(begin)))
            }
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Other),
            _ => Err(Fault::Syntax),
        }
    }

    fn nested(&self, begin: usize) -> Nested<'t> {
        Nested {
            around: self.text,
            place: Span::new(begin, self.at),
        }
    }

    fn literal(&mut self, word: &str, meant: Value<'t>) -> Result<Value<'t>, Fault> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(Fault::Syntax);
        }
        self.skip(word.len());
        Ok(meant)
    }

    #[expect(clippy::inline_always, reason = "measured: a twentieth of reading a token")]
    #[inline(always)]
    fn string(&mut self) -> Result<Text<'t>, Fault> {
        self.expect(b'"')?;
        let begin = self.at;
        self.skip(plain_length(self.rest()));
        let is_escaped = self.peek() == Some(b'\\');
        if is_escaped {
            self.after_plain()?;
        }
        let place = Span::new(begin, self.at);
        self.expect(b'"')?;
        Ok(Text {
            around: self.text,
            place,
            is_escaped,
        })
    }

    /// The rest of a string from its first escape on, up to the quote.
    #[inline(never)]
    fn after_plain(&mut self) -> Result<(), Fault> {
        while self.takes(b'\\') {
            let (_, rest) = escaped(self.written(self.at, self.text.len())).ok_or(Fault::Syntax)?;
            self.at = self.text.len().saturating_sub(rest.len());
            self.skip(plain_length(self.rest()));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value<'t>, Fault> {
        let begin = self.at;
        let is_negative = self.takes(b'-');
        let whole = if self.takes(b'0') { Some(0) } else { self.digits()? };
        let is_whole = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if let (false, true, Some(number)) = (is_negative, is_whole, whole) {
            return Ok(Value::Unsigned(number));
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        match self.written(begin, self.at).parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Other),
            _ => Err(Fault::Syntax),
        }
    }

    /// At least one digit, and the number they make if it fits. A digit after a leading zero is not read here, so that
    /// it is found where none may stand.
    fn digits(&mut self) -> Result<Option<u64>, Fault> {
        let begin = self.at;
        let mut number = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit & 0xf));
            self.skip(1);
        }
        match self.at.wrapping_sub(begin) {
            0 => Err(Fault::Syntax),
            // As many nines fit.
            1..=19 => Ok(Some(number)),
            _ => Ok(self.written(begin, self.at).parse().ok()),
        }
    }

    fn open(&mut self, bracket: u8) -> Result<(), Fault> {
        self.peek_past_space();
        self.expect(bracket)?;
        if self.depth >= JSON_DEPTH_MAX {
            return Err(Fault::TooComplex);
        }
        self.depth = self.depth.wrapping_add(1);
        Ok(())
    }

    /// After a value: whether a comma follows, or else the bracket, which is left to [`Self::close`].
    fn goes_on(&mut self, bracket: u8) -> Result<bool, Fault> {
        match self.peek_past_space() {
            Some(b',') => {
                self.skip(1);
                Ok(true)
            }
            Some(byte) if byte == bracket => Ok(false),
            _ => Err(Fault::Syntax),
        }
    }

    fn close(&mut self, bracket: u8) -> Result<(), Fault> {
        self.depth = self.depth.saturating_sub(1);
        self.expect(bracket)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.takes(byte) {
            Ok(())
        } else {
            Err(Fault::Syntax)
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        if self.peek() != Some(byte) {
            return false;
        }
        self.skip(1);
        true
    }

    fn peek_past_space(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.skip(1);
        }
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn written(&self, begin: usize, end: usize) -> &'t str {
        self.text.get(begin..end).unwrap_or_default()
    }

    /// Never wraps, for no text is that long; and whatever lies behind the end is not there to read.
    fn skip(&mut self, bytes: usize) {
        self.at = self.at.wrapping_add(bytes);
    }
}

/// How many of a string's bytes stand for themselves: up to the first quote, backslash or control character.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks();
    let mut length = 0_usize;
    for word in words {
        let found = marked(u64::from_le_bytes(*word));
        if found != 0 {
            return length.wrapping_add((found.trailing_zeros() >> 3) as usize);
        }
        length = length.wrapping_add(8);
    }
    let is_marked = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    length.wrapping_add(tail.iter().position(is_marked).unwrap_or(tail.len()))
}

/// Eight bytes at once: sets the highest bit of the first byte that is a quote, a backslash or a control character.
/// Bits above it may be set wrongly, for a subtraction borrows from the byte above; it borrows only where a byte is
/// one of those looked for, so nothing is set below.
const fn marked(word: u64) -> u64 {
    // With this bit turned a quote follows the control characters, and those only change places.
    let quote_or_control = (word ^ each(0x02)).wrapping_sub(each(0x21));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(0x01));
    (quote_or_control | backslash) & !word & each(0x80)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// What a checked string means.
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, after)) = rest.split_once('\\') {
        text.push_str(plain);
        let Some((letter, after)) = escaped(after) else {
            break;
        };
        text.push(letter);
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The character that an escape means, and what follows it. `text` begins after the backslash.
fn escaped(text: &str) -> Option<(char, &str)> {
    let mut letters = text.chars();
    let meant = match letters.next()? {
        same @ ('"' | '\\' | '/') => same,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return code_point(letters.as_str()),
        _ => return None,
    };
    Some((meant, letters.as_str()))
}

/// One UTF-16 unit in four hexadecimal digits; a surrogate only as the first of two that make a character.
fn code_point(text: &str) -> Option<(char, &str)> {
    let (unit, rest) = utf16_unit(text)?;
    if let Some(letter) = char::from_u32(unit.into()) {
        return Some((letter, rest));
    }
    let (second, rest) = utf16_unit(rest.strip_prefix("\\u")?)?;
    let letter = char::decode_utf16([unit, second]).next()?.ok()?;
    Some((letter, rest))
}

fn utf16_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unit = is_hex.then(|| u16::from_str_radix(digits, 16).ok())??;
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::JSON_MEMBERS_MAX;

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
