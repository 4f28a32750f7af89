//! Opening the file: rights, settings, format, check.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, errors::failed};

/// "ktl" and a 1, in the header of every file of ours.
pub(super) const APPLICATION_ID: i64 = 0x6b74_6c01;

/// The steps from an empty file to the newest format; a file's `user_version` is the number that it has seen.
pub(super) const MIGRATIONS: [&str; 2] = [include_str!("schema_001.sql"), include_str!("schema_002.sql")];

/// How long a connection waits for another one.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Opens or makes the file for writing.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    private_file(path).map_err(|source| StoreError::Folder { path: path.display().to_string(), source })?;
    let store = path.display().to_string();
    let connection = Connection::open(path).map_err(|error| failed(&store, error))?;
    prepare(&connection, &store)?;
    Ok(connection)
}

/// Opens the file for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Makes a folder that only its owner can read, and its parents. One that is there keeps its rights: it may be the
/// user's home, and every file of ours is for its owner only by itself.
pub fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// SQLite gives its WAL the rights of the file, so the file is made before SQLite would.
fn private_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        }
        Err(error) => Err(error),
    }
}

fn prepare(connection: &Connection, store: &str) -> Result<(), StoreError> {
    let fail = |error| failed(store, error);
    let alien = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => StoreError::Alien(store.to_owned()),
        _ => failed(store, error),
    };
    connection.busy_timeout(BUSY).map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(64);
    let application: i64 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(alien)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(alien)?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(StoreError::Alien(store.to_owned()));
    }
    let steps = missing_steps(connection, store)?;
    // auto_vacuum counts only before the first table; macOS forgets its disk's cache without fullfsync.
    connection
        .execute_batch(
            "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             PRAGMA fullfsync=ON; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;
             PRAGMA journal_size_limit=67108864;",
        )
        .map_err(fail)?;
    migrate(connection, store, &steps)?;
    quick_check(connection, store)
}

/// The steps that a file has not seen. Asked before anything is set: a newer file stays as it is.
fn missing_steps(connection: &Connection, store: &str) -> Result<String, StoreError> {
    let fail = |error| failed(store, error);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let steps = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let newer = || StoreError::Newer { store: store.to_owned(), found, known };
    Ok(steps.ok_or_else(newer)?.concat())
}

fn migrate(connection: &Connection, store: &str, steps: &str) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let fail = |error| failed(store, error);
    let known = MIGRATIONS.len();
    connection
        .execute_batch(&format!(
            "BEGIN IMMEDIATE; {steps} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={known}; COMMIT;"
        ))
        .map_err(fail)
}

fn quick_check(connection: &Connection, store: &str) -> Result<(), StoreError> {
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| failed(store, error))?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Damaged { store: store.to_owned(), why: said }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_there_keeps_its_rights() {
        let home = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        private_folder(home.path()).unwrap();
        assert_eq!(mode(home.path()), 0o755);
        let made = home.path().join("a/b");
        private_folder(&made).unwrap();
        assert_eq!((mode(&made), mode(&home.path().join("a"))), (0o700, 0o700));
    }
}
