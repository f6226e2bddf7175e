//! A bare JWS (RFC 7515): the header and the signature, below the rules for tokens.

use crate::base64url;
use crate::header::{Header, OwnHeader};
use crate::jwks::KeySet;
use crate::key::{KeyRecord, KeyState};
use crate::limits::{HEADER_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::reason::{Detail, Reason, Refusal};

/// The payload of a compact JWS that a key of `keys` signed, whatever the payload is.
///
/// This says who signed and nothing else: not for whom, not until when, not that it is a token. An access token belongs
/// into [`verify`](crate::verify()). The header is read as strictly as a token's, `kid` selects the key (it may be
/// absent if there is one key only), and the algorithm is the key's.
///
/// ```
/// use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet, dangerous};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = IssuerName::parse("https://login.example")?;
/// let context = KeyContext::new(&issuer, "demo", KeyMetadata::Assumed);
/// let keys = br#"{"keys":[
///     {"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
/// ]}"#;
/// // RFC 8037, appendix A.4.
/// let jws = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-\
///     09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
///
/// let payload = dangerous::verify_signature_alone(jws, &KeySet::parse(keys, &context)?)?;
/// assert_eq!(payload, b"Example of Ed25519 signing");
/// # Ok(())
/// # }
/// ```
pub fn verify_signature_alone(text: &str, keys: &KeySet) -> Result<Vec<u8>, Refusal> {
    let (signing_input, payload, signature) = split(text)?;
    let decode = |segment, name| {
        base64url::decode(segment).ok_or_else(|| Refusal::new(Reason::Base64urlInvalid, name))
    };
    let header = decode(header_of(signing_input), "the header segment")?;
    let payload = decode(payload, "the payload segment")?;
    let signature = decode(signature, "the signature segment")?;
    let header = OwnHeader::read(header)?;
    let key = select_key(header.header(), keys)?;
    if key.verify(signing_input.as_bytes(), &signature) {
        Ok(payload)
    } else {
        Err(Refusal::new(
            Reason::SignatureInvalid,
            "the signature does not verify",
        ))
    }
}

/// The key that `kid` names, or the only one, if it may sign and its algorithm is the header's.
pub(crate) fn select_key<'k>(header: Header<'_>, keys: &'k KeySet) -> Result<&'k KeyRecord, Refusal> {
    let key = match header.key_id() {
        Some(id) => keys
            .key(id)
            .ok_or(Refusal::new(Reason::KeyUnknown, "no key of this id in the set"))?,
        None => keys.sole_key().ok_or(Refusal::new(
            Reason::KeyIdMissing,
            "`kid` is absent and the set has not exactly one key",
        ))?,
    };
    let refuse = |reason| {
        Err(Refusal {
            reason,
            detail: Detail::Key(key.clone()),
        })
    };
    match key.state() {
        KeyState::Active => {}
        KeyState::Staged => return refuse(Reason::KeyStaged),
        KeyState::Retired | KeyState::Expired => return refuse(Reason::KeyExpired),
        KeyState::Suspect | KeyState::Revoked => return refuse(Reason::KeyRevoked),
    }
    if header.algorithm() != Some(key.algorithm()) {
        return refuse(Reason::AlgorithmMismatch);
    }
    Ok(key)
}

/// Signing input, payload and signature. Unlike a token's claims a payload may be empty.
fn split(text: &str) -> Result<(&str, &str, &str), Refusal> {
    let limit = |reason, value: usize, limit: usize| Refusal {
        reason,
        detail: Detail::Amount {
            what: "bytes",
            value: value as u64,
            bound: "limit",
            limit: limit as u64,
        },
    };
    if text.len() > TOKEN_BYTES_MAX {
        return Err(limit(Reason::TokenTooLarge, text.len(), TOKEN_BYTES_MAX));
    }
    let segments = text.rsplit_once('.').and_then(|(signing_input, signature)| {
        let (header, payload) = signing_input.split_once('.')?;
        let is_whole = !header.is_empty() && !payload.contains('.');
        is_whole.then_some((signing_input, payload, signature))
    });
    let segments = segments.ok_or_else(|| Refusal::new(Reason::SegmentCountWrong, "not three segments"))?;
    let header = header_of(segments.0);
    if header.len() > HEADER_BYTES_MAX {
        return Err(limit(Reason::HeaderTooLarge, header.len(), HEADER_BYTES_MAX));
    }
    Ok(segments)
}

fn header_of(signing_input: &str) -> &str {
    signing_input.split('.').next().unwrap_or_default()
}
