//! The part `deny`: licenses, sources and bans of the dependency graph, by cargo-deny and `.cargo/deny.toml`.
//!
//! Advisories are left out: their database is downloaded at run time, from a place that not every machine reaches.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::needs::Needs;
use super::tally::Tally;
use crate::cache::Cache;
use crate::process::Program;
use crate::workspace::{self, cargo};

const VERSION: &str = "0.20.2";

pub(super) fn run(needs: &Needs, log: &Path) -> Result<Option<Tally>> {
    let program = install(needs.cache())?;
    let check = ["--color", "never", "--config", ".cargo/deny.toml", "check", "bans", "licenses", "sources"];
    Program::new(program).args(check).dir(workspace::root()?).run(log)?;
    Ok(None)
}

fn install(cache: &Cache) -> Result<PathBuf> {
    let entry = cache.entry(&format!("cargo-deny-{VERSION}"), |folder| {
        // A build folder of its own: in ours it would make cargo forget what is built there.
        let build = folder.join("build");
        let install =
            cargo()?.args(["install", "--locked", "--quiet", "--version", VERSION, "--root"]).arg(folder);
        install.arg("cargo-deny").env("CARGO_TARGET_DIR", &build).run(&cache.log("cargo-deny"))?;
        fs::remove_dir_all(&build)?;
        Ok(())
    })?;
    Ok(entry.join("bin/cargo-deny"))
}
