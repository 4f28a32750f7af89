//! Chromium, for pictures of pages.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::process::Program;

/// Writes a picture of the page at `url` to the file `picture`. `size` is in pixels; `scratch` takes the profile.
pub(super) fn photograph(
    chromium: &Path,
    url: &str,
    size: (usize, usize),
    scratch: &Path,
    picture: &Path,
) -> Result<()> {
    Program::new(chromium)
        .args(["--headless", "--no-first-run", "--disable-gpu", "--disable-quic", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // As root, in a container, its own sandbox cannot start; it sees only pages of this machine.
        .arg("--no-sandbox")
        .arg(format!("--user-data-dir={}", scratch.join("chromium").display()))
        .arg(format!("--window-size={},{}", size.0, size.1))
        // The page has loaded before its data has: time passes quickly inside, until nothing is left to fetch.
        .arg("--virtual-time-budget=6000")
        .arg(format!("--screenshot={}", picture.display()))
        .arg(url)
        .read()?;
    ensure!(picture.is_file(), "Chromium made no picture of {url}");
    Ok(())
}
