//! The frames of the follow stream. Byte tables in `docs/follow.md`.

use crate::bytes::{take, take_slice, take_u8, take_u32, take_u64};
use crate::record::Entries;

const TYPE_ENTRIES: u8 = 1;
const TYPE_HEAD: u8 = 2;
const TYPE_QUIET: u8 = 3;
/// Type and length.
const HEADER_BYTES: usize = 5;
/// No frame is longer; entries are cut into frames well below.
pub const FRAME_BYTES_MAX: usize = 2 << 20;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Durable entries in a row.
    Entries {
        /// Index of the first one.
        first: u64,
        /// The entries, each behind its length as in a tlog-tiles bundle.
        bundle: &'a [u8],
    },
    /// A signed [`Head`](crate::head::Head).
    Head(&'a [u8]),
    /// Nothing new: the connection lives.
    Quiet {
        /// Number of durable entries, unsigned.
        head: u64,
    },
}

impl<'a> Frame<'a> {
    /// Takes one frame off the front of `input`; `None` leaves `input` as it is, because the frame's end is still to
    /// come.
    pub fn decode(input: &mut &'a [u8]) -> Result<Option<Self>, FrameError> {
        let mut rest = *input;
        let (Some(kind), Some(length)) = (take_u8(&mut rest), take_u32(&mut rest)) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong);
        }
        let Some(mut body) = take_slice(&mut rest, length) else {
            return Ok(None);
        };
        let frame = match kind {
            TYPE_ENTRIES => Self::Entries {
                first: take_u64(&mut body).ok_or(FrameError::Malformed)?,
                bundle: checked_bundle(body)?,
            },
            TYPE_HEAD => Self::Head(body),
            TYPE_QUIET => {
                let head = take(&mut body).map(u64::from_be_bytes);
                let head = head.filter(|_| body.is_empty());
                Self::Quiet {
                    head: head.ok_or(FrameError::Malformed)?,
                }
            }
            code => return Err(FrameError::TypeUnknown { code }),
        };
        *input = rest;
        Ok(Some(frame))
    }

    /// The frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Entries { first, bundle } => framed(TYPE_ENTRIES, &[&first.to_be_bytes(), bundle]),
            Self::Head(note) => framed(TYPE_HEAD, &[note]),
            Self::Quiet { head } => framed(TYPE_QUIET, &[&head.to_be_bytes()]),
        }
    }
}

fn framed(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length.saturating_add(HEADER_BYTES));
    out.push(kind);
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// At least one entry, and nothing after the last.
fn checked_bundle(bundle: &[u8]) -> Result<&[u8], FrameError> {
    let mut entries = Entries::new(bundle);
    let count = entries.by_ref().count();
    if count > 0 && entries.rest().is_empty() {
        Ok(bundle)
    } else {
        Err(FrameError::Malformed)
    }
}

/// Bytes of a stream as they come, and the frames that are whole.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    used: usize,
}

impl Frames {
    /// Takes in the next bytes, however they were cut.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.buffer.drain(..self.used.min(self.buffer.len()));
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    #[expect(
        clippy::should_implement_trait,
        reason = "lends from the buffer, as no iterator can"
    )]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let mut rest = self.buffer.get(self.used..).unwrap_or_default();
        let before = rest.len();
        let frame = Frame::decode(&mut rest)?;
        self.used = self.used.saturating_add(before.saturating_sub(rest.len()));
        Ok(frame)
    }
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than any frame.
    #[error("the frame is too long")]
    TooLong,
    /// A type of a newer release, or no stream at all.
    #[error("unknown frame type {code}")]
    TypeUnknown {
        /// The type byte.
        code: u8,
    },
    /// The frame's content is not what its type says.
    #[error("not a frame")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::push_entry;
    use proptest::prelude::*;

    fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            push_entry(&mut out, entry);
        }
        out
    }

    proptest! {
        #[test]
        fn frames_come_out_however_the_bytes_come_in(
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..20),
            first in any::<u64>(),
            piece in 1usize..40,
        ) {
            let bundle = bundle(&entries);
            let frames = [
                Frame::Entries { first, bundle: &bundle },
                Frame::Quiet { head: first },
                Frame::Head(b"note"),
            ];
            let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            let mut reader = Frames::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(piece) {
                reader.push(piece);
                while let Some(frame) = reader.next().unwrap() {
                    seen.push(frame.encode());
                }
            }
            prop_assert_eq!(reader.used, reader.buffer.len());
            prop_assert_eq!(seen, frames.iter().map(Frame::encode).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hostile_frames_are_refused() {
        let check = |bytes: &[u8], expect| assert_eq!(Frame::decode(&mut &*bytes), Err(expect), "{bytes:?}");
        check(&[0, 0, 0, 0, 0], FrameError::TypeUnknown { code: 0 });
        check(b"HTTP/1.1", FrameError::TooLong);
        check(&[1, 0x00, 0x20, 0x00, 0x01], FrameError::TooLong);
        check(&[1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], FrameError::Malformed);
        check(&[1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0], FrameError::Malformed);
        check(&[3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0], FrameError::Malformed);
        assert_eq!(Frame::decode(&mut [3, 0, 0, 0, 8, 0].as_slice()), Ok(None));
    }
}
