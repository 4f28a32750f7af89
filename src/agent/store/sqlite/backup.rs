//! A copy of the file, made while an agent writes to it.
//!
//! The copy is marked. Whoever opens it, wherever it was put, starts a new epoch in every session: the original may
//! have gone on, and a number must never mean two frames.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    Pruned, Retention, StoreError,
    errors::{fail, failed},
    files, plan,
};
use crate::session::Timestamp;

/// The name of the mark.
const COPIED: &str = "copied";

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Sessions.
    pub sessions: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// What is wrong with it, as with the original; none when it is sound.
    pub damage: Option<String>,
}

/// Copies the store in `from` to the new file `to`, as it is at one moment. `from` may be in use.
pub fn copy(from: &Path, to: &Path) -> Result<Copied, StoreError> {
    let (source, target) = (from.display().to_string(), to.display().to_string());
    if !from.exists() {
        return Err(StoreError::Invalid(format!(
            "{source} is not there: name the file or folder of an agent"
        )));
    }
    files::recognize(from)?;
    if to.exists() {
        return Err(StoreError::Invalid(format!("{target} is there already: nothing is copied over it")));
    }
    let part = beside(to);
    let folder = |source: io::Error| StoreError::Folder { path: part.display().to_string(), source };
    // Left behind by a copy that was cut off.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(folder(error)),
        _ => {}
    }
    files::private_file(&part).map_err(folder)?;
    let copied = fill(from, &part).and_then(|copied| {
        File::open(&part).and_then(|file| file.sync_all()).map_err(folder)?;
        fs::rename(&part, to).map_err(folder)?;
        Ok(copied)
    });
    if copied.is_err() {
        // What is wrong was said; half a copy helps nobody.
        let _ = fs::remove_file(&part);
    }
    copied
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn fill(from: &Path, part: &Path) -> Result<Copied, StoreError> {
    let store = part.display().to_string();
    let fail = |error| failed(&store, error);
    let source = files::open_reader(from).map_err(|error| failed(&from.display().to_string(), error))?;
    files::missing_steps(&source, &from.display().to_string())?;
    let mut copy = Connection::open(part).map_err(fail)?;
    {
        let backup = Backup::new(&source, &mut copy).map_err(fail)?;
        // All at once: one moment of the original, and no beginning again with each of its commits. Its writer does
        // not wait, because the copy reads as every reader does.
        while backup.step(-1).map_err(fail)? != StepResult::Done {
            sleep(Duration::from_millis(20));
        }
    }
    files::prepare(&copy, &store)?;
    let damage = files::quick_check(&copy, &store)?;
    mark(&copy)?;
    let sessions: i64 =
        copy.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).map_err(fail)?;
    // One file, without a log beside it.
    copy.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(())).map_err(fail)?;
    drop(copy);
    let bytes = fs::metadata(part).map_or(0, |found| found.len());
    Ok(Copied { sessions: sessions.unsigned_abs(), bytes, damage })
}

fn mark(copy: &Connection) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
    copy.execute(sql, rusqlite::params![COPIED, Timestamp::now().0]).map_err(fail)?;
    Ok(())
}

/// Starts a new epoch in every session of a copy that is opened for the first time.
pub(super) fn begin_anew(connection: &Connection) -> Result<(), StoreError> {
    let tx = connection.unchecked_transaction().map_err(fail)?;
    let marked = tx.execute("DELETE FROM notes WHERE name = ?", [COPIED]).map_err(fail)?;
    if marked > 0 {
        let sql = "UPDATE sessions SET epoch = max(epoch + 1, ?), only_epoch = 0";
        let sessions = tx.execute(sql, [Timestamp::now().0 / 1_000_000]).map_err(fail)?;
        tracing::info!(sessions, "this is a copy: every session of it starts a new epoch");
    }
    tx.commit().map_err(fail)
}

/// What retention would take of a store that may be in use. Nothing is written.
pub fn would_take(path: &Path, keep: &Retention) -> Result<Pruned, StoreError> {
    let store = path.display().to_string();
    if !path.exists() {
        return Err(StoreError::Invalid(format!("{store} is not there: name the folder of an agent")));
    }
    files::recognize(path)?;
    let reader = files::open_reader(path).map_err(|error| failed(&store, error))?;
    if !files::missing_steps(&reader, &store)?.is_empty() {
        let why = format!("{store} has an older format: start ktl-agent on it once, then ask again");
        return Err(StoreError::Invalid(why));
    }
    plan::plan(&reader, keep)
}
