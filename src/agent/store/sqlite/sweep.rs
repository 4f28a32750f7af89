//! Retention, and the slow half of every deletion.
//!
//! A session goes at once; its rows go in slices, each a write of its own, so that appends get in between. A crash
//! in the middle is picked up by the next sweep, because the list of what has to go is in the file.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Retention, StoreError,
    rows::{self, fail},
    write,
    writer::Writer,
};
use crate::session::{SessionId, Status, Timestamp};

/// Frames of one slice.
const SLICE: i64 = 2000;
/// Pages given back to the disk in one slice.
const PAGES: i64 = 1000;

/// Takes away finished sessions that retention does not keep. Their rows still have to be swept.
pub(super) fn condemn(tx: &Connection, keep: Retention) -> Result<Vec<SessionId>, StoreError> {
    let (mut sessions, mut bytes): (u64, u64) = tx
        .query_row("SELECT count(*), ifnull(sum(bytes), 0) FROM sessions", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .map(|(sessions, bytes)| (u64::try_from(sessions).unwrap_or(0), u64::try_from(bytes).unwrap_or(0)))
        .map_err(fail)?;
    let oldest_allowed = keep.max_age.map(|age| Timestamp::now().earlier(age));
    let mut gone = Vec::new();
    for (key, id, completed, size) in finished(tx)? {
        let too_many = keep.max_sessions.is_some_and(|most| sessions > most);
        let too_large = keep.max_bytes.is_some_and(|most| bytes > most);
        let too_old = oldest_allowed.is_some_and(|oldest| completed < oldest);
        // The oldest end comes first: once one may stay, so may the rest.
        if !(too_many || too_large || too_old) {
            break;
        }
        write::remove(tx, key)?;
        sessions -= 1;
        bytes = bytes.saturating_sub(size);
        gone.extend(SessionId::parse(&id));
    }
    Ok(gone)
}

fn finished(tx: &Connection) -> Result<Vec<(i64, String, Timestamp, u64)>, StoreError> {
    let sql = "SELECT key, id, completed, bytes FROM sessions WHERE status <> ? ORDER BY completed, key";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let rows = statement
        .query_map([rows::status_number(Status::Running)], |row| {
            let bytes: i64 = row.get(3)?;
            Ok((row.get(0)?, row.get(1)?, Timestamp(row.get(2)?), u64::try_from(bytes).unwrap_or(0)))
        })
        .map_err(fail)?;
    rows.collect::<Result<_, _>>().map_err(fail)
}

/// Removes the rows of sessions that are gone, then gives the pages back.
pub(super) async fn sweep(writer: &Writer) -> Result<(), StoreError> {
    while writer.run(slice).await? {}
    while writer.run(shrink).await? {}
    Ok(())
}

/// Removes one slice; `false` when nothing is left.
fn slice(tx: &Connection) -> Result<bool, StoreError> {
    let key: Option<i64> =
        tx.query_row("SELECT session FROM doomed LIMIT 1", [], |row| row.get(0)).optional().map_err(fail)?;
    let Some(key) = key else { return Ok(false) };
    let frames = tx
        .prepare_cached(
            "DELETE FROM frames WHERE session = ?1 AND seq IN
               (SELECT seq FROM frames WHERE session = ?1 ORDER BY seq LIMIT ?2)",
        )
        .and_then(|mut statement| statement.execute(params![key, SLICE]))
        .map_err(fail)?;
    if frames == 0 {
        tx.execute("DELETE FROM sources WHERE session = ?", [key]).map_err(fail)?;
        tx.execute("DELETE FROM doomed WHERE session = ?", [key]).map_err(fail)?;
    }
    Ok(true)
}

/// Gives some free pages back; `false` when few are left, which the next frames will use.
fn shrink(tx: &Connection) -> Result<bool, StoreError> {
    let free: i64 = tx.query_row("PRAGMA freelist_count", [], |row| row.get(0)).map_err(fail)?;
    if free < PAGES {
        return Ok(false);
    }
    // The pragma yields a row for each page that it frees and must be stepped to its end.
    let mut statement = tx.prepare(&format!("PRAGMA incremental_vacuum({PAGES})")).map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    while rows.next().map_err(fail)?.is_some() {}
    Ok(true)
}
