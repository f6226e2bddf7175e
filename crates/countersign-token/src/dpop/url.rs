//! The address of a request, in the one spelling that two spellings of the same address come to.

use std::fmt;
use std::net::Ipv6Addr;

use crate::limits::URL_BYTES_MAX;

/// An `http` or `https` address without query and fragment, normalised as RFC 3986 §6.2.2 and §6.2.3 say: scheme and
/// host in lower case, no default port, no dot segments, percent-encoding in upper case and only where it is needed.
///
/// Two are equal if they name the same thing. What is not plainly an address is refused, not repaired: user
/// information, a host that is no host name, a path with a character that does not belong there.
///
/// ```
/// use countersign_token::dpop::RequestUrl;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let url = RequestUrl::parse("HTTPS://Mail.example:443/a/./b/../%7Eada?unread#top")?;
/// assert_eq!(url.as_str(), "https://mail.example/a/~ada");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestUrl(Box<str>);

impl RequestUrl {
    /// Reads an absolute address. Query and fragment are dropped.
    pub fn parse(text: &str) -> Result<Self, RequestUrlError> {
        check_text(text)?;
        let (scheme, rest) = text.split_once("://").ok_or(RequestUrlError::SchemeUnsupported)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        Self::assemble(scheme, authority, target)
    }

    /// Puts the address together from what a server or a proxy knows of a request: the scheme, the `Host` (or
    /// `:authority`) and the request target, which begins with a slash.
    ///
    /// Use this rather than joining the texts: the host is the client's to choose, and one like `mail.example/x?` would
    /// move the path.
    ///
    /// ```
    /// use countersign_token::dpop::RequestUrl;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let url = RequestUrl::from_parts("https", "mail.example", "/inbox?unread")?;
    /// assert_eq!(url.as_str(), "https://mail.example/inbox");
    /// assert!(RequestUrl::from_parts("https", "mail.example/x?", "/inbox").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_parts(scheme: &str, host: &str, target: &str) -> Result<Self, RequestUrlError> {
        [scheme, host, target].into_iter().try_for_each(check_text)?;
        if !target.starts_with('/') {
            return Err(RequestUrlError::PathInvalid);
        }
        Self::assemble(scheme, host, target)
    }

    fn assemble(scheme: &str, authority: &str, target: &str) -> Result<Self, RequestUrlError> {
        let (scheme, default_port) = if scheme.eq_ignore_ascii_case("https") {
            ("https", 443)
        } else if scheme.eq_ignore_ascii_case("http") {
            ("http", 80)
        } else {
            return Err(RequestUrlError::SchemeUnsupported);
        };
        let mut url = format!("{scheme}://");
        push_authority(&mut url, authority, default_port).ok_or(RequestUrlError::AuthorityInvalid)?;
        let path = target.split(['?', '#']).next().unwrap_or_default();
        push_path(
            &mut url,
            &decode_unreserved(path).ok_or(RequestUrlError::PathInvalid)?,
        );
        Ok(Self(url.into()))
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not taken for the address of a request.
///
/// ```
/// use countersign_token::dpop::RequestUrl;
///
/// let error = RequestUrl::parse("https://mail.example@evil.example/").unwrap_err();
/// assert_eq!(error.code(), "url_authority_invalid");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestUrlError {
    /// Longer than [`URL_BYTES_MAX`].
    #[error("the address is longer than 8 KiB")]
    TooLong,
    /// A character that stands in no address.
    #[error("the address has white space, a control character or one beyond ASCII")]
    CharacterForbidden,
    /// Neither `http` nor `https`, or not an absolute address.
    #[error("the address does not begin with http:// or https://")]
    SchemeUnsupported,
    /// User information, a host that is no host name or IP address, or a port that is no port.
    #[error("the address has no plain host and port")]
    AuthorityInvalid,
    /// A path that RFC 3986 does not allow.
    #[error("the path has a character or an escape that does not belong there")]
    PathInvalid,
}

