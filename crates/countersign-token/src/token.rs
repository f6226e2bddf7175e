//! From text to a token whose parts are well-formed: [`RawToken`] → [`ParsedToken`].

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Digest, SHA256, digest};

use crate::base64url;
use crate::claims::{self, Claims};
use crate::fingerprint::{Fingerprint, TokenDigest};
use crate::header::{self, Header};
use crate::limits::{HEADER_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::reason::{Detail, Reason, Refusal};

/// A text that has the outer shape of a token: not too large, three segments. Nothing is decoded.
#[derive(Clone, Copy)]
pub struct RawToken<'a>(Frame<'a>);

impl<'a> RawToken<'a> {
    /// Looks at size and shape only.
    pub fn new(text: &'a str) -> Result<Self, Refusal> {
        Frame::new(text).map(Self)
    }

    /// Decodes and reads the token strictly. Nothing is verified yet.
    pub fn parse(self) -> Result<ParsedToken, Refusal> {
        let mut reading = Reading::default();
        reading.read(self.0, Thoroughness::StopAtFault);
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
        // Hashed once, for the fingerprint and for the signature.
        let digest = digest(&SHA256, self.0.signing_input.as_bytes());
        Ok(ParsedToken {
            content: Arc::new(Content {
                header,
                claims,
                fingerprint: Fingerprint::of_digest(&digest),
            }),
            digest,
            signing_input: self.0.signing_input.into(),
            signature,
        })
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

/// A well-formed token. Nothing it says is proved: what it holds can be read through [`crate::dangerous`] only.
#[derive(Clone)]
pub struct ParsedToken {
    pub(crate) content: Arc<Content>,
    pub(crate) signing_input: Box<str>,
    pub(crate) digest: Digest,
    pub(crate) signature: Vec<u8>,
}

/// What is kept of a token after its decision.
pub(crate) struct Content {
    pub(crate) header: Header,
    pub(crate) claims: Claims,
    pub(crate) fingerprint: Fingerprint,
}

impl ParsedToken {
    /// Parses a text: [`RawToken::new`] and [`RawToken::parse`] in one.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        RawToken::new(text)?.parse()
    }

    /// What the ledger calls this token, if it is one.
    pub fn fingerprint(&self) -> Fingerprint {
        self.content.fingerprint
    }

    /// What a cache may know this token by.
    ///
    /// Hashed when asked for: base64url is canonical here, so the text is known although it was not kept.
    pub fn token_digest(&self) -> TokenDigest {
        TokenDigest::of_parts(&self.signing_input, &self.signature)
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
        // From the right, so that the signing input is one piece.
        let Some((signing_input, signature)) = text.rsplit_once('.') else {
            return Err(wrong);
        };
        let Some((header, claims)) = signing_input.split_once('.') else {
            return Err(wrong);
        };
        // An unsigned token has an empty signature; that is judged by its algorithm.
        if header.is_empty() || claims.is_empty() || claims.contains('.') {
            return Err(wrong);
        }
        if header.len() > HEADER_BYTES_MAX {
            return limit(Reason::HeaderTooLarge, "bytes", header.len(), HEADER_BYTES_MAX);
        }
        Ok(Self {
            bytes: text.len(),
            signing_input,
            header,
            claims,
            signature,
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
    pub(crate) header: Option<Header>,
    pub(crate) claims: Option<Claims>,
    pub(crate) signature: Option<Vec<u8>>,
}

impl Reading {
    pub(crate) fn read(&mut self, frame: Frame<'_>, thoroughness: Thoroughness) {
        let mut decode = |segment, name| {
            let bytes = base64url::decode(segment);
            if bytes.is_none() {
                self.faults.push(Refusal::new(Reason::Base64urlInvalid, name));
            }
            bytes
        };
        let header = decode(frame.header, "the header segment");
        let claims = decode(frame.claims, "the claims segment");
        self.signature = decode(frame.signature, "the signature segment");
        let stop = |reading: &Self| thoroughness == Thoroughness::StopAtFault && !reading.faults.is_empty();
        if stop(self) {
            return;
        }
        self.header = header.and_then(|json| header::read(&json, &mut self.faults));
        if stop(self) {
            return;
        }
        self.claims = claims.and_then(|json| claims::read(&json, &mut self.faults));
    }

    /// The fault that comes first in the order of the rules.
    pub(crate) fn first_fault(&self) -> Option<Refusal> {
        self.faults.iter().min_by_key(|fault| fault.reason).cloned()
    }
}
