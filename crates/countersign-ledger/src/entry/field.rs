//! The fields of an entry, read off its front and written to its end.

use super::{ENTRY_VERSION, EntryError};
use crate::bytes::{put_u24, put_u40, take, take_u8, take_u24, take_u40};

/// What is left of an entry's bytes.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn u8(&mut self) -> Result<u8, EntryError> {
        take_u8(&mut self.rest).ok_or(EntryError::Truncated)
    }

    pub(super) fn u24(&mut self) -> Result<u64, EntryError> {
        take_u24(&mut self.rest).ok_or(EntryError::Truncated)
    }

    pub(super) fn u40(&mut self) -> Result<u64, EntryError> {
        take_u40(&mut self.rest).ok_or(EntryError::Truncated)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], EntryError> {
        take(&mut self.rest).ok_or(EntryError::Truncated)
    }

    /// An index that may be absent: stored plus one, 0 = none.
    pub(super) fn link(&mut self) -> Result<Option<u64>, EntryError> {
        Ok(self.u40()?.checked_sub(1))
    }

    /// From, and an until that may be open: 0 = open, else not before from.
    pub(super) fn span(&mut self) -> Result<(u64, Option<u64>), EntryError> {
        let from = self.u40()?;
        let until = Some(self.u40()?).filter(|until| *until != 0);
        if until.is_some_and(|until| until < from) {
            return Err(EntryError::SpanInverted);
        }
        Ok((from, until))
    }

    pub(super) fn end(&self) -> Result<(), EntryError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(EntryError::TrailingBytes)
        }
    }
}

/// An entry in the making.
pub(super) struct Writing(Vec<u8>);

impl Writing {
    /// Begins an entry of this type that will be `length` bytes long.
    pub(super) fn begin(kind: u8, length: usize) -> Self {
        let mut out = Vec::with_capacity(length);
        out.extend([ENTRY_VERSION, kind]);
        Self(out)
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(super) fn u24(&mut self, field: &'static str, value: u64) -> Result<(), EntryError> {
        put_u24(&mut self.0, value).ok_or(EntryError::OutOfRange { field })
    }

    pub(super) fn u40(&mut self, field: &'static str, value: u64) -> Result<(), EntryError> {
        put_u40(&mut self.0, value).ok_or(EntryError::OutOfRange { field })
    }

    pub(super) fn link(&mut self, field: &'static str, index: Option<u64>) -> Result<(), EntryError> {
        self.u40(field, index.map_or(0, |index| index.saturating_add(1)))
    }

    pub(super) fn span(
        &mut self,
        field: &'static str,
        from: u64,
        until: Option<u64>,
    ) -> Result<(), EntryError> {
        if until.is_some_and(|until| until < from) {
            return Err(EntryError::SpanInverted);
        }
        if until == Some(0) {
            return Err(EntryError::OutOfRange { field });
        }
        self.u40(field, from)?;
        self.u40(field, until.unwrap_or(0))
    }

    pub(super) fn end(self) -> Vec<u8> {
        self.0
    }
}

/// A field of one byte with a closed list of values, each with a word.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$variant_doc:meta])* $variant:ident = $code:literal, $word:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $code,)+
        }

        impl $name {
            /// Every value, in code order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The byte in the entry.
            pub fn code(self) -> u8 {
                self as u8
            }

            /// The value a byte stands for.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.code() == code)
            }

            /// The word used in logs and JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            pub(super) fn take(fields: &mut super::field::Fields<'_>) -> Result<Self, super::EntryError> {
                let code = fields.u8()?;
                Self::from_code(code).ok_or(super::EntryError::CodeUnknown { field: $field, code })
            }
        }
    };
}

pub(super) use codes;
