//! A decoded signature.

use crate::base64url;

/// How long a signature is kept in place: RSA with 4096 bits. What is longer (ML-DSA) asks for memory of its own.
const NEAR: usize = 512;
/// As many bytes in base64url without padding.
const TEXT_NEAR: usize = (NEAR * 4).div_ceil(3);

#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one, and stands for an allocation saved"
)]
pub(crate) enum Signature {
    Near([u8; NEAR], usize),
    Far(Vec<u8>),
}

impl Signature {
    /// `None` unless `text` is canonical base64url.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        if text.len() > TEXT_NEAR {
            return base64url::decode(text).map(Self::Far);
        }
        let mut bytes = [0; NEAR];
        let length = base64url::decode_into(text, &mut bytes)?;
        Some(Self::Near(bytes, length))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Near(bytes, length) => bytes.get(..*length).unwrap_or_default(),
            Self::Far(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_any_length_are_decoded() {
        for length in [0, 1, 64, NEAR - 1, NEAR, NEAR + 1, NEAR + 2, 4_627] {
            let bytes = vec![0xa5; length];
            let signature = Signature::decode(&base64url::encode(&bytes));
            assert_eq!(signature.unwrap().as_bytes(), bytes, "{length}");
        }
        assert!(Signature::decode("A").is_none());
        assert!(Signature::decode(&"A".repeat(4_001)).is_none());
    }
}