impl RequestUrlError {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "url_too_long",
            Self::CharacterForbidden => "url_character_forbidden",
            Self::SchemeUnsupported => "url_scheme_unsupported",
            Self::AuthorityInvalid => "url_authority_invalid",
            Self::PathInvalid => "url_path_invalid",
        }
    }

    /// What to do about it.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::TooLong => "ask for a shorter address",
            Self::CharacterForbidden | Self::PathInvalid => "percent-encode the path as RFC 3986 says",
            Self::SchemeUnsupported => "write the address in full, with http:// or https://",
            Self::AuthorityInvalid => {
                "write the host as a plain name or IP address, with a port if it needs one"
            }
        })
    }

    /// The message, for a refusal.
    pub(crate) const fn note(self) -> &'static str {
        match self {
            Self::TooLong => "the address is too long",
            Self::CharacterForbidden => "the address has a character that stands in no address",
            Self::SchemeUnsupported => "the address does not begin with http:// or https://",
            Self::AuthorityInvalid => "the address has no plain host and port",
            Self::PathInvalid => "the path has a character or an escape that does not belong there",
        }
    }
}

fn check_text(text: &str) -> Result<(), RequestUrlError> {
    if text.len() > URL_BYTES_MAX {
        return Err(RequestUrlError::TooLong);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then_some(()).ok_or(RequestUrlError::CharacterForbidden)
}

fn push_authority(url: &mut String, authority: &str, default_port: u16) -> Option<()> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => "",
            port => port?,
        };
        (format!("[{address}]"), port)
    } else {
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        if !is_host_name(host) {
            return None;
        }
        (host.to_ascii_lowercase(), port)
    };
    url.push_str(&host);
    // An empty port is the default one (RFC 3986 §6.2.3).
    if port.is_empty() {
        return Some(());
    }
    if port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    if port != default_port {
        url.push(':');
        url.push_str(&port.to_string());
    }
    Some(())
}

/// Labels of letters, digits, `-` and `_`; an IPv4 address looks the same.
fn is_host_name(host: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    host.len() <= 253
        && host
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(is_letter))
}

/// Escapes in one spelling: decoded where they are not needed, in upper case where they are.
fn decode_unreserved(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
            let decoded = high << 4 | low;
            if is_unreserved(decoded) {
                out.push(char::from(decoded));
            } else {
                out.push('%');
                out.extend([high, low].map(hex_digit));
            }
        } else if is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            return None;
        }
    }
    Some(out)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Without `.` and `..` (RFC 3986 §5.2.4). Escaped dots were decoded before.
