//! PostgreSQL from Debian, for tests that start servers of their own.
//!
//! Promises: what is installed already is used, in whatever version; nothing of the machine's own servers is touched.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::debian;

/// Tells tests where the programs are.
pub(crate) const VARIABLE: &str = "KTL_TEST_POSTGRES";

/// Debian keeps the programs of each version in a folder of its own here.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The folder of `initdb` and `pg_ctl`, the newest there is, after installing it when there is none.
pub(crate) fn find() -> Result<PathBuf> {
    if newest().is_none() {
        debian::install(&["postgresql"])?;
    }
    newest()
        .with_context(|| format!("Debian's postgresql is installed, but there is no initdb below {VERSIONS}"))
}

fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten();
    let with_server = versions.filter(|version| version.path().join("bin/initdb").exists());
    let newest = with_server
        .max_by_key(|version| version.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    Some(newest?.path().join("bin"))
}
