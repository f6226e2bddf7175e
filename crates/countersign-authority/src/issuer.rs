//! A concrete issuer at run time: its place in the configuration and the one key that signs for it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{Fingerprint, KeyState, SigningWindow};
use tokio::sync::RwLock;

use crate::config::SigningAlgorithm;
use crate::issue::IssueError;
use crate::private_key::PrivateKey;
use crate::state::KeyRow;

/// One issuer: a realm without tenants has one, a realm with tenants one for each.
pub(crate) struct Issuer {
    /// The `iss` of its tokens, and the prefix of its endpoints.
    pub(crate) url: String,
    /// The path of that URL.
    pub(crate) path: String,
    pub(crate) ledger_id: [u8; 32],
    pub(crate) realm: String,
    pub(crate) tenant: Option<String>,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) lifetime_seconds: u64,
    pub(crate) lifetime_max_seconds: u64,
    /// Read while a token is signed, written by a key transition. Tokens that are signed and not yet recorded are not
    /// waited for: the ledger refuses them after the transition.
    pub(crate) signer: RwLock<Signer>,
}

/// The active key, parsed, with everything that is the same in each of its tokens.
pub(crate) struct Signer {
    key: PrivateKey,
    row: KeyRow,
    /// The encoded JWS header and its dot.
    header: String,
}

impl Signer {
    pub(crate) fn new(key: PrivateKey, row: KeyRow) -> Self {
        let header = format!(
            r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#,
            row.algorithm.as_str(),
            row.key_id
        );
        let mut encoded = URL_SAFE_NO_PAD.encode(header);
        encoded.push('.');
        Self {
            key,
            row,
            header: encoded,
        }
    }

    pub(crate) fn row(&self) -> &KeyRow {
        &self.row
    }

    /// Signs claims, unless the key may not sign now or could not outlive the token.
    ///
    /// Returns the token and its fingerprint.
    pub(crate) fn sign(
        &self,
        claims: &[u8],
        issued_at: u64,
        expires_at: u64,
        lifetime_max_seconds: u64,
    ) -> Result<(String, Fingerprint), IssueError> {
        self.check(issued_at, expires_at, lifetime_max_seconds)?;
        let payload = claims.len().saturating_mul(4).div_ceil(3);
        let room = self
            .header
            .len()
            .saturating_add(payload)
            .saturating_add(self.key.signature_length());
        let mut token = String::with_capacity(room);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        // The signing input is all there is as yet.
        let fingerprint = Fingerprint::of_signing_input(token.as_bytes());
        self.key
            .complete(&mut token)
            .map_err(|_| IssueError::SigningFailed)?;
        Ok((token, fingerprint))
    }

    /// A gate accepts a key's tokens until `sign_until + lifetime_max`, so a token issued inside the window with a
    /// lifetime within the realm's longest is one that the key outlives.
    fn check(&self, issued_at: u64, expires_at: u64, lifetime_max_seconds: u64) -> Result<(), IssueError> {
        let window = SigningWindow {
            sign_from: self.row.sign_from,
            sign_until: self.row.sign_until,
        };
        if self.row.state != KeyState::Active || !window.contains(issued_at) {
            return Err(IssueError::KeyNotActive);
        }
        let lifetime = expires_at.checked_sub(issued_at).filter(|&lifetime| lifetime > 0);
        if lifetime.is_none_or(|lifetime| lifetime > lifetime_max_seconds) {
            return Err(IssueError::KeyOutlived);
        }
        Ok(())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({:?} {})", self.key, self.row.state.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(state: KeyState, sign_until: Option<u64>) -> Signer {
        let (key, _) = PrivateKey::generate(SigningAlgorithm::Es256).unwrap();
        let row = KeyRow {
            key_id: key.public().key_id(),
            issuer: "https://i.example".to_owned(),
            realm: "realm".to_owned(),
            algorithm: SigningAlgorithm::Es256,
            public: key.public().clone(),
            state,
            sign_from: 100,
            sign_until,
            created_at: 100,
            changed_at: 100,
        };
        Signer::new(key, row)
    }

    fn check(signer: &Signer, issued_at: u64, expires_at: u64, expect: Option<&str>) {
        let result = signer.sign(b"{}", issued_at, expires_at, 3_600);
        assert_eq!(result.err().map(|error| error.code()), expect);
    }

    #[test]
    fn only_an_active_key_signs_and_only_inside_its_window() {
        check(&signer(KeyState::Active, None), 100, 700, None);
        check(&signer(KeyState::Active, None), 99, 700, Some("key_not_active"));
        check(&signer(KeyState::Active, Some(200)), 200, 700, None);
        check(
            &signer(KeyState::Active, Some(200)),
            201,
            700,
            Some("key_not_active"),
        );
        for state in [
            KeyState::Staged,
            KeyState::Retired,
            KeyState::Suspect,
            KeyState::Revoked,
            KeyState::Expired,
        ] {
            check(&signer(state, None), 100, 700, Some("key_not_active"));
        }
    }

    #[test]
    fn no_key_signs_what_it_cannot_outlive() {
        check(&signer(KeyState::Active, None), 100, 3_700, None);
        check(&signer(KeyState::Active, None), 100, 3_701, Some("key_outlived"));
        check(&signer(KeyState::Active, None), 100, 100, Some("key_outlived"));
        check(&signer(KeyState::Active, None), 100, 99, Some("key_outlived"));
    }

    #[test]
    fn the_token_needs_no_second_allocation() {
        let (token, fingerprint) = signer(KeyState::Active, None)
            .sign(b"{\"a\":1}", 100, 200, 3_600)
            .unwrap();
        assert_eq!(token.capacity(), token.len());
        assert_eq!(token.matches('.').count(), 2);
        let (signing_input, _) = token.rsplit_once('.').unwrap();
        assert_eq!(
            fingerprint,
            Fingerprint::of_signing_input(signing_input.as_bytes())
        );
    }
}
