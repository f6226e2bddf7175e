//! Why bytes are not an entry, or a value not one that an entry can hold.

/// Why bytes are not an entry, or why an entry cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The bytes end inside a field.
    #[error("the entry ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("bytes follow the entry's last field")]
    TrailingBytes,
    /// Not a version this crate knows.
    #[error("unknown entry version {version}")]
    VersionUnknown {
        /// The version byte.
        version: u8,
    },
    /// Not a type this crate knows.
    #[error("unknown entry type {code}")]
    TypeUnknown {
        /// The type byte.
        code: u8,
    },
    /// A code that its field does not have: kind, state, reason, target, action or stage.
    #[error("unknown {field} {code}")]
    CodeUnknown {
        /// Which field.
        field: &'static str,
        /// The byte.
        code: u8,
    },
    /// A number that does not fit its field.
    #[error("{field} does not fit its field")]
    OutOfRange {
        /// Which field.
        field: &'static str,
    },
    /// A token that expires when it is issued, before, or more than 194 days after.
    #[error("the token's lifetime is not between 1 and 16777215 seconds")]
    LifetimeInvalid,
    /// A span of time that ends before it begins.
    #[error("a span of time ends before it begins")]
    SpanInverted,
    /// A key transition into the state in which every key begins.
    #[error("no key becomes staged: it is announced so")]
    TransitionToStaged,
}

impl EntryError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "entry_truncated",
            Self::TrailingBytes => "entry_trailing_bytes",
            Self::VersionUnknown { .. } => "entry_version_unknown",
            Self::TypeUnknown { .. } => "entry_type_unknown",
            Self::CodeUnknown { .. } => "entry_code_unknown",
            Self::OutOfRange { .. } => "entry_out_of_range",
            Self::LifetimeInvalid => "entry_lifetime_invalid",
            Self::SpanInverted => "entry_span_inverted",
            Self::TransitionToStaged => "entry_transition_to_staged",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::VersionUnknown { .. } | Self::TypeUnknown { .. } | Self::CodeUnknown { .. } => {
                Some("a newer release may have written it: read it with that release")
            }
            _ => None,
        }
    }
}
