//! The ledger's and the witness's own signing keys, kept as every other private key is: sealed.

use std::path::Path;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::durable::{self, FileError};
use crate::layout::Layout;
use crate::open::OpenError;
use crate::seal::{SealError, SealingKey};

/// No realm can have these names, so no realm's sealing key is ever one of these. A sealed file is bound to its context.
const LEDGER: Seed = Seed {
    name: "_ledger",
    context: "countersign/ledger/ed25519-seed/v1",
    owner: "the ledger",
};
const WITNESS: Seed = Seed {
    name: "_witness",
    context: "countersign/witness/seed/v1",
    owner: "the witness",
};

struct Seed {
    name: &'static str,
    context: &'static str,
    owner: &'static str,
}

/// The seed of the ledger's Ed25519 key: `keys/_ledger.sealed` under `seal/_ledger.key`.
///
/// `create` says that the ledger does not exist yet, so that a seed may be made. Otherwise a missing file is
/// [`OpenError::KeysMissing`]: a ledger that changed its key would be another ledger.
pub fn ledger_seed(directory: &Path, create: bool) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    LEDGER.open(directory, create)
}

/// The seed of a witness's keys: `keys/_witness.sealed` under `seal/_witness.key`, with the same rules.
pub fn witness_seed(directory: &Path, create: bool) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    WITNESS.open(directory, create)
}

impl Seed {
    fn open(&self, directory: &Path, create: bool) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        let layout = Layout::new(directory);
        for directory in layout.directories() {
            durable::create_directory(&directory)?;
        }
        let sealed = layout.sealed_key(self.name);
        let missing = |error| self.missing(error);
        let seal = SealingKey::load(&layout.sealing_key(self.name));
        let seal = match seal {
            Err(SealError::File(FileError::Missing(_))) if create => {
                SealingKey::load_or_create(&layout.sealing_key(self.name))
            }
            loaded => loaded,
        }
        .map_err(missing)?;
        match durable::read_secret(&sealed) {
            Ok(bytes) => self.unsealed(&seal, &bytes).map_err(missing),
            Err(FileError::Missing(_)) if create => {
                let mut seed = Zeroizing::new([0; 32]);
                rand::fill(&mut *seed).map_err(|_| missing(SealError::Crypto))?;
                durable::write_secret(&sealed, &seal.seal(self.context, &*seed).map_err(missing)?)?;
                Ok(seed)
            }
            Err(error) => Err(missing(error.into())),
        }
    }

    fn unsealed(&self, seal: &SealingKey, bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let seed = seal.unseal(self.context, bytes)?;
        <[u8; 32]>::try_from(seed.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| SealError::KeyLength)
    }

    fn missing(&self, error: SealError) -> OpenError {
        match error {
            SealError::File(FileError::Missing(file)) => OpenError::KeysMissing {
                issuer: self.owner.to_owned(),
                file,
            },
            SealError::File(error) => error.into(),
            error => OpenError::Keyring(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ledger_seed;

    #[test]
    fn a_seed_is_made_once_and_its_loss_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = ledger_seed(directory.path(), true).unwrap();
        assert_eq!(*first, *ledger_seed(directory.path(), false).unwrap());
        std::fs::remove_file(directory.path().join("keys/_ledger.sealed")).unwrap();
        let error = ledger_seed(directory.path(), false).unwrap_err();
        assert_eq!(error.code(), "keys_missing");
        assert!(error.to_string().contains("_ledger.sealed"), "{error}");
    }

    #[test]
    fn a_seed_does_not_open_under_another_sealing_key() {
        let directory = tempfile::tempdir().unwrap();
        ledger_seed(directory.path(), true).unwrap();
        std::fs::remove_file(directory.path().join("seal/_ledger.key")).unwrap();
        assert_eq!(
            ledger_seed(directory.path(), false).unwrap_err().code(),
            "keys_missing"
        );
        let error = ledger_seed(directory.path(), true).unwrap_err();
        assert_eq!(error.code(), "sealed_file_foreign");
    }
}
