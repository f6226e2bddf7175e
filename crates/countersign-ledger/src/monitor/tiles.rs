//! Tiles out of a source, and the few that a walk through a log needs again and again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use crate::audit::{Source, SourceError};
use crate::proof::Tiles;
use crate::tile::TileName;

/// Some 2 MB of tiles: a walk needs a handful at a time.
const TILES_MAX: usize = 256;

/// The tiles that a source has.
pub struct SourceTiles<'a> {
    source: &'a dyn Source,
}

impl<'a> SourceTiles<'a> {
    /// The tiles below `source`.
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source }
    }
}

impl Tiles for SourceTiles<'_> {
    fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
        match self.source.read(&name.to_string()) {
            Ok(bytes) => Ok(bytes),
            Err(SourceError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// Tiles of one tree, read once. They prove nothing by themselves.
#[derive(Debug, Default)]
pub(super) struct Cache {
    size: u64,
    tiles: RefCell<BTreeMap<TileName, Option<Vec<u8>>>>,
}

impl Cache {
    /// Forgets everything if the tree is another one.
    pub(super) fn tree(&mut self, size: u64) {
        if self.size != size {
            self.size = size;
            self.tiles.get_mut().clear();
        }
    }

    pub(super) fn over<'a>(&'a self, source: &'a dyn Source) -> Cached<'a> {
        Cached {
            cache: self,
            source: SourceTiles::new(source),
        }
    }
}

pub(super) struct Cached<'a> {
    cache: &'a Cache,
    source: SourceTiles<'a>,
}

impl Tiles for Cached<'_> {
    fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.cache.tiles.borrow().get(&name) {
            return Ok(bytes.clone());
        }
        let bytes = self.source.tile(name)?;
        let mut tiles = self.cache.tiles.borrow_mut();
        if tiles.len() >= TILES_MAX {
            tiles.clear();
        }
        tiles.insert(name, bytes.clone());
        Ok(bytes)
    }
}
