//! A disk that keeps exactly the promises of [`crate::disk`] and no more.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::audit;
use crate::disk::{Disk, DiskFile, parent};

/// A small generator with a seed that replays (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// What happens at a chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails without effect; a failed sync drops what it should have written, yet reads still show it.
    Fails,
    /// It has its effect and reports failure all the same.
    FailsAfter,
    /// The power goes: this operation and all later ones fail.
    PowerCut,
}

/// Promises that the disk can be told to break.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lies {
    /// Syncs of files whose path ends so return at once. The same as acknowledging before the sync.
    pub(super) sync_of: Option<&'static str>,
    /// Syncs of this directory return at once.
    pub(super) directory_sync_of: Option<&'static str>,
}

#[derive(Clone)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    inodes: Vec<Inode>,
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    power: bool,
    full: bool,
    lies: Lies,
    syncs: BTreeMap<String, u64>,
    bytes_read: u64,
    locked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Default)]
struct Inode {
    durable: Vec<u8>,
    seen: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

impl SimDisk {
    pub(super) fn new(seed: u64) -> Self {
        let state = State {
            random: Random(seed),
            inodes: Vec::new(),
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            operations: 0,
            fault: None,
            power: true,
            full: false,
            lies: Lies::default(),
            syncs: BTreeMap::new(),
            bytes_read: 0,
            locked: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn tell_lies(&self, lies: Lies) {
        self.lock().lies = lies;
    }

    /// Plans a fault `operations` from now.
    pub(super) fn plan(&self, operations: u64, fault: Fault) {
        let mut state = self.lock();
        state.fault = Some((state.operations + operations, fault));
    }

    pub(super) fn operations(&self) -> u64 {
        self.lock().operations
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.lock().bytes_read
    }

    pub(super) fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Syncs of files whose path ends so.
    pub(super) fn syncs_of(&self, suffix: &str) -> u64 {
        self.lock()
            .syncs
            .iter()
            .filter(|(path, _)| path.ends_with(suffix))
            .map(|(_, count)| count)
            .sum()
    }

    /// The content of a file, to be changed behind the ledger's back.
    pub(super) fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let Some(Node::File(id)) = state.live.get(path).copied() else {
            panic!("no file {path}")
        };
        change(&mut state.inodes[id].seen);
        state.inodes[id].durable = state.inodes[id].seen.clone();
    }

    pub(super) fn delete(&self, path: &str) {
        let mut state = self.lock();
        state.live.remove(path);
        state.durable.remove(path);
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.lock()
            .live
            .iter()
            .filter(|(_, node)| matches!(node, Node::File(_)))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// The machine goes down and comes up again: of what was not synced, any part may be there.
    pub(super) fn crash(&self) {
        let mut state = self.lock();
        let State {
            random,
            inodes,
            live,
            durable,
            ..
        } = &mut *state;
        for inode in inodes.iter_mut() {
            let keep_all = random.below(4) == 0;
            for (offset, bytes) in std::mem::take(&mut inode.pending) {
                for (start, end) in sectors(offset, bytes.len()) {
                    if keep_all || random.coin() {
                        put(&mut inode.durable, start, &bytes[start - offset..end - offset]);
                    }
                }
            }
            inode.seen = inode.durable.clone();
        }
        let names: Vec<String> = live.keys().chain(durable.keys()).cloned().collect();
        for name in names {
            if live.get(&name) != durable.get(&name) && random.coin() {
                match live.get(&name).copied() {
                    Some(node) => durable.insert(name, node),
                    None => durable.remove(&name),
                };
            }
        }
        let directories: Vec<String> = durable
            .iter()
            .filter(|(_, node)| **node == Node::Directory)
            .map(|(path, _)| path.clone())
            .collect();
        durable.retain(|path, _| {
            parent(path).is_empty() || directories.iter().any(|directory| directory == parent(path))
        });
        *live = durable.clone();
        state.fault = None;
        state.power = true;
        state.full = false;
        state.locked = false;
    }

    /// Runs one operation under the planned fault.
    fn operate<T>(
        &self,
        operation: impl FnOnce(&mut State) -> io::Result<T>,
        on_failure: impl FnOnce(&mut State),
    ) -> io::Result<T> {
        let mut state = self.lock();
        state.operations += 1;
        let due = state
            .fault
            .filter(|(at, _)| *at == state.operations)
            .map(|(_, fault)| fault);
        if due == Some(Fault::PowerCut) {
            state.power = false;
        }
        if !state.power {
            return Err(io::Error::other("no power"));
        }
        if due == Some(Fault::Fails) {
            on_failure(&mut state);
            return Err(io::Error::other("simulated failure"));
        }
        let result = operation(&mut state)?;
        if due == Some(Fault::FailsAfter) {
            return Err(io::Error::other("simulated failure after the fact"));
        }
        Ok(result)
    }
}

/// The 512-byte aligned pieces of a write.
fn sectors(offset: usize, length: usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut start = offset;
    while start < offset + length {
        let end = (start / 512 * 512 + 512).min(offset + length);
        pieces.push((start, end));
        start = end;
    }
    pieces
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl State {
    fn name_of(&self, id: usize) -> String {
        let named = self.live.iter().find(|(_, node)| **node == Node::File(id));
        named.map(|(path, _)| path.clone()).unwrap_or_default()
    }

    fn file(&self, path: &str) -> Option<&Inode> {
        match self.live.get(path) {
            Some(Node::File(id)) => self.inodes.get(*id),
            _ => None,
        }
    }
}

impl Disk for SimDisk {
    fn create_directory(&self, path: &str) -> io::Result<bool> {
        let create = |state: &mut State| {
            assert!(
                parent(path).is_empty() || state.live.get(parent(path)) == Some(&Node::Directory),
                "{path}"
            );
            Ok(state.live.insert(path.to_owned(), Node::Directory).is_none())
        };
        self.operate(create, |_| ())
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        let sync = |state: &mut State| {
            if state.lies.directory_sync_of == Some(path) {
                return Ok(());
            }
            let State { live, durable, .. } = state;
            durable.retain(|name, _| parent(name) != path);
            durable.extend(
                live.iter()
                    .filter(|(name, _)| parent(name) == path)
                    .map(|(name, node)| (name.clone(), *node)),
            );
            Ok(())
        };
        self.operate(sync, |_| ())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let state = self.lock();
        let below = state
            .live
            .keys()
            .filter(|name| parent(name) == path && !name.is_empty());
        Ok(below
            .map(|name| name.rsplit('/').next().unwrap().to_owned())
            .collect())
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let create = |state: &mut State| {
            assert!(
                parent(path).is_empty() || state.live.get(parent(path)) == Some(&Node::Directory),
                "{path}"
            );
            if state.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let id = state.inodes.len();
            state.inodes.push(Inode::default());
            state.live.insert(path.to_owned(), Node::File(id));
            Ok(id)
        };
        let id = self.operate(create, |_| ())?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            id,
        }))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        match self.lock().live.get(path) {
            Some(Node::File(id)) => Ok(Arc::new(SimFile {
                disk: self.clone(),
                id: *id,
            })),
            _ => Err(not_found()),
        }
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let mut state = self.lock();
        let content = state.file(path).map(|inode| inode.seen.clone());
        state.bytes_read += content.as_ref().map_or(0, Vec::len) as u64;
        Ok(content)
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.lock().file(path).map(|inode| inode.seen.len() as u64))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let rename = |state: &mut State| {
            let node = state.live.remove(from).ok_or_else(not_found)?;
            state.live.insert(to.to_owned(), node);
            Ok(())
        };
        // A crash must never show both the new name and an older file under it, nor half of each: names are chosen
        // one by one from before and after, and each is a whole file.
        self.operate(rename, |_| ())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.operate(
            |state| state.live.remove(path).map(|_| ()).ok_or_else(not_found),
            |_| (),
        )
    }

