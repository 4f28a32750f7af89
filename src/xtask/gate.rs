//! `cargo xtask test`: everything that must hold before a change goes in.
//!
//! Promises: every part runs or is named as skipped, never dropped; the last line counts them; with `CI=true` what was
//! skipped has failed. Does not know what the parts check: they stand in `parts`.

mod deny;
mod lifecycle;
mod needs;
mod parts;
mod tally;
mod unit;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::needs::Needs;
use self::parts::{PARTS, Part, Work};
use self::tally::Tally;
use crate::cache::Cache;
use crate::tools::npm::npm;
use crate::workspace::{self, cargo};
use crate::{print, say};

/// How much of a failed part's log is repeated.
const SHOWN_LINES: usize = 200;

/// Prints the parts.
pub(crate) fn list() {
    for part in PARTS {
        print(&format!("{:<10} {}\n", part.name, part.what));
    }
}

/// Runs the parts named in `only`, or all; an error when one failed, or when one was skipped and `CI=true`.
pub(crate) fn run(only: &[String]) -> Result<()> {
    let chosen = choose(only)?;
    let cache = Cache::open()?;
    let strict = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let mut needs = Needs::new(&cache)?;
    let mut total = Tally::default();
    let mut lines = Vec::new();
    for part in chosen {
        let begun = Instant::now();
        say::line(&format!("part {} ...", part.name));
        let tally = run_part(part, &mut needs);
        let line = report(part, begun.elapsed(), &tally);
        say::line(&line);
        lines.push(line);
        lines.extend(tally.skipped.iter().map(|why| format!("{:<10} was skipped in part: {why}", part.name)));
        total.add(&tally);
    }
    // Its cluster ends before the summary, which is the last line.
    drop(needs);
    print(&format!("\n{}\n\n{total}\n", lines.join("\n")));
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    if strict && !total.skipped.is_empty() {
        bail!("{} skipped, and with CI=true nothing may be", total.skipped.len());
    }
    Ok(())
}

fn choose(only: &[String]) -> Result<Vec<&'static Part>> {
    for name in only {
        if !PARTS.iter().any(|part| part.name == name) {
            let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
            bail!("--only {name}: there is no such part, expected one of {}", names.join(", "));
        }
    }
    Ok(PARTS.iter().filter(|part| only.is_empty() || only.iter().any(|name| name == part.name)).collect())
}

fn run_part(part: &Part, needs: &mut Needs) -> Tally {
    for need in part.needs {
        if let Err(error) = needs.meet(need) {
            return Tally::skipped(format!("{error:#}"));
        }
    }
    let (log, done) = match log_of(part) {
        Ok(log) => {
            let done = work(part, needs, &log);
            (log, done)
        }
        Err(error) => return Tally::skipped(format!("{error:#}")),
    };
    let said = fs::read(&log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let tally = match &done {
        Ok(Some(tally)) => tally.clone(),
        Ok(None) => Tally::read(&said, true),
        Err(_) => Tally::read(&said, false),
    };
    if tally.failed > 0 {
        print(&format!("{}\n", end_of(&said)));
        say::line(&format!("the whole log is {}", log.display()));
    }
    match done {
        Err(error) if said.is_empty() => say::line(&format!("{error:#}")),
        // The rest repeats the log.
        Err(error) => say::line(format!("{error}").lines().next().unwrap_or_default()),
        Ok(_) => {}
    }
    tally
}

/// The log of a part, emptied. Beside what cargo builds, so that two checkouts do not write into each other's.
fn log_of(part: &Part) -> Result<PathBuf> {
    let folder = workspace::target()?.join("gate");
    let log = folder.join(format!("{}.log", part.name));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&log, ""))
        .with_context(|| format!("cannot write {}", log.display()))?;
    Ok(log)
}

/// The end of a log, without the lines that tell what cargo is busy with.
fn end_of(log: &str) -> String {
    let busy = ["Checking ", "Compiling ", "Documenting ", "Downloaded ", "Downloading "];
    let told = |line: &&str| !busy.iter().any(|word| line.trim_start().starts_with(word));
    let lines: Vec<&str> = log.lines().filter(told).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// Does the work of a part; some count themselves.
fn work(part: &Part, needs: &Needs, log: &std::path::Path) -> Result<Option<Tally>> {
    match part.work {
        Work::Cargo(runs) => {
            for args in runs {
                cargo()?.args(*args).envs(needs.variables()).run(log)?;
            }
            Ok(None)
        }
        Work::Npm { folder, runs } => {
            let folder = workspace::root()?.join(folder);
            for args in runs {
                npm(&folder)?.args(*args).env("NO_COLOR", "1").envs(needs.variables()).run(log)?;
            }
            Ok(None)
        }
        Work::Function(function) => function(needs, log),
    }
}

fn report(part: &Part, took: Duration, tally: &Tally) -> String {
    format!("{:<10} {:>5.1} min   {tally}", part.name, took.as_secs_f64() / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_part_is_refused_with_those_there_are() {
        let error = choose(&["untit".into()]).err().unwrap().to_string();
        assert!(error.contains("untit") && error.contains("unit"), "{error}");
    }

    #[test]
    fn the_end_of_a_log_leaves_out_what_cargo_is_busy_with() {
        assert_eq!(end_of("   Compiling serde v1\nerror: no\n    Checking x v1\n"), "error: no");
    }

    #[test]
    fn parts_run_in_the_order_of_the_table_whatever_the_order_of_their_names() {
        let chosen = choose(&["unit".into(), "fmt".into()]).unwrap();
        assert_eq!(chosen.iter().map(|part| part.name).collect::<Vec<_>>(), ["fmt", "unit"]);
    }
}
