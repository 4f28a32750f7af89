//! Opening the file: rights, settings, format, check.

use std::{
    fs,
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, backup, errors::failed};

/// "ktl" and a 1, in the header of every file of ours.
pub(super) const APPLICATION_ID: i64 = 0x6b74_6c01;

/// The steps from an empty file to the newest format; a file's `user_version` is the number that it has seen.
pub(super) const MIGRATIONS: [&str; 4] = [
    include_str!("schema_001.sql"),
    include_str!("schema_002.sql"),
    include_str!("schema_003.sql"),
    include_str!("schema_004.sql"),
];

/// How long a connection waits for another one.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The first bytes of every SQLite file, and where its application id is.
const MAGIC: &[u8] = b"SQLite format 3\0";
const ID_AT: usize = 68;

/// Opens or makes the file for writing.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    recognize(path)?;
    private_file(path).map_err(|source| StoreError::Folder { path: path.display().to_string(), source })?;
    let store = path.display().to_string();
    let connection = Connection::open(path).map_err(|error| failed(&store, error))?;
    prepare(&connection, &store)?;
    backup::begin_anew(&connection)?;
    Ok(connection)
}

/// Bytes of the file and its log on the disk.
pub(super) fn size(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    bytes(path) + bytes(Path::new(&log))
}

/// Refuses a file that is somebody else's, by its first bytes: opening it as a database could already change it.
pub(super) fn recognize(path: &Path) -> Result<(), StoreError> {
    let store = path.display().to_string();
    let mut head = [0; ID_AT + 4];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) if !head.starts_with(MAGIC) => return Err(StoreError::Alien(store)),
        Ok(())
            if i64::from(u32::from_be_bytes([head[68], head[69], head[70], head[71]])) == APPLICATION_ID =>
        {
            return Ok(());
        }
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        // Shorter than any database, but for the one that is still empty.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            let is_empty = fs::metadata(path).is_ok_and(|found| found.len() == 0);
            return if is_empty { Ok(()) } else { Err(StoreError::Alien(store)) };
        }
        Err(source) => return Err(StoreError::Folder { path: store, source }),
    }
    let found = open_reader(path).and_then(|reader| {
        let id: i64 = reader.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let mut names = reader.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
        let names = names.query_map([], |row| row.get::<_, String>(0))?;
        Ok((id, names.collect::<Result<Vec<_>, _>>()?))
    });
    match found.map_err(|error| failed(&store, error))? {
        // Ours, with its head still in the WAL; or begun by us, and cut off before it was marked.
        (APPLICATION_ID, _) => Ok(()),
        (_, none) if none.is_empty() => Ok(()),
        (_, tables) if tables.iter().any(|name| name == "ktl_mirror_sessions") => Err(StoreError::Go(store)),
        _ => Err(StoreError::Alien(store)),
    }
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
pub(super) fn private_file(path: &Path) -> io::Result<()> {
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

pub(super) fn prepare(connection: &Connection, store: &str) -> Result<(), StoreError> {
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
    migrate(connection, store, &steps)
}

/// The steps that a file has not seen. Asked before anything is set: a newer file stays as it is.
pub(super) fn missing_steps(connection: &Connection, store: &str) -> Result<String, StoreError> {
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

/// What SQLite finds wrong with the file, the first of it.
pub(super) fn quick_check(connection: &Connection, store: &str) -> Result<Option<String>, StoreError> {
    let said = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match said.map_err(|error| failed(store, error)) {
        Ok(said) => Ok((said != "ok").then_some(said)),
        Err(StoreError::Damaged { why, .. }) => Ok(Some(why)),
        Err(error) => Err(error),
    }
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
