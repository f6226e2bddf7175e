//! Catching up from the static tiles: entry bundles for the content, hash tiles for the proofs.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Mutex;

use tokio::task::JoinSet;

use super::client::{Answer, Client};
use super::{Remote, believe};
use crate::checkpoint::Checkpoint;
use crate::follow::{Intake, SourceError};
use crate::proof::{ProofError, Tiles, consistency};
use crate::tile::{Row, TILE_WIDTH, TileName};
use crate::tree::Hash;

/// Entries between two proofs: bounds what is held in memory before it is believed.
const CHUNK: u64 = 1 << 16;
/// Bundles asked for at once.
const BUNDLES_AT_ONCE: usize = 16;
/// A proof needs fewer tiles than this.
const PROOF_TILES_MAX: usize = 64;

impl Remote {
    /// Takes in everything up to the published checkpoint.
    pub(super) async fn read_tiles(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        self.replica.forget();
        let note = match self.client.get("checkpoint").await? {
            Answer::Body(note) => note,
            Answer::TooFarBehind | Answer::NotFound => return Err(SourceError::Unavailable),
        };
        let checkpoint =
            Checkpoint::open(&note, self.replica.verifier()).map_err(|_| SourceError::Unverified)?;
        self.replica.public_checkpoint(&checkpoint)?;
        let mut cache = Cache::default();
        while self.replica.heard() < checkpoint.size {
            let to = self.replica.heard().saturating_add(CHUNK);
            // Full tiles only, but for the last.
            let to = to.saturating_sub(to & 0xff).min(checkpoint.size);
            self.read_bundles(to, checkpoint.size).await?;
            let proof = self.proof(&checkpoint, &mut cache).await?;
            let proved = self.replica.checkpoint(&checkpoint, &proof)?;
            believe(&proved, intake).await?;
        }
        Ok(())
    }

    /// Hears the entries up to `to` in the tree of `size` leaves.
    async fn read_bundles(&mut self, to: u64, size: u64) -> Result<(), SourceError> {
        let first = self.replica.heard() >> 8;
        let last = to.saturating_sub(1) >> 8;
        let mut names: VecDeque<TileName> = (first..=last)
            .map(|index| named(Row::Entries, index, size))
            .collect();
        while !names.is_empty() {
            let some = names.len().min(BUNDLES_AT_ONCE);
            let bundles = self.client.tiles(names.drain(..some).collect()).await?;
            for (name, bundle) in bundles {
                self.replica.hear(name.index << 8, &bundle)?;
                tokio::task::yield_now().await;
            }
        }
        // A bundle that holds more than its name says is as wrong as one that holds less.
        if self.replica.heard() == to {
            Ok(())
        } else {
            Err(SourceError::Unverified)
        }
    }

    /// The proof that what was heard is how the checkpoint's tree begins.
    async fn proof(&self, checkpoint: &Checkpoint, cache: &mut Cache) -> Result<Vec<Hash>, SourceError> {
        if self.replica.heard() == checkpoint.size {
            return Ok(Vec::new());
        }
        for _ in 0..PROOF_TILES_MAX {
            match consistency(cache, self.replica.heard(), checkpoint.size) {
                Ok(proof) => return Ok(proof),
                Err(ProofError::TileMissing) => {
                    let missing = cache.missing().ok_or(SourceError::Unverified)?;
                    for (name, tile) in self.client.tiles(vec![missing]).await? {
                        cache.known.insert(name, tile);
                    }
                }
                Err(_) => return Err(SourceError::Unverified),
            }
        }
        Err(SourceError::Unverified)
    }
}

impl Client {
    /// Tiles in the order of their names. A partial tile that has given way is cut out of the full one.
    async fn tiles(&self, names: Vec<TileName>) -> Result<Vec<(TileName, Vec<u8>)>, SourceError> {
        let mut requests = JoinSet::new();
        for name in names {
            let client = self.clone();
            requests.spawn(async move { client.tile(name).await.map(|tile| (name, tile)) });
        }
        let mut tiles = Vec::with_capacity(requests.len());
        while let Some(tile) = requests.join_next().await {
            tiles.push(tile.map_err(|_| SourceError::Unavailable)??);
        }
        tiles.sort_unstable_by_key(|(name, _)| *name);
        Ok(tiles)
    }

    async fn tile(&self, name: TileName) -> Result<Vec<u8>, SourceError> {
        if let Answer::Body(tile) = self.get(&name.to_string()).await? {
            return Ok(tile);
        }
        let full = TileName::full(name.row, name.index);
        match self.get(&full.to_string()).await? {
            Answer::Body(tile) if name.row != Row::Entries => {
                let wanted = usize::from(name.width).saturating_mul(32);
                Ok(tile.get(..wanted).unwrap_or_default().to_vec())
            }
            Answer::Body(bundle) => Ok(crate::record::prefix(&bundle, name.width).to_vec()),
            // It was superseded between the checkpoint and now: the next round reads a newer checkpoint.
            Answer::TooFarBehind | Answer::NotFound => Err(SourceError::Unavailable),
        }
    }
}

/// The name of a tile in a tree of `size` leaves.
fn named(row: Row, index: u64, size: u64) -> TileName {
    let present = size.saturating_sub(index << 8);
    let width = u16::try_from(present).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
    TileName { row, index, width }
}

/// Hash tiles read so far. Says which one it lacks.
#[derive(Default)]
struct Cache {
    known: BTreeMap<TileName, Vec<u8>>,
    missing: Mutex<Option<TileName>>,
}

impl Cache {
    /// The tile that was asked for first and is not known.
    fn missing(&self) -> Option<TileName> {
        self.missing.lock().ok()?.take()
    }
}

impl Tiles for Cache {
    fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
        let known = self.known.get(&name).cloned();
        if known.is_none()
            && let Ok(mut missing) = self.missing.lock()
        {
            // A partial tile is asked for before the full one that may have replaced it.
            missing.get_or_insert(name);
        }
        Ok(known)
    }
}
