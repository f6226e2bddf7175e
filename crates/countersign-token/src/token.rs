//! From text to a token whose parts are well-formed: [`RawToken`] → [`ParsedToken`].

use std::fmt;
use std::string::FromUtf8Error;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{Digest, SHA256, digest};
use memchr::memchr_iter;

use crate::base64url;
use crate::claims::{self, ClaimParts, Claims};
use crate::fingerprint::{Fingerprint, TokenDigest};
use crate::header::{self, Header, HeaderParts};
use crate::key::KeyRecord;
use crate::limits::{HEADER_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::reason::{Detail, Reason, Refusal};
use crate::signature::Signature;
use crate::span::{Keeper, Span};

/// A text that has the outer shape of a token: not too large, three segments. Nothing is decoded.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::RawToken;
///
/// let raw = RawToken::new(&text)?;
/// let print = raw.fingerprint();
/// let token = raw.parse()?;
/// assert_eq!(token.fingerprint(), print);
///
/// assert_eq!(RawToken::new("opaque").unwrap_err().code(), "segment_count_wrong");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct RawToken<'a>(Frame<'a>);

impl<'a> RawToken<'a> {
    /// Looks at size and shape only.
    pub fn new(text: &'a str) -> Result<Self, Refusal> {
        Frame::new(text).map(Self)
    }

    /// Decodes and reads the token strictly. Nothing is verified yet.
    pub fn parse(self) -> Result<ParsedToken, Refusal> {
        let reading = Reading::of(self.0, Thoroughness::StopAtFault);
        if let Some(refusal) = reading.first_fault() {
            return Err(refusal);
        }
        let (Some(header), Some(claims), Some(signature)) =
            (reading.header, reading.claims, reading.signature)
        else {
            return Err(Refusal::new(
                Reason::Base64urlInvalid,
                "a segment could not be read",
            ));
        };
        Ok(ParsedToken(Arc::new(Content {
            header,
            claims,
            signing_input: reading.signing_input,
            digest: OnceLock::new(),
            signature,
            text: reading.text,
        })))
    }

    /// What the ledger calls this token, if it is one.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_signing_input(self.0.signing_input.as_bytes())
    }
}

impl fmt::Debug for RawToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawToken({} bytes)", self.0.bytes)
    }
}

/// A well-formed token. Nothing it says is proved: what it holds can be read through [`crate::dangerous`] only. Cloning
/// is cheap.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::ParsedToken;
///
/// let token = ParsedToken::parse(&text)?;
/// println!("{token:?}"); // its fingerprint, and nothing that it says
///
/// // A line end behind it: a token has one spelling.
/// let refusal = ParsedToken::parse(&format!("{text}\n")).unwrap_err();
/// assert_eq!(refusal.code(), "base64url_invalid");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ParsedToken(Arc<Content>);

/// Everything about a token, in two pieces of memory: this, and the text that its parts stand in.
struct Content {
    /// As [`Reading::text`].
    text: String,
    header: HeaderParts,
    claims: ClaimParts,
    signing_input: Span,
    /// As [`ParsedToken::digest`], once it was asked for.
    digest: OnceLock<Digest>,
    signature: Signature,
}

