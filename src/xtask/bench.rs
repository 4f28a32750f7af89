//! `cargo xtask bench NAME`: what the project promises about speed and memory, measured on the release build.
//!
//! Promises: every number is measured on the built program from outside, over its own protocol, and printed beside its
//! limit. Does not know how the programs do it.

mod agent;
mod editor;
mod lsp;
mod measure;

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::json;

use self::measure::Measured;
use crate::cache::Cache;
use crate::workspace::{self, cargo};
use crate::{print, say};

/// A benchmark by its name on the command line.
struct Bench {
    name: &'static str,
    run: fn(&Cache, &Programs) -> Result<Vec<Measured>>,
}

const BENCHES: [Bench; 2] = [Bench { name: "lsp", run: lsp::run }, Bench { name: "agent", run: agent::run }];

/// The programs that are measured.
#[derive(Debug)]
struct Programs {
    lsp: PathBuf,
    agent: PathBuf,
}

/// Runs the benchmark `name` and prints what it measured; an error when a limit is missed.
pub(crate) fn run(name: &str, as_json: bool) -> Result<()> {
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("there is no benchmark {name}: expected one of {}", names.join(", "));
    };
    let cache = Cache::open()?;
    let programs = build(&cache)?;
    let measured = (bench.run)(&cache, &programs)?;
    if as_json {
        let results: Vec<_> = measured.iter().map(Measured::to_json).collect();
        print(&format!("{}\n", json!({"bench": name, "results": results})));
    } else {
        for result in &measured {
            print(&format!("{result}\n"));
        }
    }
    let missed: Vec<&str> =
        measured.iter().filter(|result| !result.holds()).map(|result| result.what).collect();
    if !missed.is_empty() {
        bail!("over the limit: {}", missed.join(", "));
    }
    Ok(())
}

fn build(cache: &Cache) -> Result<Programs> {
    say::step("building ktl-lsp and ktl-agent for release", || {
        let log = cache.log("release");
        cargo()?.args(["build", "--release", "--package=ktl-lsp", "--package=ktl-agent"]).run(&log)
    })?;
    let release = workspace::target()?.join("release");
    Ok(Programs { lsp: release.join("ktl-lsp"), agent: release.join("ktl-agent") })
}
