//! The names in a shim's folder, and files that are there as a whole or not at all.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

/// What to run.
pub(super) const COMMAND: &str = "command.json";
/// Who runs it.
pub(super) const SHIM: &str = "shim.json";
/// What it printed.
pub(super) const OUTPUT: &str = "output.ndjson";
/// How it ended.
pub(super) const EXIT: &str = "exit.json";
/// What the shim itself had to say; empty unless something is wrong with it.
pub(super) const LOG: &str = "shim.log";

/// Replaces a file in one step, for its owner only, and on the disk when this returns.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_of(path);
    write_draft(&draft, bytes)?;
    fs::rename(&draft, path)?;
    settle_name(path)
}

/// Brings a file that somebody else wrote to the disk, its name too.
pub(super) fn settle(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()?;
    settle_name(path)
}

/// A new name is in the folder, so the folder has to be on the disk too.
pub(super) fn settle_name(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// [`write_atomically`] of a value as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_atomically(path, &serde_json::to_vec(value)?)
}

/// Makes a file with this content unless there is one: true when it is ours, and then it is on the disk.
pub(super) fn claim_json(path: &Path, value: &impl Serialize) -> io::Result<bool> {
    let draft = draft_of(path);
    write_draft(&draft, &serde_json::to_vec(value)?)?;
    let claimed = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match claimed {
        Ok(()) => settle_name(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The value in a file, `None` where there is no file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Two processes may draft the same file, so the draft carries the process.
fn draft_of(path: &Path) -> std::path::PathBuf {
    path.with_extension(format!("draft-{}", std::process::id()))
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_claimed_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(SHIM);
        assert!(claim_json(&path, &1).unwrap());
        assert!(!claim_json(&path, &2).unwrap());
        assert_eq!(read_json::<i32>(&path).unwrap(), Some(1));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "a draft was left behind");
    }

    #[test]
    fn no_file_is_no_value() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read_json::<i32>(&home.path().join("none")).unwrap(), None);
    }
}