impl ParsedToken {
    /// Parses a text: [`RawToken::new`] and [`RawToken::parse`] in one.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        RawToken::new(text)?.parse()
    }

    /// What the ledger calls this token, if it is one.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_digest(self.digest())
    }

    /// What a cache may know this token by.
    ///
    /// Hashed when asked for: base64url is canonical here, so the text is known although it was not kept.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let text = given::token("F00-good");
    /// use countersign_token::{ParsedToken, TokenDigest};
    ///
    /// let token = ParsedToken::parse(&text)?;
    /// assert_eq!(token.token_digest(), TokenDigest::of(&text));
    /// # Ok(())
    /// # }
    /// ```
    pub fn token_digest(&self) -> TokenDigest {
        TokenDigest::of_parts(self.signing_input(), self.0.signature.as_bytes())
    }

    pub(crate) fn header(&self) -> Header<'_> {
        Header::new(&self.0.text, &self.0.header)
    }

    pub(crate) fn claims(&self) -> Claims<'_> {
        Claims::new(&self.0.text, &self.0.claims)
    }

    pub(crate) fn is_signed_by(&self, key: &KeyRecord) -> bool {
        let signature = self.0.signature.as_bytes();
        key.verify_hashed(self.signing_input().as_bytes(), || self.digest(), signature)
    }

    /// SHA-256 of the signing input. Hashed once, for the fingerprint and for the signatures that need it; not before,
    /// for the others do not, and neither does a token that is refused earlier.
    fn digest(&self) -> &Digest {
        let hash = || digest(&SHA256, self.signing_input().as_bytes());
        self.0.digest.get_or_init(hash)
    }

    fn signing_input(&self) -> &str {
        self.0.signing_input.of(&self.0.text)
    }
}

