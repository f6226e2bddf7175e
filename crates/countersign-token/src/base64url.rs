//! Canonical base64url (RFC 4648 §5): no padding, no white space, unused bits zero.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `None` unless `text` is the one canonical encoding of some bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// As [`decode`], to the end of `bytes`, which are left as they were if it fails.
pub(crate) fn decode_onto(text: &str, bytes: &mut Vec<u8>) -> bool {
    let length = bytes.len();
    let decoded = URL_SAFE_NO_PAD.decode_vec(text, bytes);
    if decoded.is_err() {
        bytes.truncate(length);
    }
    decoded.is_ok()
}

/// As [`decode`], to the beginning of `bytes`; how many they are. `None` also if they do not fit.
pub(crate) fn decode_into(text: &str, bytes: &mut [u8]) -> Option<usize> {
    URL_SAFE_NO_PAD.decode_slice(text, bytes).ok()
}

/// How much memory decoding `text` takes: never less than what it decodes to.
pub(crate) fn decoded_size(text: &str) -> usize {
    base64::decoded_len_estimate(text.len())
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert_eq!(decode("").as_deref(), Some(&b""[..]));
        assert_eq!(decode("-_8").as_deref(), Some(&[0xfb, 0xff][..]));
        for text in [
            "-_8=", "+/8", "-_9", "A", "-_\n8", " -_8", "-_8 ", "-=_8", "\u{e9}A",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
