//! Reason codes: the one list of why a request is refused, for the token's own rules and for the gate's.

use std::fmt;

macro_rules! reasons {
    ($($variant:ident $code:literal $meaning:literal $cause:literal $remedy:literal;)*) => {
        /// Why a token or a request is refused. Ordered as the rules are checked.
        ///
        /// The codes are stable; `docs/reasons.md` lists them. Exhaustive on purpose: whoever turns a reason into an
        /// answer must place each new one by hand.
        ///
        /// ```
        /// use countersign_token::Reason;
        ///
        /// let reason = Reason::KeyRealmMismatch;
        /// assert_eq!(reason.as_str(), "key_realm_mismatch");
        /// println!("{} {}", reason.meaning(), reason.remedy());
        ///
        /// // In the order in which they are checked.
        /// assert!(Reason::SignatureInvalid < Reason::TokenExpired);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)*
        }

        impl Reason {
            /// All reasons, in the order in which they are checked.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code: stable, `snake_case`, unique.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What was found, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What usually lies behind it.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)* }
            }

            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

// One reason a paragraph: variant and code, then meaning, cause, remedy.
reasons! {
    // The gate, before there is a token to look at.
    RequestTooLarge "request_too_large"
        "The request has more or longer headers than the gate reads."
        "A client that collects cookies, or someone tries what a huge request does."
        "Send fewer and shorter headers.";
    RequestMalformed "request_malformed"
        "The request cannot be read."
        "An `Authorization` header that is not text, or not `Bearer` and one token."
        "Send the token once, as `Authorization: Bearer TOKEN`.";
    AuthorizationRepeated "authorization_repeated"
        "The request carries more than one credential."
        "Two `Authorization` headers, or several joined by a comma: a way to show the gate one token and the service another."
        "Send the token once, as `Authorization: Bearer TOKEN`.";
    AuthorizationSchemeUnsupported "authorization_scheme_unsupported"
        "The credential is not a bearer token."
        "A client that authenticates with a password (`Basic`) or sends a bound token (`DPoP`)."
        "Send the token as `Authorization: Bearer TOKEN`.";
    TokenInQuery "token_in_query"
        "The address of the request carries a token (`access_token`)."
        "A client that sends its token in the address, where it ends up in logs and where the service might read one that nobody checked."
        "Send the token as `Authorization: Bearer TOKEN` and nowhere else.";
    ResourceUnknown "resource_unknown"
        "The request names a resource that is not configured."
        "A typing error in the proxy's configuration, or several resources and no `resource` parameter."
        "Name one of the resources of the gate's configuration in the proxy's request to `/check`.";
    TokenMissing "token_missing"
        "The request carries no token."
        "The client did not authenticate."
        "Get a token from the issuer and send it as `Authorization: Bearer TOKEN`.";

    // Frame: what can be said before anything is decoded.
    TokenTooLarge "token_too_large"
        "The token is longer than 16 KiB."
        "Too many claims (group lists), or someone tries what a huge input does."
        "Issue smaller tokens: refer to groups instead of listing them.";
    SegmentCountWrong "segment_count_wrong"
        "The token is not three segments with two dots."
        "An opaque or encrypted (five segments) token, a truncated copy, or another serialisation than the compact one."
        "Send the signed access token exactly as the issuer returned it.";
    HeaderTooLarge "header_too_large"
        "The token's header is longer than 4 KiB."
        "Certificates or keys inside the header, which are never used here."
        "Let the issuer refer to its key by `kid` only.";
    Base64urlInvalid "base64url_invalid"
        "A segment is not canonical base64url."
        "Padding, white space, the alphabet of plain base64, or unused bits that are not zero; typical of a token that was edited."
        "Send the token unchanged; an issuer must encode as RFC 7515 section 2 says.";

    // Header.
    HeaderJsonInvalid "header_json_invalid"
        "The header is not one strict JSON object."
        "Bad syntax, invalid UTF-8, bytes after the object, or nesting and member counts beyond the limits."
        "The issuer must write the header as one plain JSON object.";
    HeaderMemberRepeated "header_member_repeated"
        "The header has a member twice, or a registered name in another case."
        "Two readers of such a header may see two different headers: a way around checks."
        "The issuer must write each member once, in its registered spelling.";
    HeaderKeyForbidden "header_key_forbidden"
        "The header brings or points to a key (`jku`, `jwk`, `x5u`, `x5c`)."
        "A forger who wants the token checked with a key of his own."
        "Keys come from the issuer's record only. An honest issuer must leave these members out.";
    CriticalHeaderUnsupported "critical_header_unsupported"
        "The header asks for an extension (`crit`, `b64`)."
        "A token made for another protocol; an extension that is not understood must be refused (RFC 7515 section 4.1.11)."
        "The issuer must issue tokens without critical extensions.";
    EncryptionUnsupported "encryption_unsupported"
        "The header has members of encryption or compression (`enc`, `zip`, `epk` and the like)."
        "An encrypted token, or a signed one made to look like it."
        "Let the issuer send signed, unencrypted access tokens to this resource.";
    ContentTypeForbidden "content_type_forbidden"
        "The header says that the token contains another token (`cty`)."
        "A nested token: what is inside would not be the thing that was checked."
        "The issuer must sign the claims directly.";
    HeaderMemberUnknown "header_member_unknown"
        "The header has a member that is not on the closed list."
        "Claims copied into the header, a private extension, or a Microsoft Graph token (`nonce`), which only Graph can check."
        "The issuer must use `alg`, `kid`, `typ` (and, without effect, `x5t`, `x5t#S256`) only.";
    HeaderMemberInvalid "header_member_invalid"
        "A header member has the wrong type, is empty or too long."
        "A number or array where a text belongs, or a key id that is an attack on whoever uses it as a file name or query."
        "The issuer must write `alg`, `kid` and `typ` as plain texts.";
    AlgorithmMissing "algorithm_missing"
        "The header names no algorithm."
        "A broken issuer, or someone looking for a default."
        "The issuer must write `alg`.";
    AlgorithmNone "algorithm_none"
        "The token says that it is not signed (`none`)."
        "The oldest forgery of all."
        "Treat the sender as hostile.";
    AlgorithmSymmetric "algorithm_symmetric"
        "The token claims a shared-secret algorithm (`HS256` and the like)."
        "A forger who hopes that the public key is used as the secret, or an issuer that signs with a shared secret."
        "The issuer must sign with a private key of its own: ES, RS, PS, EdDSA or ML-DSA.";
    AlgorithmUnsupported "algorithm_unsupported"
        "The token's algorithm is not one that is used here."
        "The issuer signs with an algorithm that `docs/key-set.md` does not list."
        "Configure the issuer to sign with one of those.";

    // Claims, as far as they can be judged alone.
    ClaimsJsonInvalid "claims_json_invalid"
        "The claims are not one strict JSON object."
        "Bad syntax, invalid UTF-8, bytes after the object, or nesting and member counts beyond the limits."
        "The issuer must write the claims as one plain JSON object.";
    ClaimRepeated "claim_repeated"
        "The claims have a member twice, at any depth, or a registered name in another case."
        "Two readers of such claims may see two different tokens: a way around checks."
        "The issuer must write each claim once, in its registered spelling.";
    ClaimInvalid "claim_invalid"
        "A claim has the wrong type or an impossible value."
        "A time that is not a whole number of seconds, an empty text, an audience that is not a text or a list of texts, `exp` not after `iat` or `nbf`."
        "The issuer must write the claims as RFC 7519 and RFC 9068 say.";
    ClaimMissing "claim_missing"
        "A required claim is not there."
        "An ID token or some other kind of token in place of an access token, or an issuer that does not follow RFC 9068."
        "The issuer must write `iss`, `sub`, `aud`, `exp` and `iat`, and in an `at+jwt` also `jti` and `client_id`.";
    ClientAmbiguous "client_ambiguous"
        "The token names two clients: `client_id`, `azp` and `appid` differ."
        "An issuer that got a claim from elsewhere, or a token made so that two readers see two clients."
        "The issuer must write one client, under one name or the same under each.";

    // Issuer and key.
    IssuerUnknown "issuer_unknown"
        "No configured issuer answers for the token's `iss`."
        "A token of another provider, a spelling that differs (a trailing slash, upper case), or a tenant that is not a lower-case GUID."
        "If the issuer is to be trusted, configure it with exactly this `iss`.";
    TokenTypeMismatch "token_type_mismatch"
        "The token's `typ` is not one this issuer's access tokens have."
        "An ID, logout or event token or a proof in place of an access token."
        "Send the access token. For an issuer that does not write `at+jwt`, list its type in the issuer's record.";
    TenantMismatch "tenant_mismatch"
        "The token's tenant (`tid`) is missing or is not the tenant of its issuer."
        "A token made for one tenant that claims to speak for another."
        "Treat as an attack unless the issuer is new; it must write `tid` equal to the tenant in `iss`.";
    KeyIdMissing "key_id_missing"
        "The token does not say which key signed it (`kid`)."
        "An issuer with a single key, or a forger who hopes that every key is tried."
        "The issuer must write `kid`; nothing is ever tried against all keys.";
    KeyRealmMismatch "key_realm_mismatch"
        "The key exists, but belongs to another issuer, tenant or realm."
        "A key of one realm signs for another: the shape of the Storm-0558 incident."
        "Raise an incident: find out who holds that key, set it to `suspect`, and look for other uses of it.";
    KeyUnknown "key_unknown"
        "The issuer has no such key."
        "A key that was announced moments ago, one that was removed, or an invented one."
        "If it persists, compare the issuer's published key set with the one in use here.";
    KeyRevoked "key_revoked"
        "The key is distrusted."
        "It was reported stolen or misused."
        "Get a new token. If honest clients still hold such tokens, the issuer must issue them again.";
    KeyStaged "key_staged"
        "The key is announced, but may not sign yet."
        "The issuer signs with its next key too early, or the key leaked before its first use."
        "Check who can reach the staged key; the issuer must activate a key before it signs.";
    KeyExpired "key_expired"
        "The key's time is over: nothing it signed counts any more."
        "An old token, or an old key that was kept by someone."
        "Get a new token. If the token is young, treat the key as stolen.";
    AlgorithmMismatch "algorithm_mismatch"
        "The token names another algorithm than its key has."
        "Algorithm confusion: a forger who wants the key used in a way it was not made for."
        "Treat as an attack; the algorithm is the key's, never the token's.";
    KeyOutsideWindow "key_outside_window"
        "The token says it was issued when its key was not allowed to sign."
        "A retired key that still signs: stolen from a backup or an old machine."
        "Set the key to `suspect` or `revoked` and look for other tokens signed by it.";
    SignatureInvalid "signature_invalid"
        "The signature is not the key's."
        "A token that was edited or cut, or a forgery."
        "Send the token unchanged.";

    // What the token is good for.
    TokenExpired "token_expired"
        "The token's time is over."
        "A client that does not renew, or a replay of an old token."
        "Get a new token; check the clocks if it is new.";
    TokenNotYetValid "token_not_yet_valid"
        "The token's time has not come (`nbf`)."
        "Clocks that differ by more than the allowed skew, or a token made in advance."
        "Check the clocks of issuer and verifier.";
    IssuedInFuture "issued_in_future"
        "The token says it was issued in the future."
        "Clocks that differ by more than the allowed skew, or an invented time."
        "Check the clocks of issuer and verifier.";
    LifetimeTooLong "lifetime_too_long"
        "The token lives longer than its issuer's tokens do."
        "An issuer whose lifetimes are configured otherwise, or a forger who wants to keep what he has."
        "Compare the issuer's token lifetime with `lifetime_max_seconds` of its record.";
    AudienceMismatch "audience_mismatch"
        "The token is meant for another resource (`aud`)."
        "A token for another service, sent or replayed here."
        "Ask the issuer for a token for this resource's audience.";
    AudienceNotAllowed "audience_not_allowed"
        "The token names an audience that its issuer may not issue for."
        "An issuer that signs for a resource it has nothing to do with, or a record whose `audiences` lack one."
        "Add the audience to the issuer's record if it is right; otherwise ask the issuer how it came to sign for it.";
    ResourceRealmMismatch "resource_realm_mismatch"
        "The token's realm is not the resource's."
        "A consumer's token at an enterprise resource, or the other way round."
        "Raise an incident if the audience is right: an issuer signs for a resource outside its realm.";
    TenantNotAllowed "tenant_not_allowed"
        "The token's tenant is not let in."
        "A tenant that is not on the issuer's or the resource's list, or a token without a tenant where one is needed."
        "Add the tenant to the list if it is a customer of this resource.";
    ScopeInsufficient "scope_insufficient"
        "The token lacks a scope that the resource requires."
        "The client asked for less than it needs, or was granted less."
        "Ask the issuer for the scopes of this resource.";
    EmailUnverified "email_unverified"
        "The token carries an e-mail address of a domain that its tenant is not proven to own."
        "An address that anyone can set in his own tenant, to be taken for somebody else (nOAuth)."
        "Identify people by `iss` and `sub`. List the tenant's proven domains, let Entra send `xms_edov`, or let the resource ignore e-mail addresses.";
    ConfirmationUnsupported "confirmation_unsupported"
        "The token is bound to something (`cnf`) by a method that cannot be checked."
        "An issuer that binds tokens otherwise than by DPoP (`jkt`) or a client certificate (`x5t#S256`), or names nothing at all."
        "Let the issuer bind tokens for this resource by `jkt` or `x5t#S256`, or not at all.";
    ConfirmationRequired "confirmation_required"
        "The resource takes bound tokens only, and the token is bound to nothing."
        "An issuer that does not bind the tokens of this client, or a plain token that was got elsewhere."
        "Let the issuer bind the token to the client's key (`jkt`) or certificate (`x5t#S256`).";
    ProofMissing "proof_missing"
        "The token is bound to a key or a certificate of its holder (`cnf`), and no proof of that came with it."
        "A stolen bound token used as a plain one, or a client that does not send its proof."
        "Send the `DPoP` header, or use the client certificate, that the token was issued for; both, if it is bound to both. A gate takes no proofs yet: let the issuer send unbound tokens to what stands behind one.";
    CertificateMismatch "certificate_mismatch"
        "The client certificate is not the one the token is bound to (`x5t#S256`)."
        "A stolen token over a connection of the thief's, or a client that renewed its certificate and kept the token."
        "Get a new token over a connection with the new certificate.";
    ConfirmationMissing "confirmation_missing"
        "A DPoP proof came with a token that is bound to no key."
        "A plain token under the scheme `DPoP`: the proof proves nothing about it."
        "Let the issuer bind the token (`cnf.jkt`), or send it as `Authorization: Bearer TOKEN` without a proof.";

    // The DPoP proof.
    ProofRepeated "proof_repeated"
        "The request has more than one `DPoP` header."
        "A client or proxy that adds a header twice, or someone who tries which of two is looked at."
        "Send exactly one proof.";
    ProofMalformed "proof_malformed"
        "The proof is not one strict, complete JWT."
        "Several proofs joined by a comma, padding, a member twice or not on the list, or no `jti`, `htm`, `htu` or `iat`."
        "The client must make its proofs as RFC 9449 section 4.2 says.";
    ProofTypeMismatch "proof_type_mismatch"
        "The proof's `typ` is not `dpop+jwt`."
        "Another signed text of the same key in place of a proof."
        "The client must write `typ` as RFC 9449 section 4.2 says.";
    ProofAlgorithmUnsupported "proof_algorithm_unsupported"
        "The proof's algorithm is not allowed."
        "`none`, a shared-secret algorithm, or one that this server does not take."
        "Sign proofs with one of the algorithms that the server names.";
    ProofKeyInvalid "proof_key_invalid"
        "The proof brings no good public key (`jwk`)."
        "A private or symmetric key in the header, a weak one, or one that is not for the proof's algorithm."
        "Send the public members of the key only. A private key that was sent is lost: make a new one.";
    ProofUrlInvalid "proof_url_invalid"
        "The address in the proof (`htu`) is not plainly one."
        "User information, a host that is no host name, or characters that belong into no address."
        "The client must write the address as it calls it, with scheme and host.";
    ProofMethodMismatch "proof_method_mismatch"
        "The proof is for another method (`htm`)."
        "A proof taken from another request, or a method in another case."
        "Make one proof for each request. Behind a proxy, see that the gate is told the client's method.";
    ProofUrlMismatch "proof_url_mismatch"
        "The proof is for another address (`htu`)."
        "A proof taken from another request or server, or a proxy that hides the address the client sees."
        "Make one proof for each request. Behind a proxy, see that the gate is told the client's address.";
    ProofOutsideWindow "proof_outside_window"
        "The proof is too old, or from the future (`iat`)."
        "A proof made in advance or kept, or a client whose clock is wrong."
        "Make the proof when the request is sent. For clients with wrong clocks, ask for a nonce.";
    ProofNonceMismatch "proof_nonce_mismatch"
        "The proof does not carry the nonce that was asked for."
        "The first request of a client, or a nonce that was replaced since."
        "Answer with a new `DPoP-Nonce`; the client must repeat the request with it.";
    ProofTokenMismatch "proof_token_mismatch"
        "The proof is for another token (`ath`)."
        "A proof made for a token that was renewed since, one made for the token endpoint, or one taken from elsewhere."
        "The client must write the hash of the token that it sends.";
    ProofKeyMismatch "proof_key_mismatch"
        "The proof is made with another key than the one the token is bound to."
        "A stolen token with a proof of the thief's, or a client that lost its key."
        "Get a new token with the key that makes the proofs.";
    ProofSignatureInvalid "proof_signature_invalid"
        "The proof's signature is not its key's."
        "A proof that was edited, or made up from somebody's public key."
        "Send the proof unchanged.";
    ProofReplayed "proof_replayed"
        "The proof was used before."
        "A stolen proof, or a client that repeats a request with the same one. Also when no more proofs can be remembered."
        "Make one proof for each request. If honest clients see this, make the replay store larger.";

    // A client's assertion at the token endpoint.
    ClientMismatch "client_mismatch"
        "The assertion is not made by and about the client that uses it."
        "`iss` or `sub` is not the client's id: an assertion of another client, or an access token in its place."
        "The client must write its own id in `iss` and `sub`.";

    // The gate, once the token itself is good.
    NeverIssued "never_issued"
        "The ledger does not show that this token was issued."
        "A forgery with a stolen key: the signature is right and nobody issued it."
        "Raise an incident: set the key to `suspect` at once, then look for other such tokens.";
    TokenDenied "token_denied"
        "The token was issued, and denied since."
        "A denial in the ledger: of this token, of the one it was made from, of its session, or of what its key signed then."
        "Get a new token. The denial's entry says when and why.";
    ProvenanceUnknown "provenance_unknown"
        "Whether the token was issued cannot be told now."
        "The ledger does not answer."
        "Look at the ledger's health; the gate answers again by itself when it can.";
    KeysUnavailable "keys_unavailable"
        "The issuer's keys are not known yet."
        "The issuer's discovery document or key set could not be fetched since the start."
        "Look at the gate's health and at the address of the issuer's key set.";
    DecisionUnlogged "decision_unlogged"
        "The decision could not be written to the decision log, so nobody is let in."
        "A full disk, or a log file that cannot be written."
        "Make room or correct the permissions of the decision log.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known beyond the reason. Never holds a part of the token.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::{Check, Detail, ParsedToken, verify};
///
/// # let (registry, resource) = (given::registry(), given::resource());
/// let too_late = Check::new(&registry, &resource, 1_700_100_000);
/// let refusal = verify(&ParsedToken::parse(&text)?, &too_late).unwrap_err();
/// assert!(matches!(refusal.detail, Detail::Amount { what: "exp", value: 1_700_000_600, .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// A fixed text.
    Note(&'static str),
    /// A member of the header or a claim, by its registered name.
    Member(&'static str),
    /// Two amounts that do not fit: times and durations in seconds, sizes in bytes.
    Amount {
        /// What the token says.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What it was compared with.
        bound: &'static str,
        /// Its value.
        limit: u64,
    },
    /// A key of ours that is involved.
    Key(crate::key::KeyRecord),
    /// What is wrong with a key that came from outside.
    KeyFault(crate::jwks::KeyFault),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(text) => f.write_str(text),
            Self::Member(name) => write!(f, "`{name}`"),
            Self::Amount {
                what,
                value,
                bound,
                limit,
            } => write!(f, "{what} {value}, {bound} {limit}"),
            Self::KeyFault(fault) => fault.fmt(f),
            Self::Key(key) => write!(
                f,
                "key {} belongs to issuer {}, realm {}, and is {}",
                key.id(),
                key.issuer(),
                key.realm(),
                key.state()
            ),
        }
    }
}

/// That a token is refused: the first rule that does not hold.
///
/// ```
/// use countersign_token::{ParsedToken, Reason, Refusal};
///
/// let refusal = ParsedToken::parse("eyJhbGciOiJub25lIn0.e30.").unwrap_err();
/// assert_eq!((refusal.reason, refusal.code()), (Reason::AlgorithmNone, "algorithm_none"));
///
/// // A service's own rule may use the same words.
/// let refusal = Refusal::new(Reason::ScopeInsufficient, "deleting needs `mail.delete`");
/// assert_eq!(refusal.to_string(), "scope_insufficient: deleting needs `mail.delete`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
#[non_exhaustive]
pub struct Refusal {
    /// Which rule.
    pub reason: Reason,
    /// What is known beyond it; for the operator's log, never for the sender.
    pub detail: Detail,
}

impl Refusal {
    /// A refusal with a fixed text.
    pub const fn new(reason: Reason, note: &'static str) -> Self {
        Self {
            reason,
            detail: Detail::Note(note),
        }
    }

    /// The reason code.
    pub const fn code(&self) -> &'static str {
        self.reason.as_str()
    }

    /// What to do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(self.reason.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case_words() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            let code = reason.as_str();
            assert!(
                code.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{code}"
            );
            assert!(
                Reason::ALL[..at].iter().all(|earlier| earlier.as_str() != code),
                "{code} twice"
            );
            assert!(
                Reason::ALL[..at].iter().all(|earlier| earlier < reason),
                "{code} out of order"
            );
        }
    }

    #[test]
    fn every_text_is_a_sentence() {
        for reason in Reason::ALL {
            for text in [reason.meaning(), reason.cause(), reason.remedy()] {
                assert!(
                    text.ends_with('.') && !text.contains('\n'),
                    "{}: {text}",
                    reason.as_str()
                );
            }
        }
    }
}
