//! What a test needs of the machine, or the reason why it is skipped.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The files or folders that these variables name. `None` after saying that the test is skipped.
pub(crate) fn paths<const N: usize>(variables: [&str; N]) -> Option<[PathBuf; N]> {
    let set = |variable: &str| env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let missing: Vec<&str> = variables.into_iter().filter(|variable| set(variable).is_none()).collect();
    if !missing.is_empty() {
        skip(&format!("not set, and `cargo xtask test` sets it: {}", missing.join(", ")));
    }
    let found: Option<Vec<PathBuf>> = variables.into_iter().map(set).collect();
    found?.try_into().ok()
}

/// Says that a test is skipped, past the capture of its output.
///
/// # Panics
/// With `CI=true`, where nothing may be skipped.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "with CI=true nothing is skipped: {why}");
    let _ = writeln!(io::stderr(), "skipped: {why}");
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `PATH` with `folder` in front.
pub(crate) fn path_with(folder: &Path) -> std::ffi::OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(env::split_paths(&rest));
    env::join_paths(folders).expect("a folder in PATH has no colon")
}
