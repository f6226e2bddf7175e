//! Key sets (RFC 7517 §5): read key by key, so that a bad key never takes the good ones with it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::issuer::IssuerName;
use crate::json;
use crate::jwk;
use crate::key::KeyRecord;
use crate::limits::{KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX};

/// Whether a set's keys must state their own scope.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerName, KeyContext, KeyFault, KeyMetadata, KeySet};
///
/// let issuer = IssuerName::parse("https://id.example")?;
/// let jwks = br#"{"keys": [{"kid": "1", "kty": "OKP", "crv": "Ed25519",
///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let read = |metadata| KeySet::parse(jwks, &KeyContext::new(&issuer, "staff", metadata));
///
/// assert_eq!(read(KeyMetadata::Assumed)?.len(), 1);
/// assert_eq!(read(KeyMetadata::Declared)?.refused()[0].reason, KeyFault::IssuerMissing);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyMetadata {
    /// Ours: a key must carry `iss`, `cs_realm`, `cs_state` and `cs_sign_from`; one that does not is refused.
    Declared,
    /// Foreign: a key belongs to the issuer whose set it is in, is active, and its window is open. What it does
    /// state (`iss`, or `issuer` as Entra writes it) only narrows that.
    ///
    /// Under a templated issuer a key must say which issuers it signs as: silence is not "all tenants".
    Assumed,
}

/// Whose key set is read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet};
///
/// let issuer = IssuerName::parse("https://id.example")?;
/// let context = KeyContext::new(&issuer, "staff", KeyMetadata::Assumed);
/// let keys = KeySet::parse(br#"{"keys": []}"#, &context)?;
/// assert!(keys.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyContext<'a> {
    /// The issuer record's issuer.
    pub issuer: &'a IssuerName,
    /// The issuer record's realm.
    pub realm: &'a str,
    /// What the keys must state.
    pub metadata: KeyMetadata,
}

impl<'a> KeyContext<'a> {
    /// The set of this issuer, in this realm.
    pub const fn new(issuer: &'a IssuerName, realm: &'a str, metadata: KeyMetadata) -> Self {
        Self {
            issuer,
            realm,
            metadata,
        }
    }
}

/// The keys of one issuer, by key id, and those that were refused.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet};
///
/// let issuer = IssuerName::parse("https://id.example")?;
/// let context = KeyContext::new(&issuer, "staff", KeyMetadata::Assumed);
/// let keys = KeySet::parse(
///     br#"{"keys": [
///         {"kid": "1", "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
///         {"kid": "2", "kty": "oct", "k": "c2VjcmV0"}
///     ]}"#,
///     &context,
/// )?;
/// assert!(keys.key("1").is_some());
/// for refusal in keys.refused() {
///     println!("{refusal}"); // key 2: a symmetric key in a public set
/// }
///
/// // Of keys with one id none is taken: which of them was meant?
/// let twice = KeySet::new(keys.keys().chain(keys.keys()).cloned().collect());
/// assert!(twice.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<String, KeyRecord>,
    refused: Vec<KeyRefusal>,
}

impl KeySet {
    /// A set of keys that are already records. Keys that share an id are all refused.
    pub fn new(keys: Vec<KeyRecord>) -> Self {
        let mut set = Self::default();
        let mut repeated = Vec::new();
        for key in keys {
            if let Some(other) = set.keys.insert(key.id().to_owned(), key) {
                repeated.push(other.id().to_owned());
            }
        }
        repeated.sort();
        repeated.dedup();
        for id in repeated {
            set.keys.remove(&id);
            set.refused.push(KeyRefusal {
                key_id: Some(id),
                reason: KeyFault::KeyIdRepeated,
            });
        }
        set
    }

    /// Reads a JWK set. Syntax is strict (see `docs/key-set.md`) and refuses the whole; a fault in one key refuses
    /// that key.
    pub fn parse(json: &[u8], context: &KeyContext<'_>) -> Result<Self, JwksError> {
        Self::parse_each(json, |jwk| jwk::read_record(jwk, context))
    }

