//! What a token is bound to (`cnf`, RFC 7800).

use crate::facts::{Facts, Verdict, need};
use crate::fingerprint::{CertificateThumbprint, Thumbprint};
use crate::json::Object;

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
    pub(crate) fn read(members: &Object) -> Option<Self> {
        let key = members.key_thumbprint.as_deref().map(Thumbprint::from_base64url);
        let certificate = members
            .certificate_thumbprint
            .as_deref()
            .map(CertificateThumbprint::from_base64url);
        if key == Some(None) || certificate == Some(None) {
            return None;
        }
        let (key, certificate) = (key.flatten(), certificate.flatten());
        let others = members.has_others || members.subject.is_some();
        Some(Self {
            key,
            certificate,
            // An empty `cnf` binds to something that was left out.
            is_supported: !others && (key.is_some() || certificate.is_some()),
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

pub(crate) fn proof_missing(facts: &Facts<'_>) -> Verdict {
    let Some(bound) = need!(facts.claims).confirmation() else {
        return Verdict::Passed;
    };
    if bound.key.is_some() {
        return Verdict::unless(
            true,
            "the token is bound to a key, and no DPoP proof came with it",
        );
    }
    Verdict::unless(
        bound.certificate.is_some(),
        "the token is bound to a client certificate, and none came with it",
    )
}
