//! Chromium, from Debian.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::debian::{self, Need};
use crate::cache::Cache;
use crate::process;

pub(super) fn install(_cache: &Cache) -> Result<PathBuf> {
    debian::ensure(&[Need { program: "chromium", package: "chromium" }])?;
    process::find("chromium").context("chromium is not in PATH")
}