impl fmt::Debug for ParsedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParsedToken({})", self.fingerprint())
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    bytes: usize,
    pub(crate) signing_input: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, Refusal> {
        let limit = |reason, what, value: usize, limit: usize| {
            let detail = Detail::Amount {
                what,
                value: value as u64,
                bound: "limit",
                limit: limit as u64,
            };
            Err(Refusal { reason, detail })
        };
        if text.len() > TOKEN_BYTES_MAX {
            return limit(Reason::TokenTooLarge, "bytes", text.len(), TOKEN_BYTES_MAX);
        }
        let wrong = Refusal::new(Reason::SegmentCountWrong, "not three non-empty segments");
        let mut dots = memchr_iter(b'.', text.as_bytes());
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(wrong);
        };
        let piece = |begin, end| Span::new(begin, end).of(text);
        let header = piece(0, first);
        let claims = piece(first.saturating_add(1), second);
        // An unsigned token has an empty signature; that is judged by its algorithm.
        if header.is_empty() || claims.is_empty() {
            return Err(wrong);
        }
        if header.len() > HEADER_BYTES_MAX {
            return limit(Reason::HeaderTooLarge, "bytes", header.len(), HEADER_BYTES_MAX);
        }
        Ok(Self {
            bytes: text.len(),
            signing_input: piece(0, second),
            header,
            claims,
            signature: piece(second.saturating_add(1), text.len()),
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Thoroughness {
    /// For a decision: the first fault is enough.
    StopAtFault,
    /// For an explanation: read what can be read.
    GoOn,
}

/// What could be read of a token, and everything that is wrong with its form.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) faults: Vec<Refusal>,
    /// The header as decoded, the claims as decoded, the signing input as sent, and what was written with escapes. Made
    /// in one piece, large enough for a token without escapes.
    text: String,
    header: Option<HeaderParts>,
    claims: Option<ClaimParts>,
    signing_input: Span,
    signature: Option<Signature>,
}

impl Reading {
    /// Of what is not even a frame.
    pub(crate) fn failed(refusal: Refusal) -> Self {
        Self {
            faults: vec![refusal],
            ..Self::default()
        }
    }

    pub(crate) fn of(frame: Frame<'_>, thoroughness: Thoroughness) -> Self {
        let mut reading = Self::default();
        let (header, claims) = reading.decode(frame);
        let stop = |reading: &Self| thoroughness == Thoroughness::StopAtFault && !reading.faults.is_empty();
        if stop(&reading) {
            return reading;
        }
        let mut keeper = Keeper::behind(&reading.text);
        reading.header =
            header.and_then(|header| header::read(&reading.text, header, &mut keeper, &mut reading.faults));
        if stop(&reading) {
            return reading;
        }
        reading.claims =
            claims.and_then(|claims| claims::read(&reading.text, claims, &mut keeper, &mut reading.faults));
        reading.text.push_str(keeper.addition());
        if let Some(header) = &reading.header {
            header.fold_token_type(&mut reading.text);
        }
        reading
    }

    /// Decodes the segments and writes the text; where in it header and claims stand, if they could be decoded.
    fn decode(&mut self, frame: Frame<'_>) -> (Option<Span>, Option<Span>) {
        let size = [
            base64url::decoded_size(frame.header),
            base64url::decoded_size(frame.claims),
            frame.signing_input.len(),
        ];
        let mut decoded = Vec::with_capacity(size.iter().sum());
        let has_header = base64url::decode_onto(frame.header, &mut decoded);
        let header_length = decoded.len();
        let has_claims = base64url::decode_onto(frame.claims, &mut decoded);
        let (header, claims) = self.take_documents(decoded, header_length);

        self.signing_input = self.append(frame.signing_input);
        self.signature = Signature::decode(frame.signature);
        let mut require = |is_there: bool, name| {
            if !is_there {
                self.faults.push(Refusal::new(Reason::Base64urlInvalid, name));
            }
        };
        require(has_header, "the header segment");
        require(has_claims, "the claims segment");
        require(self.signature.is_some(), "the signature segment");
        (has_header.then_some(header), has_claims.then_some(claims))
    }

    /// Begins the text with header and claims. What is not UTF-8 is not JSON either, and becomes an empty document, which
    /// is none.
    fn take_documents(&mut self, decoded: Vec<u8>, header_length: usize) -> (Span, Span) {
        match String::from_utf8(decoded) {
            Ok(text) if text.is_char_boundary(header_length) => {
                self.text = text;
                (
                    Span::new(0, header_length),
                    Span::new(header_length, self.text.len()),
                )
            }
            // Together they may be UTF-8 where each alone is not, and the other way round one may be.
            mixed => {
                let decoded = mixed.map_or_else(FromUtf8Error::into_bytes, String::into_bytes);
                let (header, claims) = decoded.split_at(header_length);
                let header = self.append(str::from_utf8(header).unwrap_or_default());
                (header, self.append(str::from_utf8(claims).unwrap_or_default()))
            }
        }
    }

    fn append(&mut self, text: &str) -> Span {
        let begin = self.text.len();
        self.text.push_str(text);
        Span::new(begin, self.text.len())
    }

    pub(crate) fn header(&self) -> Option<Header<'_>> {
        self.header.as_ref().map(|parts| Header::new(&self.text, parts))
    }

    pub(crate) fn claims(&self) -> Option<Claims<'_>> {
        self.claims.as_ref().map(|parts| Claims::new(&self.text, parts))
    }

    /// The fault that comes first in the order of the rules.
    pub(crate) fn first_fault(&self) -> Option<Refusal> {
        self.faults.iter().min_by_key(|fault| fault.reason).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_no_utf8_spoils_no_other() {
        use Reason::*;
        let header = br#"{"alg":"ES256","kid":"k"}"#;
        let faults = |header: &[u8], claims: &[u8]| {
            let segments = [header, claims, &[7; 64]].map(base64url::encode).join(".");
            let reading = Reading::of(Frame::new(&segments).unwrap(), Thoroughness::GoOn);
            let reasons: Vec<_> = reading.faults.iter().map(|fault| fault.reason).collect();
            (reasons, reading.header().is_some(), reading.claims().is_some())
        };
        assert_eq!(faults(header, b"{}"), (vec![], true, true));
        assert_eq!(faults(b"{}\xff", b"{}"), (vec![HeaderJsonInvalid], false, true));
        assert_eq!(faults(header, b"{}\xff"), (vec![ClaimsJsonInvalid], true, false));
        let both = vec![HeaderJsonInvalid, ClaimsJsonInvalid];
        assert_eq!(faults(b"{}\xff", b"{\xff}"), (both.clone(), false, false));
        // One letter, half of it here and half of it there.
        assert_eq!(faults(b"{}\xc3", b"\xa9{}"), (both, false, false));
    }
}