    fn remove_directory(&self, path: &str) -> io::Result<()> {
        let remove = |state: &mut State| {
            state.live.remove(path).ok_or_else(not_found)?;
            state.live.retain(|name, _| parent(name) != path);
            Ok(())
        };
        self.operate(remove, |_| ())
    }

    fn lock(&self, _path: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut state = Self::lock(self);
        if std::mem::replace(&mut state.locked, true) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock(self.clone()))))
    }
}

struct SimLock(SimDisk);

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.lock().locked = false;
    }
}

struct SimFile {
    disk: SimDisk,
    id: usize,
}

impl DiskFile for SimFile {
    fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        let offset = usize::try_from(offset).unwrap();
        let seen = state.inodes[self.id].seen.get(offset..).unwrap_or_default();
        let length = seen.len().min(buffer.len());
        buffer[..length].copy_from_slice(&seen[..length]);
        state.bytes_read += length as u64;
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let write = |state: &mut State| {
            let inode = &mut state.inodes[self.id];
            if state.full && offset + bytes.len() > inode.seen.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            put(&mut inode.seen, offset, bytes);
            inode.pending.push((offset, bytes.to_vec()));
            Ok(())
        };
        // A write that fails may have got half way.
        let half = |state: &mut State| {
            let inode = &mut state.inodes[self.id];
            let part = &bytes[..bytes.len() / 2];
            put(&mut inode.seen, offset, part);
            inode.pending.push((offset, part.to_vec()));
        };
        self.disk.operate(write, half)
    }

    fn sync(&self) -> io::Result<()> {
        let sync = |state: &mut State| {
            let name = state.name_of(self.id);
            let lie = state.lies.sync_of.is_some_and(|suffix| name.ends_with(suffix));
            *state.syncs.entry(name).or_default() += 1;
            if lie {
                return Ok(());
            }
            let inode = &mut state.inodes[self.id];
            for (offset, bytes) in std::mem::take(&mut inode.pending) {
                put(&mut inode.durable, offset, &bytes);
            }
            Ok(())
        };
        // The page cache forgets that the pages are dirty and goes on showing them.
        let lose = |state: &mut State| state.inodes[self.id].pending.clear();
        self.disk.operate(sync, lose)
    }
}

impl audit::Source for SimDisk {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, audit::SourceError> {
        Ok(Disk::read(self, path)?)
    }
}
