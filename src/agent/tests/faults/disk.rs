//! A disk that may forget: what was written and not synced is on it, is not on it, or is torn.
//!
//! It knows two things of each file: what is on stable storage, and what was changed since. At the power cut every
//! change since has its own fate, because a disk writes in the order it likes. It does not know what a file means.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::random::Random;

/// What a disk writes at once: a change is torn only between two of these.
const SECTOR: usize = 512;

/// A disk; clones are one.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// What a folder holds, by file name.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

struct State {
    files: BTreeMap<String, File>,
    random: Random,
    /// Changes and syncs so far, and the one in which the power goes.
    operations: u64,
    cut_at: u64,
    after: Option<Image>,
}

#[derive(Default)]
struct File {
    /// What is on stable storage; none of a file whose making is not.
    durable: Option<Vec<u8>>,
    pending: Vec<Change>,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { to: usize },
}

impl Disk {
    /// A disk whose power goes in the operation `cut_at`, from 1.
    pub(crate) fn new(seed: u64, cut_at: u64) -> Self {
        let random = Random::new(seed);
        let state = State { files: BTreeMap::new(), random, operations: 0, cut_at, after: None };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Whether the power has gone: what is answered from now on counts for nothing.
    pub(crate) fn is_cut(&self) -> bool {
        self.lock().after.is_some()
    }

    /// What the disk holds after the power came back. Cuts it now where that has not happened yet.
    pub(crate) fn after_the_cut(&self) -> Image {
        let mut state = self.lock();
        if state.after.is_none() {
            state.cut();
        }
        state.after.clone().unwrap_or_default()
    }

    pub(crate) fn write(&self, file: &str, at: usize, bytes: &[u8]) {
        self.change(file, Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(crate) fn truncate(&self, file: &str, to: usize) {
        self.change(file, Change::Truncate { to });
    }

    pub(crate) fn sync(&self, file: &str) {
        let mut state = self.lock();
        // The power may go while a disk syncs: then it had not.
        state.step();
        let file = state.files.entry(file.to_owned()).or_default();
        let mut durable = file.durable.take().unwrap_or_default();
        file.pending.drain(..).for_each(|change| change.whole(&mut durable));
        file.durable = Some(durable);
    }

    /// SQLite deletes a file only when it needs it no more, so it is gone at once.
    pub(crate) fn delete(&self, file: &str) {
        let mut state = self.lock();
        state.step();
        state.files.remove(file);
    }

    fn change(&self, file: &str, change: Change) {
        let mut state = self.lock();
        if state.after.is_some() {
            return;
        }
        state.files.entry(file.to_owned()).or_default().pending.push(change);
        state.step();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&mut self) {
        self.operations += 1;
        if self.operations == self.cut_at {
            self.cut();
        }
    }

    fn cut(&mut self) {
        // Sometimes a disk is well-behaved and loses only the end.
        let is_orderly = self.random.below(4) == 0;
        let mut after = Image::new();
        for (name, file) in &self.files {
            let kept = if is_orderly { self.random.at(file.pending.len() + 1) } else { file.pending.len() };
            if file.durable.is_none() && self.random.below(2) == 0 {
                continue;
            }
            let mut bytes = file.durable.clone().unwrap_or_default();
            for change in &file.pending[..kept] {
                match if is_orderly { 2 } else { self.random.below(4) } {
                    0 | 1 => {}
                    2 => change.whole(&mut bytes),
                    _ => change.torn(&mut bytes, &mut self.random),
                }
            }
            after.insert(name.clone(), bytes);
        }
        self.after = Some(after);
    }
}

impl Change {
    fn whole(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(file, *at, bytes),
            Self::Truncate { to } => file.truncate(*to),
        }
    }

    fn torn(&self, file: &mut Vec<u8>, random: &mut Random) {
        let Self::Write { at, bytes } = self else { return };
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            if random.below(2) == 0 {
                put(file, at + number * SECTOR, sector);
            }
        }
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

#[test]
fn what_was_synced_is_there_and_what_was_not_may_be_gone() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let disk = Disk::new(seed, u64::MAX);
        disk.write("file", 0, b"kept");
        disk.sync("file");
        disk.write("file", 4, b" or not");
        let after = &disk.after_the_cut()["file"];
        assert!(after.starts_with(b"kept"));
        lengths.insert(after.len());
    }
    assert_eq!(lengths, [4, 11].into());
}
