//! code-server: VS Code behind a web page, so that a browser can drive it.
//!
//! 4.100.3 is the last that runs on Node 20. Its install script downloads prebuilt programs from places a build
//! machine may not reach, so its parts are installed without scripts and the native ones are compiled here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::debian::{self, Need};
use super::npm::npm;
use crate::cache::Cache;
use crate::process;

const VERSION: &str = "4.100.3";

/// `krb5-config` tells that the headers are there which its optional single sign-on is compiled with.
const NEEDS: [Need; 5] = [
    Need { program: "rg", package: "ripgrep" },
    Need { program: "krb5-config", package: "libkrb5-dev" },
    Need { program: "g++", package: "g++" },
    Need { program: "make", package: "make" },
    Need { program: "python3", package: "python3" },
];

pub(super) fn install(cache: &Cache) -> Result<PathBuf> {
    debian::ensure(&NEEDS)?;
    let entry =
        cache.entry(&format!("code-server-{VERSION}"), |folder| fill(folder, &cache.log("code-server")))?;
    let program = entry.join("node_modules/code-server/out/node/entry.js");
    cache.script("code-server", &format!("#!/bin/sh\nexec node '{}' \"$@\"\n", program.display()))
}

fn fill(folder: &Path, log: &Path) -> Result<()> {
    fs::write(folder.join("package.json"), r#"{"name": "code-server-for-tests", "private": true}"#)?;
    npm(folder)?.args(["install", "--ignore-scripts", &format!("code-server@{VERSION}")]).run(log)?;
    let vscode = folder.join("node_modules/code-server/lib/vscode");
    for dir in [vscode.clone(), vscode.join("extensions")] {
        npm(&dir)?.args(["install", "--omit=dev", "--ignore-scripts"]).run(log)?;
    }
    let ripgrep = process::find("rg").context("rg is not in PATH")?;
    let bin = vscode.join("node_modules/@vscode/ripgrep/bin");
    fs::create_dir_all(&bin)?;
    std::os::unix::fs::symlink(ripgrep, bin.join("rg"))?;
    npm(folder)?.args(["rebuild", "argon2"]).env("npm_config_build_from_source", "true").run(log)?;
    let native = ["rebuild", "@vscode/spdlog", "node-pty", "native-watchdog", "@parcel/watcher"];
    npm(&vscode)?.args(native).run(log)
}
