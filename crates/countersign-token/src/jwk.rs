//! One JWK (RFC 7517 §4): read with every check, written with its scope.

use serde_json::{Map, Value};

use crate::base64url;
use crate::issuer::IssuerName;
use crate::jwks::{KeyContext, KeyFault, KeyMetadata};
use crate::key::{Algorithm, KeyRecord, KeyState, SigningWindow};
use crate::limits::KEY_ID_BYTES_MAX;
use crate::public_key::PublicKey;

/// Members that only a private key has (RFC 7518 §6, RFC 9964).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];

type Jwk = Map<String, Value>;

/// Reads a key and its scope.
pub(crate) fn read_record(jwk: &Value, context: &KeyContext<'_>) -> Result<KeyRecord, KeyFault> {
    // RFC 7517 leaves `alg` to the publisher, and many leave it out: then a foreign RSA key signs RS256, which every
    // OpenID provider must support and signs with by default. Of our own keys each says what it is.
    let public = match context.metadata {
        KeyMetadata::Assumed => read_public_key(jwk),
        KeyMetadata::Declared => read_public_key_for(jwk, None),
    }?;
    let jwk = jwk.as_object().ok_or(KeyFault::NotAnObject)?;
    let id = key_id(jwk)?.ok_or(KeyFault::KeyIdMissing)?;
    let issuer = read_issuer(jwk, context)?;
    let (state, window) = match context.metadata {
        KeyMetadata::Assumed => (KeyState::Active, SigningWindow::OPEN),
        KeyMetadata::Declared => {
            check_realm(jwk, context.realm)?;
            (read_state(jwk)?, read_window(jwk)?)
        }
    };
    Ok(KeyRecord::new(public, issuer, context.realm, state, window).with_id(id))
}

/// Reads a client's key: as [`read_record`], and a key without `kid` is named by its thumbprint.
pub(crate) fn read_client_record(jwk: &Value, context: &KeyContext<'_>) -> Result<KeyRecord, KeyFault> {
    let public = read_public_key(jwk)?;
    let id = match jwk.as_object().map(key_id).transpose()?.flatten() {
        Some(id) => id.to_owned(),
        None => public.thumbprint().to_base64url(),
    };
    let issuer = context.issuer.clone();
    Ok(KeyRecord::new(
        public,
        issuer,
        context.realm,
        KeyState::Active,
        SigningWindow::OPEN,
    )
    .with_id(id))
}

/// Reads the key alone: kind, purpose, algorithm and components. An RSA key without `alg` is for RS256.
pub(crate) fn read_public_key(jwk: &Value) -> Result<PublicKey, KeyFault> {
    read_public_key_for(jwk, Some(Algorithm::Rs256))
}

/// As [`read_public_key`], with what an RSA key without `alg` is for; without such a default it is refused.
pub(crate) fn read_public_key_for(
    jwk: &Value,
    rsa_default: Option<Algorithm>,
) -> Result<PublicKey, KeyFault> {
    let jwk = jwk.as_object().ok_or(KeyFault::NotAnObject)?;
    let kind = text(jwk, "kty")?.ok_or(KeyFault::KeyTypeMissing)?;
    if kind == "oct" || jwk.contains_key("k") {
        return Err(KeyFault::SymmetricKey);
    }
    if PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(*member)) {
        return Err(KeyFault::PrivateKey);
    }
    check_purpose(jwk)?;
    match (kind, text(jwk, "crv")?) {
        ("EC", Some("P-256")) => read_ec(jwk, Algorithm::Es256, 32),
        ("EC", Some("P-384")) => read_ec(jwk, Algorithm::Es384, 48),
        ("EC", Some("P-521")) => read_ec(jwk, Algorithm::Es512, 66),
        ("OKP", Some("Ed25519")) => {
            check_algorithm(jwk, Algorithm::EdDsa)?;
            PublicKey::from_ed25519(&component(jwk, "x")?)
        }
        ("EC" | "OKP", None) => Err(KeyFault::ComponentMissing),
        ("RSA", _) => {
            let algorithm = algorithm(jwk)?
                .or(rsa_default)
                .ok_or(KeyFault::AlgorithmMissing)?;
            PublicKey::from_rsa(algorithm, &component(jwk, "n")?, &component(jwk, "e")?)
        }
        ("AKP", _) => {
            let algorithm = algorithm(jwk)?.ok_or(KeyFault::AlgorithmMissing)?;
            PublicKey::from_ml_dsa(algorithm, &component(jwk, "pub")?)
        }
        _ => Err(KeyFault::KeyTypeUnsupported),
    }
}

/// The id of a key, or `None` if it has none.
pub(crate) fn key_id(jwk: &Jwk) -> Result<Option<&str>, KeyFault> {
    let Some(id) = jwk.get("kid") else { return Ok(None) };
    let id = id.as_str().ok_or(KeyFault::KeyIdInvalid)?;
    let fits = !id.is_empty() && id.len() <= KEY_ID_BYTES_MAX && !id.contains(char::is_control);
    fits.then_some(Some(id)).ok_or(KeyFault::KeyIdInvalid)
}

/// The id of a key that was refused, if it can be printed.
pub(crate) fn key_id_for_display(jwk: &Value) -> Option<String> {
    jwk.as_object()
        .and_then(|jwk| key_id(jwk).ok().flatten())
        .map(str::to_owned)
}

