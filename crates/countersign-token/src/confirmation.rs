//! What a token is bound to (`cnf`, RFC 7800), and what its holder shows for it.

use std::fmt;

use crate::dpop::Request;
use crate::facts::{Facts, Verdict, need};
use crate::fingerprint::{CertificateThumbprint, Thumbprint};
use crate::json::{Nested, Value};
use crate::reason::Detail;
use crate::resource::ProofRule;

/// What the holder of a token showed beside it: a DPoP proof, the client certificate of the connection, or both.
///
/// A token that is bound to something is refused unless exactly that was shown; one that is bound to both a key and a
/// certificate needs both. All rules stand in `docs/sender-constraint.md`.
///
/// ```
/// use countersign_token::dpop::{MemoryReplayStore, Request, RequestUrl};
/// use countersign_token::{Dpop, Proofs};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Once, for the whole process.
/// let used = MemoryReplayStore::new(100_000);
///
/// // For each request. All values of its `DPoP` header, so that two of them are seen.
/// let headers = ["eyJ0eXAiOiJkcG9wK2p3dCIsI..."];
/// let url = RequestUrl::from_parts("https", "mail.example", "/inbox?unread")?;
/// let proofs = Proofs::NONE.with_dpop(Dpop::new(&headers, Request::new("GET", &url, &used)));
/// assert!(proofs.dpop.is_some() && proofs.certificate.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Proofs<'a> {
    /// The DPoP proof, and the request it must have been made for. `None` also where a client says `Bearer`: then a
    /// token that is bound to a key is refused, and a stray proof beside an unbound one is not looked at.
    pub dpop: Option<Dpop<'a>>,
    /// The client certificate of the connection, in DER. It must come from the connection itself or from a proxy that
    /// lets no such header of a client's through.
    pub certificate: Option<&'a [u8]>,
    /// The thumbprint of that certificate, where the proxy in front hands on no more.
    pub certificate_thumbprint: Option<CertificateThumbprint>,
}

impl<'a> Proofs<'a> {
    /// Nothing: a bearer token.
    pub const NONE: Self = Self {
        dpop: None,
        certificate: None,
        certificate_thumbprint: None,
    };

    /// The same with a DPoP proof. Only for a token that came under the scheme `DPoP`.
    #[must_use]
    pub const fn with_dpop(self, dpop: Dpop<'a>) -> Self {
        Self {
            dpop: Some(dpop),
            ..self
        }
    }

    /// The same with the client certificate of the connection, in DER.
    #[must_use]
    pub const fn with_certificate(self, der: &'a [u8]) -> Self {
        Self {
            certificate: Some(der),
            ..self
        }
    }

    /// The same with the thumbprint of the client certificate, where the certificate itself does not get this far.
    ///
    /// ```
    /// use countersign_token::{CertificateThumbprint, Proofs};
    ///
    /// let thumbprint = CertificateThumbprint::from_base64url("A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0");
    /// let proofs = thumbprint.map(|shown| Proofs::NONE.with_certificate_thumbprint(shown));
    /// assert!(proofs.is_some_and(|proofs| proofs.certificate_thumbprint == thumbprint));
    /// ```
    #[must_use]
    pub const fn with_certificate_thumbprint(self, thumbprint: CertificateThumbprint) -> Self {
        Self {
            certificate_thumbprint: Some(thumbprint),
            ..self
        }
    }

    fn shows_certificate(&self) -> bool {
        self.certificate.is_some() || self.certificate_thumbprint.is_some()
    }

    /// Whether what was shown of a certificate, which is something, is of this one.
    fn shows(&self, bound: &CertificateThumbprint) -> bool {
        self.certificate.is_none_or(|der| bound.is_of(der))
            && self
                .certificate_thumbprint
                .is_none_or(|shown| shown.is_same(bound))
    }
}

/// A DPoP proof as it came; [`Proofs`] shows it in use.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::Dpop;
/// use countersign_token::dpop::{MemoryReplayStore, Request, RequestUrl};
///
/// let (used, url) = (MemoryReplayStore::new(100_000), RequestUrl::parse("https://mail.example/inbox")?);
/// // Two of them: they are seen, and refused as `proof_repeated`.
/// let headers = ["eyJ0eXAi...", "eyJ0eXAi..."];
/// let dpop = Dpop::new(&headers, Request::new("GET", &url, &used));
/// assert_eq!(dpop.headers.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Dpop<'a> {
    /// The values of the request's `DPoP` headers. None is as good as no proof, more than one is refused.
    pub headers: &'a [&'a str],
    /// The request the proof must have been made for.
    pub request: Request<'a>,
}