fn push_path(url: &mut String, path: &str) {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    for segment in kept {
        url.push('/');
        url.push_str(segment);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        RequestUrl::parse(text).map_or_else(|error| error.code().to_owned(), |url| url.to_string())
    }

    #[test]
    fn spellings_of_one_address_are_equal() {
        for (text, expected) in [
            ("https://a.example", "https://a.example/"),
            ("https://a.example?q", "https://a.example/"),
            ("https://a.example#f", "https://a.example/"),
            ("HTTPS://A.Example:443/", "https://a.example/"),
            ("https://a.example:/x", "https://a.example/x"),
            ("https://a.example:0443/x", "https://a.example/x"),
            ("https://a.example:80/x", "https://a.example:80/x"),
            ("http://a.example:80/x", "http://a.example/x"),
            ("http://a.example:443/x", "http://a.example:443/x"),
            ("https://[2001:DB8:0:0::1]:8443/x", "https://[2001:db8::1]:8443/x"),
            ("https://127.0.0.1:8443/x", "https://127.0.0.1:8443/x"),
            ("https://a.example/X", "https://a.example/X"),
            (
                "https://a.example/%7euser/%c3%a4",
                "https://a.example/~user/%C3%A4",
            ),
            ("https://a.example/a%2fb", "https://a.example/a%2Fb"),
            ("https://a.example/%252e", "https://a.example/%252e"),
            ("https://a.example/a/b/..", "https://a.example/a/"),
            ("https://a.example/a/b/%2E%2e/c", "https://a.example/a/c"),
            ("https://a.example/../../a", "https://a.example/a"),
            ("https://a.example/.", "https://a.example/"),
            ("https://a.example/a//../b", "https://a.example/a/b"),
            ("https://a.example/..//b", "https://a.example//b"),
            ("https://a.example/...", "https://a.example/..."),
            ("https://a.example/a?b#c?d/../e", "https://a.example/a"),
        ] {
            assert_eq!(normal(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_plainly_an_address_is_refused() {
        use RequestUrlError as Error;
        let long = format!("https://a.example/{}", "a".repeat(URL_BYTES_MAX));
        for (text, error) in [
            ("", Error::SchemeUnsupported),
            ("/path", Error::SchemeUnsupported),
            ("//a.example/", Error::SchemeUnsupported),
            ("ftp://a.example/", Error::SchemeUnsupported),
            ("https:/a.example/", Error::SchemeUnsupported),
            ("x-https://a.example/", Error::SchemeUnsupported),
            (" https://a.example/", Error::CharacterForbidden),
            ("https://a.example/\n", Error::CharacterForbidden),
            ("https://\u{e4}.example/", Error::CharacterForbidden),
            ("https:///path", Error::AuthorityInvalid),
            ("https://user@a.example/", Error::AuthorityInvalid),
            ("https://good.example@evil.example/", Error::AuthorityInvalid),
            ("https://a.example\\@evil.example/", Error::AuthorityInvalid),
            ("https://a%2eexample/", Error::AuthorityInvalid),
            ("https://a..example/", Error::AuthorityInvalid),
            ("https://a.example./", Error::AuthorityInvalid),
            ("https://a.example:x/", Error::AuthorityInvalid),
            ("https://a.example:+443/", Error::AuthorityInvalid),
            ("https://a.example:0/", Error::AuthorityInvalid),
            ("https://a.example:65536/", Error::AuthorityInvalid),
            ("https://a.example:1:2/", Error::AuthorityInvalid),
            ("https://[::1/", Error::AuthorityInvalid),
            ("https://[::1]x/", Error::AuthorityInvalid),
            ("https://[fe80::1%25eth0]/", Error::AuthorityInvalid),
            ("https://a.example/%", Error::PathInvalid),
            ("https://a.example/%2", Error::PathInvalid),
            ("https://a.example/%g0", Error::PathInvalid),
            ("https://a.example/a\\b", Error::PathInvalid),
            ("https://a.example/a|b", Error::PathInvalid),
            (&long, Error::TooLong),
        ] {
            assert_eq!(RequestUrl::parse(text), Err(error), "{text:.80}");
        }
    }

    #[test]
    fn a_host_cannot_move_the_path() {
        for host in [
            "a.example/other?",
            "a.example#",
            "a.example/..",
            "evil@a.example",
            "a.example, b.example",
            "a.example\\",
            "",
        ] {
            assert!(RequestUrl::from_parts("https", host, "/x").is_err(), "{host}");
        }
        for target in ["", "x", "*", "https://a.example/x", "?q"] {
            assert_eq!(
                RequestUrl::from_parts("https", "a.example", target),
                Err(RequestUrlError::PathInvalid),
                "{target}"
            );
        }
        let url = RequestUrl::from_parts("https", "a.example:443", "//b.example/x?y").unwrap();
        assert_eq!(url.as_str(), "https://a.example//b.example/x");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn normalising_twice_changes_nothing(
            text in "https?://[a-zA-Z0-9.\\[\\]:_-]{1,12}(:[0-9]{0,6})?(/(\\.|\\.\\.|%2[eEfF5]|%[0-9a-fA-F]{2}|[a-z~%/]){0,6}){0,4}[?#]?[a-z]{0,3}",
        ) {
            if let Ok(url) = RequestUrl::parse(&text) {
                prop_assert_eq!(RequestUrl::parse(url.as_str()), Ok(url.clone()));
                prop_assert!(!url.as_str().contains("/../") && !url.as_str().contains("/./"));
            }
        }

        #[test]
        fn texts_never_panic(text in "\\PC{0,60}", host in "\\PC{0,20}") {
            let _ = RequestUrl::parse(&text);
            let _ = RequestUrl::from_parts("https", &host, &text);
        }
    }
}