    pub(crate) fn parse_each(
        json: &[u8],
        read: impl Fn(&Value) -> Result<KeyRecord, KeyFault>,
    ) -> Result<Self, JwksError> {
        let entries = read_entries(json)?;
        let mut keys = Vec::with_capacity(entries.len());
        let mut refused = Vec::new();
        for entry in &entries {
            match read(entry) {
                Ok(key) => keys.push(key),
                Err(reason) => refused.push(KeyRefusal {
                    key_id: jwk::key_id_for_display(entry),
                    reason,
                }),
            }
        }
        // A refused twin counts too: which of the two the issuer meant, nobody can tell.
        let taken = refused.clone();
        keys.retain(|key| {
            let repeated = taken.iter().any(|twin| twin.key_id.as_deref() == Some(key.id()));
            if repeated {
                let key_id = Some(key.id().to_owned());
                refused.push(KeyRefusal {
                    key_id,
                    reason: KeyFault::KeyIdRepeated,
                });
            }
            !repeated
        });
        let mut set = Self::new(keys);
        refused.append(&mut set.refused);
        set.refused = refused;
        Ok(set)
    }

    /// The usable keys, ordered by id.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &KeyRecord> + Clone {
        self.keys.values()
    }

    /// The key of this id.
    pub fn key(&self, id: &str) -> Option<&KeyRecord> {
        self.keys.get(id)
    }

    /// The only key, if there is exactly one.
    pub(crate) fn sole_key(&self) -> Option<&KeyRecord> {
        let mut keys = self.keys.values();
        keys.next().filter(|_| keys.next().is_none())
    }

    /// Keys that were not taken, each with the reason.
    pub fn refused(&self) -> &[KeyRefusal] {
        &self.refused
    }

    /// How many usable keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The set as published: every key with its scope.
    pub fn to_json(&self) -> Value {
        json!({ "keys": self.keys().map(KeyRecord::to_jwk).collect::<Vec<_>>() })
    }
}

impl FromIterator<KeyRecord> for KeySet {
    fn from_iter<I: IntoIterator<Item = KeyRecord>>(keys: I) -> Self {
        Self::new(keys.into_iter().collect())
    }
}

/// A key that was not taken.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet};
///
/// let issuer = IssuerName::parse("https://id.example")?;
/// let context = KeyContext::new(&issuer, "staff", KeyMetadata::Assumed);
/// let keys = KeySet::parse(br#"{"keys": [{"kid": "2", "kty": "oct", "k": "c2VjcmV0"}]}"#, &context)?;
/// let refusal = &keys.refused()[0];
/// assert_eq!((refusal.key_id.as_deref(), refusal.reason.code()), (Some("2"), "key_symmetric"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRefusal {
    /// Its id, where it has a printable one.
    pub key_id: Option<String>,
    /// Why.
    pub reason: KeyFault,
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key_id {
            Some(id) => write!(f, "key {id}: {}", self.reason),
            None => write!(f, "a key without an id: {}", self.reason),
        }
    }
}

fn read_entries(text: &[u8]) -> Result<Vec<Value>, JwksError> {
    if text.len() > KEY_SET_BYTES_MAX {
        return Err(JwksError::TooLarge);
    }
    json::check(text).map_err(|fault| match fault {
        json::Fault::Repeated | json::Fault::CaseVariant => JwksError::MemberRepeated,
        json::Fault::TooComplex => JwksError::TooComplex,
        json::Fault::Syntax => JwksError::JsonInvalid,
    })?;
    let Ok(Value::Object(mut set)) = serde_json::from_slice(text) else {
        return Err(JwksError::JsonInvalid);
    };
    match set.remove("keys") {
        Some(Value::Array(keys)) if keys.len() <= KEY_SET_KEYS_MAX => Ok(keys),
        Some(Value::Array(_)) => Err(JwksError::TooLarge),
        _ => Err(JwksError::KeysMissing),
    }
}

