//! What xtask tells the person who started it.
//!
//! One line per step, on standard error, so that standard output keeps what a script reads (`cluster env`,
//! `bench --json`, the summary of `test`). Does not know the steps.

use std::time::Instant;

use anyhow::Result;

/// Says one line.
pub(crate) fn line(text: &str) {
    eprintln!("ktl: {text}");
}

/// Says what begins, does it, and says how long it took. An error goes on to the caller unchanged.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    line(&format!("{what} ..."));
    let begun = Instant::now();
    let made = work()?;
    line(&format!("{what}: {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(made)
}