impl<'a> Dpop<'a> {
    /// The values of all `DPoP` headers of a request, and that request.
    pub const fn new(headers: &'a [&'a str], request: Request<'a>) -> Self {
        Self { headers, request }
    }
}

impl fmt::Debug for Dpop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: a proof that was not used yet is as good as a key.
        f.debug_struct("Dpop")
            .field("headers", &self.headers.len())
            .field("request", &self.request)
            .finish()
    }
}

/// What the holder of a token must prove to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmation {
    /// `jkt`: a key, proved by DPoP (RFC 9449 §6.1).
    pub(crate) key: Option<Thumbprint>,
    /// `x5t#S256`: the client certificate of the connection (RFC 8705 §3.1).
    pub(crate) certificate: Option<CertificateThumbprint>,
    /// Whether every method named is one of these.
    pub(crate) is_supported: bool,
}

impl Confirmation {
    /// `None` if a thumbprint is not one.
    pub(crate) fn read(methods: Nested<'_>) -> Option<Self> {
        let (mut key, mut certificate, mut has_others) = (None, None, false);
        methods.members(|name, value| match (name, value) {
            ("jkt", Value::Text(text)) => key = Some(Thumbprint::from_base64url(&text.unescaped())),
            ("x5t#S256", Value::Text(text)) => {
                certificate = Some(CertificateThumbprint::from_base64url(&text.unescaped()));
            }
            _ => has_others = true,
        });
        if key == Some(None) || certificate == Some(None) {
            return None;
        }
        let (key, certificate) = (key.flatten(), certificate.flatten());
        Some(Self {
            key,
            certificate,
            // An empty `cnf` binds to something that was left out.
            is_supported: !has_others && (key.is_some() || certificate.is_some()),
        })
    }
}

pub(crate) fn unsupported(facts: &Facts<'_>) -> Verdict {
    let bound = need!(facts.claims).confirmation();
    Verdict::unless(
        bound.is_some_and(|bound| !bound.is_supported),
        "`cnf` names something else than `jkt` and `x5t#S256`",
    )
}

pub(crate) fn confirmation_required(facts: &Facts<'_>) -> Verdict {
    let is_bound = need!(facts.claims).confirmation().is_some();
    Verdict::unless(
        facts.resource.proof == ProofRule::Required && !is_bound,
        "the token is bound to nothing, and the resource takes bound tokens only",
    )
}

/// The answers of the rules about proofs where there is no proof: nothing to find fault with, unless one is owed.
pub(crate) fn without_proof(facts: &Facts<'_>) -> Verdict {
    let is_owed = need!(facts.claims)
        .confirmation()
        .is_some_and(|bound| bound.key.is_some());
    if is_owed {
        Verdict::NotReached
    } else {
        Verdict::Passed
    }
}

pub(crate) fn proof_missing(facts: &Facts<'_>) -> Verdict {
    let Some(bound) = need!(facts.claims).confirmation() else {
        return Verdict::Passed;
    };
    if bound.key.is_some() && facts.dpop().is_none() {
        return Verdict::Failed(Detail::Note(
            "the token is bound to a key, and no DPoP proof came with it",
        ));
    }
    Verdict::unless(
        bound.certificate.is_some() && !facts.proofs.shows_certificate(),
        "the token is bound to a client certificate, and none came with it",
    )
}

pub(crate) fn certificate_mismatch(facts: &Facts<'_>) -> Verdict {
    let bound = need!(facts.claims)
        .confirmation()
        .and_then(|bound| bound.certificate);
    let Some(bound) = bound else {
        return Verdict::Passed;
    };
    if !facts.proofs.shows_certificate() {
        return Verdict::NotReached;
    }
    Verdict::unless(
        !facts.proofs.shows(&bound),
        "the certificate is not the one in `cnf`",
    )
}

pub(crate) fn confirmation_missing(facts: &Facts<'_>) -> Verdict {
    let bound = need!(facts.claims).confirmation();
    let is_bound = bound.is_some_and(|bound| bound.key.is_some());
    Verdict::unless(
        facts.dpop().is_some() && !is_bound,
        "a DPoP proof came with a token that is bound to no key",
    )
}

pub(crate) fn proof_repeated(facts: &Facts<'_>) -> Verdict {
    match facts.dpop() {
        None => without_proof(facts),
        Some(dpop) => Verdict::unless(
            dpop.headers.len() > 1,
            "the request has more than one `DPoP` header",
        ),
    }
}
