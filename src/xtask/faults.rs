//! `cargo xtask faults`: power cuts at random moments, as many as one likes.
//!
//! The store is cut off in the harness `src/agent/tests/faults`; this only asks for a number of points and says what
//! came of them.

use std::fs;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::say;
use crate::workspace::cargo;

/// Runs `points` power cuts, the first one with this seed. Fails when something acknowledged was lost, a number was
/// used twice, or a store could not be opened again.
pub(crate) fn run(points: u64, seed: u64) -> Result<()> {
    let log = Cache::open()?.log("faults");
    say::line(&format!("{points} power cuts from seed {seed}; the log is {}", log.display()));
    let test = ["test", "--release", "--package", "ktl-agent", "--test", "faults", "--", "--nocapture"];
    let program = cargo()?.args(test).env("KTL_FAULT_POINTS", points.to_string());
    program.env("KTL_FAULT_SEED", seed.to_string()).run(&log)?;
    let text = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    text.lines().filter(|line| line.contains(" points ")).for_each(say::line);
    Ok(())
}
