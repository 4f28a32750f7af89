//! npm, as the tools and the parts of the gate call it.

use std::path::Path;

use anyhow::{Result, bail};

use crate::process::{self, Program};

/// npm in the folder `dir`, quiet about everything but errors.
pub(crate) fn npm(dir: &Path) -> Result<Program> {
    if process::find("npm").is_none() {
        bail!("npm is not in PATH: install Node.js 20 or later");
    }
    let quiet =
        ["npm_config_fund", "npm_config_audit", "npm_config_update_notifier"].map(|name| (name, "false"));
    // Install scripts call `npx`, which otherwise asks whether it may.
    let program = Program::new("npm").dir(dir).envs(quiet).env("npm_config_yes", "true");
    // Native modules are built against the headers that came with node: those of its release cannot be downloaded
    // everywhere, and need not be.
    let node = process::find("node").and_then(|node| node.canonicalize().ok());
    let prefix = node.as_deref().and_then(Path::parent).and_then(Path::parent);
    Ok(match prefix {
        Some(prefix) => program.env("npm_config_nodedir", prefix),
        None => program,
    })
}
