//! Helix, from the next Debian: the stable one this project runs on has none.
//!
//! Its package and the libraries it links are unpacked side by side, not installed, and it is started with the dynamic
//! loader it was built for. Nothing of it touches the machine's own libraries.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::debian::{self, Need};
use crate::cache::Cache;
use crate::process::{self, Program};

const SUITE: &str = "trixie";

/// Helix and what it is linked with.
const PACKAGES: [&str; 4] = ["hx", "libc6", "libgcc-s1", "libstdc++6"];

pub(super) fn install(cache: &Cache) -> Result<PathBuf> {
    // A machine that has Helix needs no second one.
    if let Some(program) = process::find("hx") {
        return Ok(program);
    }
    let entry = cache.entry(&format!("helix-{SUITE}"), |folder| fill(folder, &cache.log("helix")))?;
    let library = fs::read_dir(entry.join("usr/lib"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.join("libc.so.6").exists())
        .context("Helix was unpacked without a C library")?;
    let loader = fs::read_dir(&library)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux")))
        .context("Helix was unpacked without a dynamic loader")?;
    let (entry, library, loader) = (entry.display(), library.display(), loader.display());
    cache.script(
        "hx",
        &format!(
            "#!/bin/sh\nHELIX_RUNTIME='{entry}/usr/lib/hx/runtime' \\\n  \
             exec '{loader}' --library-path '{library}' '{entry}/usr/lib/hx/hx' \"$@\"\n"
        ),
    )
}

fn fill(folder: &Path, log: &Path) -> Result<()> {
    debian::ensure(&[Need { program: "debootstrap", package: "debootstrap" }])?;
    // Only its downloads are used: it resolves and verifies the packages of a release that is not ours.
    let downloads = folder.join("download");
    Program::new("debootstrap")
        .args(["--download-only", "--variant=minbase", "--include=hx", SUITE])
        .arg(&downloads)
        .arg(debian::mirror()?)
        .run(log)?;
    let archives = downloads.join("var/cache/apt/archives");
    for entry in fs::read_dir(&archives).context("debootstrap downloaded nothing")? {
        let archive = entry?.path();
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.split('_').next().is_some_and(|package| PACKAGES.contains(&package)) {
            Program::new("dpkg-deb").arg("--extract").arg(&archive).arg(folder).read()?;
        }
    }
    fs::remove_dir_all(&downloads)?;
    Ok(())
}