/// Why a key set as a whole was not read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerName, JwksError, KeyContext, KeyMetadata, KeySet};
///
/// let issuer = IssuerName::parse("https://id.example")?;
/// let context = KeyContext::new(&issuer, "staff", KeyMetadata::Assumed);
/// let error = KeySet::parse(b"<html>", &context).unwrap_err();
/// assert_eq!((error, error.code()), (JwksError::JsonInvalid, "key_set_json_invalid"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// Above the limits of size or number of keys.
    #[error("the key set is larger than any honest one")]
    TooLarge,
    /// Not one JSON document.
    #[error("the key set is not one strict JSON object")]
    JsonInvalid,
    /// Nested too deep or an object with too many members.
    #[error("the key set nests too deep or has an object with too many members")]
    TooComplex,
    /// A member name stands twice in one object.
    #[error("an object in the key set has the same member twice")]
    MemberRepeated,
    /// No array `keys`.
    #[error("the key set has no array `keys`")]
    KeysMissing,
}

impl JwksError {
    /// Stable name of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "key_set_too_large",
            Self::JsonInvalid => "key_set_json_invalid",
            Self::TooComplex => "key_set_too_complex",
            Self::MemberRepeated => "key_set_member_repeated",
            Self::KeysMissing => "key_set_keys_missing",
        }
    }

    /// What to do about it.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::TooLarge | Self::TooComplex => "see the limits in docs/key-set.md",
            Self::JsonInvalid => "check that the address answers with the key set and not with a web page",
            Self::MemberRepeated => "ask the issuer to publish each member once",
            Self::KeysMissing => "a key set looks like {\"keys\": [...]}; a discovery document is not one",
        })
    }
}

/// Why one key of a set was not taken.
///
/// ```
/// use countersign_token::{KeyFault, PublicKey};
/// use serde_json::json;
///
/// let fault = PublicKey::from_jwk(&json!({"kty": "oct", "k": "c2VjcmV0"})).unwrap_err();
/// assert_eq!(fault, KeyFault::SymmetricKey);
/// assert!(fault.hint().is_some_and(|hint| hint.starts_with("treat the key as stolen")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The entry is no JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A member has the wrong JSON type or is empty.
    #[error("a member has the wrong type")]
    MemberInvalid,
    /// No `kid`.
    #[error("no key id (`kid`)")]
    KeyIdMissing,
    /// `kid` is empty, too long or holds control characters.
    #[error("the key id is empty, too long or not printable")]
    KeyIdInvalid,
    /// Two keys of the set have this id; neither is taken.
    #[error("the key id stands twice in the set")]
    KeyIdRepeated,
    /// No `kty`.
    #[error("no key type (`kty`)")]
    KeyTypeMissing,
    /// A `kty` or `crv` that is not used here.
    #[error("key type or curve not supported")]
    KeyTypeUnsupported,
    /// `kty` is `oct`, or there is a `k`: whoever reads this set could sign.
    #[error("a symmetric key in a public set")]
    SymmetricKey,
    /// Private members: whoever reads this set could sign.
    #[error("a private key in a public set")]
    PrivateKey,
    /// `use` is not `sig`.
    #[error("not meant for signatures (`use`)")]
    UseNotSignature,
    /// `key_ops` lacks `verify`.
    #[error("not meant for verification (`key_ops`)")]
    OperationsNotVerify,
    /// `alg` is not what this kind of key does here.
    #[error("`alg` does not fit the key or is not supported")]
    AlgorithmUnsupported,
    /// No `alg`, and the kind of key does not say what it is for.
    #[error("the key does not say what algorithm it is for (`alg`)")]
    AlgorithmMissing,
    /// A component is missing.
    #[error("a component of the key is missing")]
    ComponentMissing,
    /// A component is not canonical base64url.
    #[error("a component is not canonical base64url")]
    Base64urlInvalid,
    /// A coordinate has the wrong length, or the point is not on the curve (P-256) or of small order (Ed25519).
    #[error("not a point of the curve")]
    PointInvalid,
    /// Below 2048 bits.
    #[error("the RSA modulus has fewer than 2048 bits")]
    RsaModulusTooSmall,
    /// An ML-DSA key that has not the length its algorithm asks for.
    #[error("the key has the wrong length for its algorithm")]
    LengthInvalid,
    /// Made by a library whose keys can be factored (CVE-2017-15361, "ROCA").
    #[error("the RSA modulus is of a kind that can be factored (ROCA)")]
    RsaModulusPredictable,
    /// Above 8192 bits.
    #[error("the RSA modulus has more than 8192 bits")]
    RsaModulusTooLarge,
    /// Even or with leading zeros.
    #[error("the RSA modulus is even or has leading zeros")]
    RsaModulusInvalid,
    /// Not an odd number from 65537 to 2^32 - 1 without leading zeros.
    #[error("the RSA exponent is not an odd number from 65537 to 2^32 - 1")]
    RsaExponentInvalid,
    /// No `iss`, where one is needed.
    #[error("the key does not say which issuer it signs as")]
    IssuerMissing,
    /// `iss` or `issuer` is not one this record answers for.
    #[error("the key belongs to another issuer")]
    IssuerForeign,
    /// No `cs_realm`.
    #[error("the key does not say which realm it signs in")]
    RealmMissing,
    /// `cs_realm` is another one.
    #[error("the key belongs to another realm")]
    RealmForeign,
    /// No `cs_state`.
    #[error("the key does not say which state it is in")]
    StateMissing,
    /// A `cs_state` that is not known.
    #[error("the key's state is not known")]
    StateUnknown,
    /// No `cs_sign_from`.
    #[error("the key does not say since when it signs")]
    WindowMissing,
    /// `cs_sign_until` before `cs_sign_from`, or no unix times.
    #[error("the key's signing window is not one")]
    WindowInvalid,
}

