//! Chromium, for pictures of pages.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::cache::Cache;
use crate::process::Program;
use crate::tools::npm::npm;
use crate::workspace;

/// Chromium, and the scripts of `tests/browser` that drive it.
#[derive(Debug)]
pub(super) struct Browser {
    chromium: PathBuf,
    scripts: PathBuf,
    /// Takes its profile.
    scratch: PathBuf,
}

impl Browser {
    /// Prepares the scripts.
    pub(super) fn prepare(cache: &Cache, chromium: &Path, scratch: &Path) -> Result<Self> {
        let scripts = workspace::root()?.join("tests/browser");
        npm(&scripts)?.arg("ci").run(&cache.log("browser"))?;
        Ok(Self { chromium: chromium.to_owned(), scripts, scratch: scratch.to_owned() })
    }

    /// Opens the session at `url`, with the code that lets a browser in, and writes a picture of it to `picture` as soon
    /// as all of it is there.
    pub(super) fn replay(&self, url: &str, picture: &Path) -> Result<()> {
        self.script("shot.mjs").args(["replay", "--url", url, "--out"]).arg(picture).read()?;
        written(picture)
    }

    /// One of the scripts, about to be started.
    pub(super) fn script(&self, name: &str) -> Program {
        Program::new("node").arg(name).dir(&self.scripts).env("KTL_TEST_CHROMIUM", &self.chromium)
    }

    /// Writes a picture of a page that does nothing. `size` is in pixels.
    pub(super) fn still(&self, page: &Path, size: (usize, usize), picture: &Path) -> Result<()> {
        Program::new(&self.chromium)
            .args(["--headless", "--no-first-run", "--disable-gpu", "--disable-quic", "--hide-scrollbars"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // As root, in a container, its own sandbox cannot start; the page is ours.
            .args(["--no-sandbox", "--force-device-scale-factor=2"])
            .arg(format!("--user-data-dir={}", self.scratch.join("chromium").display()))
            .arg(format!("--window-size={},{}", size.0, size.1))
            .arg(format!("--screenshot={}", picture.display()))
            .arg(format!("file://{}", page.display()))
            .read()?;
        written(picture)
    }
}

fn written(picture: &Path) -> Result<()> {
    ensure!(picture.is_file(), "Chromium wrote no {}", picture.display());
    Ok(())
}
