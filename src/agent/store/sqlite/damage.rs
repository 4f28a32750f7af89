//! A file that is damaged: what can be read of it stays in use, and what cannot is named.

use rusqlite::Connection;

use super::{PageLimit, StoreError, errors::fail, files, frames, pack, rows};
use crate::session::{Epoch, SessionId};

/// Checks the file. A damaged session is put into quarantine; a file that does not even say which sessions there are
/// is refused.
pub(super) fn check(connection: &Connection, store: &str) -> Result<(), StoreError> {
    let Some(why) = files::quick_check(connection, store)? else { return Ok(()) };
    tracing::error!(store, why, "the file is damaged: looking for what can still be read");
    let refused = |error: StoreError| match error {
        StoreError::Damaged { .. } => StoreError::Damaged { store: store.to_owned(), why: why.clone() },
        other => other,
    };
    for Suspect { key, id, head, packed } in suspects(connection).map_err(refused)? {
        if let Some(lacks) = unreadable(connection, key, head, packed)? {
            tracing::error!(session = %id, lacks, "in quarantine");
            pack::quarantine(connection, &id, &lacks)?;
        }
    }
    Ok(())
}

struct Suspect {
    key: i64,
    id: SessionId,
    head: u64,
    packed: u64,
}

/// All sessions. Each is read whole, with its tags: what it is found by has to be there.
fn suspects(connection: &Connection) -> Result<Vec<Suspect>, StoreError> {
    let sql = format!("SELECT {}, packed FROM sessions NOT INDEXED", rows::SESSION);
    let mut statement = connection.prepare(&sql).map_err(fail)?;
    let mut found = statement.query([]).map_err(fail)?;
    let mut suspects = Vec::new();
    while let Some(row) = found.next().map_err(fail)? {
        let stored = rows::session(row)?;
        rows::tags(connection, stored.key)?;
        suspects.push(Suspect {
            key: stored.key,
            head: stored.session.head.0,
            id: stored.session.id,
            packed: rows::unsigned(row, rows::COLUMNS)?,
        });
    }
    Ok(suspects)
}

/// What of a session cannot be read.
fn unreadable(
    connection: &Connection,
    key: i64,
    head: u64,
    packed: u64,
) -> Result<Option<String>, StoreError> {
    let mut after = 0;
    loop {
        let read = frames::gather(connection, key, Epoch(0), [after, packed, head], PageLimit::default());
        let gathered = match read {
            Err(StoreError::Damaged { why, .. }) => return Ok(Some(why)),
            read => read?,
        };
        if gathered.damage.is_some() {
            return Ok(gathered.damage);
        }
        match gathered.frames.last() {
            Some(last) => after = last.seq.0,
            None => return Ok(None),
        }
    }
}
