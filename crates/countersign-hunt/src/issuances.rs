//! All issuances of a ledger by fingerprint: the one thing whose size grows with the ledger.

use std::collections::HashMap;

use countersign_ledger::IssuanceKind;

use crate::normal_form::Issuance;

/// The issuances to look uses up in.
///
/// Takes about 80 bytes an issuance: the few pairs of issuer and key are kept once.
#[derive(Debug, Default)]
pub struct Issuances {
    rows: HashMap<[u8; 32], Row>,
    signers: Vec<Signer>,
    signer_numbers: HashMap<Signer, u32>,
}

/// Who signed: issuer and key.
type Signer = ([u8; 32], [u8; 32]);

#[derive(Debug)]
struct Row {
    ledger_index: u64,
    issued_at: u64,
    expires_at: u64,
    signer: u32,
    kind: IssuanceKind,
}

impl Issuances {
    /// Adds an issuance. A fingerprint that is recorded twice keeps its first row.
    pub fn insert(&mut self, issuance: &Issuance) {
        let signer = self.signer_number((issuance.issuer, issuance.key));
        self.rows.entry(issuance.fingerprint).or_insert(Row {
            ledger_index: issuance.ledger_index,
            issued_at: issuance.issued_at,
            expires_at: issuance.expires_at,
            signer,
            kind: issuance.kind,
        });
    }

    /// The issuance of a token.
    pub fn find(&self, fingerprint: &[u8; 32]) -> Option<Issuance> {
        let row = self.rows.get(fingerprint)?;
        let (issuer, key) = *self.signers.get(usize::try_from(row.signer).ok()?)?;
        Some(Issuance {
            fingerprint: *fingerprint,
            issuer,
            key,
            kind: row.kind,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            ledger_index: row.ledger_index,
        })
    }

    /// How many tokens are recorded.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn signer_number(&mut self, signer: Signer) -> u32 {
        *self.signer_numbers.entry(signer).or_insert_with(|| {
            self.signers.push(signer);
            // A ledger with 2^32 keys is out of reach; the last number would then point at the wrong key only.
            u32::try_from(self.signers.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_recorded_first() {
        let issuance = |fingerprint: u8, signer: u8, ledger_index| Issuance {
            fingerprint: [fingerprint; 32],
            issuer: [signer; 32],
            key: [signer + 1; 32],
            kind: IssuanceKind::Exchanged,
            issued_at: 5,
            expires_at: 6,
            ledger_index,
        };
        let mut issuances = Issuances::default();
        assert!(issuances.is_empty());
        for (fingerprint, signer, index) in [(1, 10, 0), (2, 20, 1), (3, 10, 2), (1, 20, 3)] {
            issuances.insert(&issuance(fingerprint, signer, index));
        }
        assert_eq!(issuances.len(), 3);
        assert_eq!(issuances.find(&[1; 32]), Some(issuance(1, 10, 0)));
        assert_eq!(issuances.find(&[2; 32]), Some(issuance(2, 20, 1)));
        assert_eq!(issuances.find(&[3; 32]), Some(issuance(3, 10, 2)));
        assert_eq!(issuances.find(&[4; 32]), None);
    }
}
