//! Chromium and a font, from Debian.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::debian::{self, Need};
use crate::cache::Cache;
use crate::process;

/// Without a font it draws pages without a letter.
const NEEDS: [Need; 2] = [
    Need { program: "chromium", package: "chromium" },
    Need { program: "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf", package: "fonts-dejavu-core" },
];

pub(super) fn install(_cache: &Cache) -> Result<PathBuf> {
    debian::ensure(&NEEDS)?;
    process::find("chromium").context("chromium is not in PATH")
}
