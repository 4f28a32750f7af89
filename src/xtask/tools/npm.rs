//! npm, as the tools and the parts of the gate call it.

use std::path::Path;

use anyhow::Result;

use super::debian::{self, Need};
use crate::process::{self, Program};

/// npm in the folder `dir`, quiet about everything but errors.
pub(super) fn npm(dir: &Path) -> Result<Program> {
    debian::ensure(&[Need { program: "npm", package: "npm" }])?;
    let program =
        Program::new("npm").dir(dir).env("npm_config_fund", "false").env("npm_config_audit", "false");
    // Native modules are built against the headers that came with node: those of its release cannot be downloaded
    // everywhere, and need not be.
    let node = process::find("node").and_then(|node| node.canonicalize().ok());
    let prefix = node.as_deref().and_then(Path::parent).and_then(Path::parent);
    Ok(match prefix {
        Some(prefix) => program.env("npm_config_nodedir", prefix),
        None => program,
    })
}
