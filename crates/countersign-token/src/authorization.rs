//! The credential of a request: the `Authorization` header, as RFC 6750 §2.1 and RFC 9449 §7.1 have it.

use crate::reason::{Reason, Refusal};
use crate::token::RawToken;

/// The one token of a request, and how it was shown.
///
/// What a service reads beside it hangs on the scheme: under `DPoP` the proof belongs to the token and must be checked
/// with it ([`Proofs::with_dpop`](crate::Proofs::with_dpop)); under `Bearer` no proof is looked at.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::{Authorization, ParsedToken};
///
/// // All values of the request's `Authorization` headers.
/// let headers = [format!("Bearer {text}")];
/// let token: ParsedToken = Authorization::of(&headers)?.bearer()?.parse()?;
///
/// let twice = [format!("Bearer {text}"), format!("Bearer {text}")];
/// assert_eq!(Authorization::of(&twice).unwrap_err().code(), "authorization_repeated");
///
/// // Where proofs are taken too:
/// match Authorization::of(&[format!("DPoP {text}")])? {
///     Authorization::Bearer(token) => { /* without `Proofs`: a bound token is refused then */ }
///     Authorization::Dpop(token) => { /* with the request's `DPoP` headers in the `Proofs` of the `Check` */ }
///     _ => unreachable!("no other scheme is asked for here"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Authorization<'a> {
    /// `Authorization: Bearer TOKEN`.
    Bearer(RawToken<'a>),
    /// `Authorization: DPoP TOKEN`.
    Dpop(RawToken<'a>),
}

impl<'a> Authorization<'a> {
    /// Reads the values of *all* `Authorization` headers of a request: with two of them, this service might look at one
    /// and what stands behind it at the other.
    ///
    /// The scheme is `Bearer` or `DPoP` in any case, then one space, then the token. RFC 6750 would allow more spaces; no
    /// client writes them. A token anywhere else, in the query or a cookie, is not looked for.
    ///
    /// `token_missing`, `authorization_repeated`, `authorization_scheme_unsupported` and `request_malformed` are the
    /// reasons for a header that is not so; then those of [`RawToken::new`].
    pub fn of<V>(values: impl IntoIterator<Item = &'a V>) -> Result<Self, Refusal>
    where
        V: AsRef<[u8]> + ?Sized + 'a,
    {
        let mut values = values.into_iter();
        let value = values
            .next()
            .ok_or_else(|| Refusal::new(Reason::TokenMissing, "no `Authorization` header"))?;
        if values.next().is_some() {
            return Err(repeated());
        }
        Self::read(value.as_ref())
    }

    fn read(value: &'a [u8]) -> Result<Self, Refusal> {
        let malformed = |note| Refusal::new(Reason::RequestMalformed, note);
        let value = str::from_utf8(value).map_err(|_| malformed("the header is not text"))?;
        // Some proxies join repeated headers with a comma; neither a scheme nor a token holds one.
        if value.contains(',') {
            return Err(repeated());
        }
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        let variant = if scheme.eq_ignore_ascii_case("Bearer") {
            Self::Bearer
        } else if scheme.eq_ignore_ascii_case("DPoP") {
            Self::Dpop
        } else {
            return Err(Refusal::new(
                Reason::AuthorizationSchemeUnsupported,
                "the scheme is neither `Bearer` nor `DPoP`",
            ));
        };
        if token.is_empty() || !token.bytes().all(is_of_token) {
            return Err(malformed("not one token behind one space"));
        }
        RawToken::new(token).map(variant)
    }

    /// The token, for a service that takes no proofs: one that came under `DPoP` is refused.
    pub fn bearer(self) -> Result<RawToken<'a>, Refusal> {
        match self {
            Self::Bearer(token) => Ok(token),
            Self::Dpop(_) => Err(Refusal::new(
                Reason::AuthorizationSchemeUnsupported,
                "the token came under `DPoP`, and no proof would be looked at",
            )),
        }
    }
}

fn repeated() -> Refusal {
    Refusal::new(Reason::AuthorizationRepeated, "more than one credential")
}

/// `b64token` of RFC 6750, which is `token68` of RFC 9110.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<(bool, String), Reason> {
        match Authorization::of(values) {
            Ok(Authorization::Bearer(token)) => Ok((false, format!("{token:?}"))),
            Ok(Authorization::Dpop(token)) => Ok((true, format!("{token:?}"))),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn one_token_is_found_whatever_the_case_of_its_scheme() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            assert_eq!(
                read(&[value.as_bytes()]),
                Ok((false, "RawToken(5 bytes)".to_owned()))
            );
        }
        for value in ["DPoP a.b.c", "dpop a.b.c"] {
            assert_eq!(
                read(&[value.as_bytes()]),
                Ok((true, "RawToken(5 bytes)".to_owned()))
            );
        }
    }

    #[test]
    fn anything_else_has_its_own_reason() {
        use Reason::*;
        assert_eq!(read(&[]), Err(TokenMissing));
        assert_eq!(
            read(&[b"Bearer a.b.c", b"Bearer a.b.c"]),
            Err(AuthorizationRepeated)
        );
        let cases: &[(&[u8], Reason)] = &[
            (b"Bearer a.b.c, Bearer d.e.f", AuthorizationRepeated),
            (b"Bearer a.b.c,", AuthorizationRepeated),
            (b"", AuthorizationSchemeUnsupported),
            (b"a.b.c", AuthorizationSchemeUnsupported),
            (b" Bearer a.b.c", AuthorizationSchemeUnsupported),
            (b"Bearer\ta.b.c", AuthorizationSchemeUnsupported),
            (b"Basic dXNlcjpwYXNz", AuthorizationSchemeUnsupported),
            (b"BearerDPoP a.b.c", AuthorizationSchemeUnsupported),
            (b"Bearer", RequestMalformed),
            (b"Bearer ", RequestMalformed),
            (b"Bearer  a.b.c", RequestMalformed),
            (b"Bearer a.b.c ", RequestMalformed),
            (b"Bearer a.b.c d", RequestMalformed),
            (b"Bearer \"a.b.c\"", RequestMalformed),
            (b"Bearer a.b.c\0", RequestMalformed),
            (b"Bearer a.b.\xc3\xa4", RequestMalformed),
            (b"Bearer a.b.\xff", RequestMalformed),
            (b"Bearer a.b", SegmentCountWrong),
        ];
        for (value, reason) in cases {
            assert_eq!(read(&[value]), Err(*reason), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_token_under_dpop_is_no_bearer_token() {
        let bearer = |value: &str| Authorization::of([value]).unwrap().bearer().map(drop);
        assert_eq!(bearer("Bearer a.b.c"), Ok(()));
        assert_eq!(
            bearer("DPoP a.b.c").unwrap_err().reason,
            Reason::AuthorizationSchemeUnsupported
        );
    }
}
