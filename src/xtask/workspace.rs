//! The checkout that xtask belongs to, and its cargo.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::Program;

/// The root of the checkout.
pub(crate) fn root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().with_context(|| format!("{} is gone: xtask runs from a checkout", root.display()))
}

/// Where cargo builds.
pub(crate) fn target() -> Result<PathBuf> {
    let root = root()?;
    // Relative to where cargo is called, and that is the root.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(root.join(target))
}

/// cargo, called in the root.
pub(crate) fn cargo() -> Result<Program> {
    let mut program = Program::new("cargo").dir(root()?);
    // `cargo xtask` is cargo itself, and what it tells this program about the package xtask would make the inner one
    // believe that build scripts must run again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let outer = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if outer.iter().any(|prefix| name.starts_with(prefix))
            || name == "CARGO"
            || name == "CARGO_PRIMARY_PACKAGE"
        {
            program = program.without(name.as_ref());
        }
    }
    Ok(program)
}
