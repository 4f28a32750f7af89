//! The power goes at a random moment, the disk forgets what it was not made to keep, and the store is opened again.
//!
//! Each point is decided by its seed alone but for the timing of threads, so a failure names the seed to begin with.
//! `KTL_FAULT_POINTS` and `KTL_FAULT_SEED` choose how many and where they begin (`cargo xtask faults`). A process that
//! is killed cannot show any of this: the kernel keeps what it had written.

mod check;
mod disk;
mod load;
mod random;
mod vfs;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ktl_agent::store::SessionStore;
use ktl_agent::store::sqlite::SqliteStore;

use crate::check::{Verdict, check};
use crate::disk::{Disk, Image};
use crate::load::{Answers, drive};
use crate::random::Random;

const FILE: &str = "sessions.db";
/// Of CI; `cargo xtask faults --points` asks for more.
const POINTS: u64 = 300;
/// How many are enough for a store that does not sync to be caught.
const CARELESS_POINTS: u64 = 40;
/// The changes and syncs of a whole load, roughly: where a cut can be.
const OPERATIONS: u64 = 900;

/// What all points together showed.
#[derive(Debug, Default)]
struct Tally {
    lost: u64,
    reused: u64,
    refused: u64,
    /// Of the first point that was not clean.
    first: Option<(u64, Verdict)>,
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let (points, seed) = (asked("KTL_FAULT_POINTS", POINTS), asked("KTL_FAULT_SEED", 1));
    let tally = run(points, seed, false);
    println!(
        "{points} points from seed {seed}: {} lost, {} reused, {} refused",
        tally.lost, tally.reused, tally.refused
    );
    assert!(tally.first.is_none(), "{tally:#?}");
}

#[test]
fn a_store_that_does_not_sync_its_commits_is_caught() {
    let tally = run(CARELESS_POINTS, asked("KTL_FAULT_SEED", 1), true);
    println!("with synchronous=NORMAL {} of {CARELESS_POINTS} points lost something", tally.lost);
    assert!(tally.lost > 0, "this harness sees nothing: {tally:#?}");
}

fn asked(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect(variable))
}

/// Runs the points on all cores.
fn run(points: u64, seed: u64, is_careless: bool) -> Tally {
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= points {
                        break;
                    }
                    let verdict = point(seed + number, is_careless);
                    tally.lock().unwrap_or_else(PoisonError::into_inner).count(seed + number, verdict);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    fn count(&mut self, seed: u64, verdict: Verdict) {
        self.lost += u64::from(!verdict.lost.is_empty());
        self.reused += u64::from(!verdict.reused.is_empty());
        self.refused += u64::from(!verdict.refused.is_empty());
        if !verdict.is_clean() && self.first.is_none() {
            self.first = Some((seed, verdict));
        }
    }
}

/// One power cut.
fn point(seed: u64, is_careless: bool) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::new(seed, 1 + Random::new(seed).below(OPERATIONS));
    let answers = runtime.block_on(before(folder.path(), &disk, seed, is_careless));
    let after = tempfile::tempdir().expect("a folder");
    lay(after.path(), &disk.after_the_cut());
    runtime.block_on(reopen(after.path(), &answers))
}

async fn before(folder: &Path, disk: &Disk, seed: u64, is_careless: bool) -> Answers {
    vfs::watch(folder, disk, is_careless);
    let store = SqliteStore::open(&folder.join(FILE)).expect("a fresh store opens");
    let answers = drive(&store, disk, seed).await.expect("nothing fails before the cut");
    store.close().await.expect("the store closes");
    vfs::forget(folder);
    answers
}

fn lay(folder: &Path, image: &Image) {
    for (name, bytes) in image {
        std::fs::write(folder.join(name), bytes).expect("the image is laid out");
    }
}

async fn reopen(folder: &Path, answers: &Answers) -> Verdict {
    match SqliteStore::open(&folder.join(FILE)) {
        Ok(store) => {
            let verdict = check(&store, answers).await;
            store.close().await.expect("the store closes");
            verdict
        }
        Err(error) => Verdict { refused: vec![error.to_string()], ..Verdict::default() },
    }
}