impl KeyRecord {
    /// The key as published: RFC 7517 members, `iss`, `cs_realm`, `cs_state` and the signing window.
    pub fn to_jwk(&self) -> Value {
        let mut jwk = self.public_key().to_jwk();
        let mut set = |name: &str, value: Value| jwk.insert(name.to_owned(), value);
        set("alg", self.algorithm().as_str().into());
        set("use", "sig".into());
        set("kid", self.id().into());
        set("iss", self.issuer().as_str().into());
        set("cs_realm", self.realm().into());
        set("cs_state", self.state().as_str().into());
        set("cs_sign_from", self.window().sign_from.into());
        if let Some(until) = self.window().sign_until {
            set("cs_sign_until", until.into());
        }
        Value::Object(jwk)
    }
}

fn check_purpose(jwk: &Jwk) -> Result<(), KeyFault> {
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyFault::UseNotSignature);
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|o| o == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(KeyFault::OperationsNotVerify),
        Some(_) => Err(KeyFault::MemberInvalid),
    }
}

/// What `alg` says, if it is there.
fn algorithm(jwk: &Jwk) -> Result<Option<Algorithm>, KeyFault> {
    let name = text(jwk, "alg")?;
    let known = |name| Algorithm::from_name(name).ok_or(KeyFault::AlgorithmUnsupported);
    name.map(known).transpose()
}

/// Where the curve says it all, `alg` may repeat it.
fn check_algorithm(jwk: &Jwk, of_curve: Algorithm) -> Result<(), KeyFault> {
    match algorithm(jwk)? {
        Some(stated) if stated != of_curve => Err(KeyFault::AlgorithmUnsupported),
        _ => Ok(()),
    }
}

fn read_ec(jwk: &Jwk, algorithm: Algorithm, coordinate_bytes: usize) -> Result<PublicKey, KeyFault> {
    check_algorithm(jwk, algorithm)?;
    let (x, y) = (component(jwk, "x")?, component(jwk, "y")?);
    if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
        return Err(KeyFault::PointInvalid);
    }
    PublicKey::from_ec_point(algorithm, &[&[4], x.as_slice(), y.as_slice()].concat())
}

fn component(jwk: &Jwk, name: &str) -> Result<Vec<u8>, KeyFault> {
    let text = text(jwk, name)?.ok_or(KeyFault::ComponentMissing)?;
    base64url::decode(text).ok_or(KeyFault::Base64urlInvalid)
}

fn read_issuer(jwk: &Jwk, context: &KeyContext<'_>) -> Result<IssuerName, KeyFault> {
    let stated = match (text(jwk, "iss")?, text(jwk, "issuer")?, context.metadata) {
        (Some(a), Some(b), _) if a != b => return Err(KeyFault::IssuerForeign),
        (Some(stated), _, _) | (None, Some(stated), KeyMetadata::Assumed) => Some(stated),
        (None, _, _) => None,
    };
    let Some(stated) = stated else {
        // Where several tenants share a set, a key that names no issuer could sign for all of them.
        let may_assume =
            context.metadata == KeyMetadata::Assumed && matches!(context.issuer, IssuerName::Exact(_));
        return may_assume
            .then(|| context.issuer.clone())
            .ok_or(KeyFault::IssuerMissing);
    };
    let issuer = IssuerName::parse(stated).map_err(|_| KeyFault::IssuerForeign)?;
    if context.issuer.covers(&issuer) {
        return Ok(issuer);
    }
    // Entra's keys name the template also where one tenant is trusted: here they sign as that tenant only.
    let is_wider = context.metadata == KeyMetadata::Assumed && issuer.covers(context.issuer);
    is_wider
        .then(|| context.issuer.clone())
        .ok_or(KeyFault::IssuerForeign)
}

fn check_realm(jwk: &Jwk, realm: &str) -> Result<(), KeyFault> {
    match text(jwk, "cs_realm")? {
        None => Err(KeyFault::RealmMissing),
        Some(stated) if stated == realm => Ok(()),
        Some(_) => Err(KeyFault::RealmForeign),
    }
}

fn read_state(jwk: &Jwk) -> Result<KeyState, KeyFault> {
    let name = text(jwk, "cs_state")?.ok_or(KeyFault::StateMissing)?;
    KeyState::from_name(name).ok_or(KeyFault::StateUnknown)
}

fn read_window(jwk: &Jwk) -> Result<SigningWindow, KeyFault> {
    let time = |value: &Value| value.as_u64().ok_or(KeyFault::WindowInvalid);
    let sign_from = time(jwk.get("cs_sign_from").ok_or(KeyFault::WindowMissing)?)?;
    let sign_until = jwk.get("cs_sign_until").map(time).transpose()?;
    if sign_until.is_some_and(|until| until < sign_from) {
        return Err(KeyFault::WindowInvalid);
    }
    Ok(SigningWindow {
        sign_from,
        sign_until,
    })
}

/// A member that, if there, must be a non-empty text.
fn text<'a>(jwk: &'a Jwk, name: &str) -> Result<Option<&'a str>, KeyFault> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(KeyFault::MemberInvalid),
    }
}