impl KeyFault {
    /// Stable name of the fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAnObject => "key_not_an_object",
            Self::MemberInvalid => "key_member_invalid",
            Self::KeyIdMissing => "key_id_missing",
            Self::KeyIdInvalid => "key_id_invalid",
            Self::KeyIdRepeated => "key_id_repeated",
            Self::KeyTypeMissing => "key_type_missing",
            Self::KeyTypeUnsupported => "key_type_unsupported",
            Self::SymmetricKey => "key_symmetric",
            Self::PrivateKey => "key_private",
            Self::UseNotSignature => "key_use_not_signature",
            Self::OperationsNotVerify => "key_operations_not_verify",
            Self::AlgorithmUnsupported => "key_algorithm_unsupported",
            Self::AlgorithmMissing => "key_algorithm_missing",
            Self::ComponentMissing => "key_component_missing",
            Self::Base64urlInvalid => "key_base64url_invalid",
            Self::PointInvalid => "key_point_invalid",
            Self::LengthInvalid => "key_length_invalid",
            Self::RsaModulusPredictable => "key_rsa_modulus_predictable",
            Self::RsaModulusTooSmall => "key_rsa_modulus_too_small",
            Self::RsaModulusTooLarge => "key_rsa_modulus_too_large",
            Self::RsaModulusInvalid => "key_rsa_modulus_invalid",
            Self::RsaExponentInvalid => "key_rsa_exponent_invalid",
            Self::IssuerMissing => "key_issuer_missing",
            Self::IssuerForeign => "key_issuer_foreign",
            Self::RealmMissing => "key_realm_missing",
            Self::RealmForeign => "key_realm_foreign",
            Self::StateMissing => "key_state_missing",
            Self::StateUnknown => "key_state_unknown",
            Self::WindowMissing => "key_window_missing",
            Self::WindowInvalid => "key_window_invalid",
        }
    }

    /// What to do about it, where it is not obvious.
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::SymmetricKey | Self::PrivateKey => {
                Some("treat the key as stolen: it was published; replace it and publish the public part only")
            }
            Self::KeyIdRepeated => {
                Some("give each key of the set its own id, for example its RFC 7638 thumbprint")
            }
            Self::IssuerMissing => {
                Some("a key under a `{tenantid}` issuer, and every key of ours, must name its issuer")
            }
            Self::IssuerForeign | Self::RealmForeign => {
                Some("publish the key under the issuer and realm it belongs to, never under another")
            }
            Self::AlgorithmMissing => Some("publish the key with `alg`, for example \"RS256\""),
            Self::RsaModulusTooSmall => Some("replace the key by one of at least 2048 bits"),
            Self::RsaModulusPredictable => {
                Some("replace the key, and whatever made it: its private half can be computed")
            }
            _ => None,
        }
    }
}
