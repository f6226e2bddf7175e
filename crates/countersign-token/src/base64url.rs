//! Canonical base64url (RFC 4648 §5): no padding, no white space, unused bits zero.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::NO_PAD;

/// Takes 32 characters at once where the processor can; which processor it is is asked once.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static ENGINE: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::url_safe(NO_PAD));

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static ENGINE: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

/// `None` unless `text` is the one canonical encoding of some bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

/// As [`decode`], to the end of `bytes`, which are left as they were if it fails.
pub(crate) fn decode_onto(text: &str, bytes: &mut Vec<u8>) -> bool {
    let length = bytes.len();
    let decoded = ENGINE.decode_vec(text, bytes);
    if decoded.is_err() {
        bytes.truncate(length);
    }
    decoded.is_ok()
}

/// As [`decode`], to the beginning of `bytes`; how many they are. `None` also if they do not fit.
pub(crate) fn decode_into(text: &str, bytes: &mut [u8]) -> Option<usize> {
    ENGINE.decode_slice(text, bytes).ok()
}

/// How much memory decoding `text` takes: never less than what it decodes to.
pub(crate) fn decoded_size(text: &str) -> usize {
    base64::decoded_len_estimate(text.len())
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

    /// What reads many characters at once is compared with what reads one after the other: every length around a few
    /// blocks, and every byte at every place.
    #[test]
    fn blocks_are_read_as_single_characters_are() {
        let same = |text: &str| assert_eq!(decode(text), URL_SAFE_NO_PAD.decode(text).ok(), "{text:?}");
        let letters = base64::alphabet::URL_SAFE.as_str().repeat(3);
        for length in 0..=letters.len() {
            same(&letters[..length]);
        }
        let mut text = letters.as_bytes()[..131].to_vec();
        for at in 0..text.len() {
            for byte in 0..=u8::MAX {
                let letter = std::mem::replace(&mut text[at], byte);
                if let Ok(text) = str::from_utf8(&text) {
                    same(text);
                }
                text[at] = letter;
            }
        }
    }
}
