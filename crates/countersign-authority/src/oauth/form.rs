//! Strict reading of `application/x-www-form-urlencoded`: what is ambiguous is refused, not guessed.

use zeroize::Zeroizing;

use super::error::TokenError;

/// More parameters than any grant has.
const FIELDS_MAX: usize = 64;

/// Parameters that RFC 8693 and RFC 8707 allow more than once.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The parameters of a request. Those without a value are treated as omitted (RFC 6749 §3.2).
pub(super) struct Form {
    fields: Vec<(String, Zeroizing<String>)>,
}

impl Form {
    pub(super) fn parse(body: &[u8]) -> Result<Self, TokenError> {
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at_checked(at).unwrap_or((pair, &[]));
            let name = decode(name).ok_or(TokenError::BodyMalformed)?;
            let value =
                decode(value.strip_prefix(b"=").unwrap_or_default()).ok_or(TokenError::BodyMalformed)?;
            if fields.len() == FIELDS_MAX {
                return Err(TokenError::BodyMalformed);
            }
            let repeated = fields.iter().any(|(other, _)| *other == *name);
            if repeated && !REPEATABLE.contains(&name.as_str()) {
                return Err(TokenError::ParameterRepeated);
            }
            fields.push(((*name).clone(), value));
        }
        fields.retain(|(_, value)| !value.is_empty());
        Ok(Self { fields })
    }

    /// A parameter that may appear once.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// A parameter that may appear several times.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Undoes the encoding; `None` for a broken escape or what is not UTF-8.
pub(super) fn decode(encoded: &[u8]) -> Option<Zeroizing<String>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(*rest.next()?)? << 4 | hex_digit(*rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(std::mem::take(&mut *decoded))
        .ok()
        .map(Zeroizing::new)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(body: &str, expect: Result<&[(&str, &str)], TokenError>) {
        let found = Form::parse(body.as_bytes());
        let found = found.map(|form| {
            form.fields
                .iter()
                .map(|(name, value)| (name.clone(), (**value).clone()))
                .collect::<Vec<_>>()
        });
        let expect = expect.map(|fields| {
            fields
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<Vec<_>>()
        });
        assert_eq!(found, expect, "{body}");
    }

    #[test]
    fn forms_are_read_strictly() {
        check("", Ok(&[]));
        check(
            "a=1&b=two+words&c=%C3%A9%26",
            Ok(&[("a", "1"), ("b", "two words"), ("c", "é&")]),
        );
        check("a=&b&c=1", Ok(&[("c", "1")]));
        check("a==", Ok(&[("a", "=")]));
        check(
            "resource=1&resource=2",
            Ok(&[("resource", "1"), ("resource", "2")]),
        );
        check("a=1&a=2", Err(TokenError::ParameterRepeated));
        check("a=&a=2", Err(TokenError::ParameterRepeated));
        check("%61=1&a=2", Err(TokenError::ParameterRepeated));
        for body in ["a=%", "a=%4", "a=%zz", "a=%FF", "%=1", "a=%+1"] {
            check(body, Err(TokenError::BodyMalformed));
        }
        let many = (0..=FIELDS_MAX)
            .map(|index| format!("p{index}=1"))
            .collect::<Vec<_>>()
            .join("&");
        check(&many, Err(TokenError::BodyMalformed));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_read(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(form) = Form::parse(&body) {
                prop_assert!(form.fields.len() <= FIELDS_MAX);
            }
        }

        #[test]
        fn what_was_encoded_is_what_is_read(value in ".{1,40}") {
            let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let form = Form::parse(format!("a={encoded}").as_bytes()).unwrap();
            prop_assert_eq!(form.value("a"), Some(value.as_str()));
        }
    }
}
