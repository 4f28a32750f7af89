//! Retention, and the slow half of every deletion.
//!
//! A session goes at once; its rows go in slices, each a write of its own, so that appends get in between. A crash
//! in the middle is picked up by the next sweep, because the list of what has to go is in the file.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::{
    StoreError,
    errors::fail,
    files::BUSY,
    remove,
    rows::{self, signed},
    writer::Writer,
};
use crate::{
    session::{Seq, SessionId},
    store::{Condemned, Pruned},
};

/// Frames of one slice.
const SLICE: u64 = 2000;
/// Blocks of one slice.
const BLOCKS: u64 = 100;
/// Pages given back to the disk in one slice.
const PAGES: i64 = 1000;

/// Sessions that go in one slice.
const SESSIONS: usize = 64;

/// Takes what a plan says, as far as it still may go. Says what went.
pub(super) async fn execute(writer: &Writer, plan: Pruned) -> Result<Pruned, StoreError> {
    let mut done = Pruned { more: plan.more, ..Pruned::default() };
    let mut waiting = plan.condemned.into_iter();
    loop {
        let slice: Vec<Condemned> = waiting.by_ref().take(SESSIONS).collect();
        if slice.is_empty() {
            break;
        }
        let gone = writer.run(move |tx| take(tx, slice)).await?;
        let ids: Vec<SessionId> = gone.iter().map(|condemned| condemned.session.id.clone()).collect();
        writer.say(&ids);
        done.freed += gone.iter().map(|condemned| condemned.bytes).sum::<u64>();
        done.condemned.extend(gone);
    }
    for trimmed in plan.trimmed {
        loop {
            let own = trimmed.clone();
            let more = writer.run(move |tx| trim(tx, &own.id, own.to)).await?;
            writer.say(std::slice::from_ref(&trimmed.id));
            if !more {
                break;
            }
        }
        done.trimmed.push(trimmed);
    }
    Ok(done)
}

fn take(tx: &Connection, slice: Vec<Condemned>) -> Result<Vec<Condemned>, StoreError> {
    let mut gone = Vec::new();
    for condemned in slice {
        let session = &condemned.session;
        if remove::condemn(tx, &session.id, session.epoch.0, &condemned.reason.to_string())? {
            gone.push(condemned);
        }
    }
    Ok(gone)
}

/// Removes one slice of the oldest frames up to `to`; `false` when none of them is left. What is gone and where the
/// session now begins are one transaction, so no reader sees a hole.
fn trim(tx: &Connection, id: &SessionId, to: Seq) -> Result<bool, StoreError> {
    let Some(mut stored) = rows::find(tx, id)? else { return Ok(false) };
    let session = &mut stored.session;
    let last = to.0.min(session.first.0.saturating_add(SLICE) - 1);
    if session.pin.is_some() || last < session.first.0 || last > session.head.0 {
        return Ok(false);
    }
    let bounds = params![stored.key, signed(last)];
    let freed: i64 = tx
        .prepare_cached(
            "SELECT (SELECT ifnull(sum(length(payload)), 0) FROM frames WHERE session = ?1 AND seq <= ?2)
                  + (SELECT ifnull(sum(length(data)), 0) FROM blocks WHERE session = ?1 AND last <= ?2)",
        )
        .and_then(|mut statement| statement.query_row(bounds, |row| row.get(0)))
        .map_err(fail)?;
    for sql in [
        "DELETE FROM frames WHERE session = ? AND seq <= ?",
        "DELETE FROM blocks WHERE session = ? AND last <= ?",
        "DELETE FROM block_counters WHERE session = ? AND last <= ?",
    ] {
        tx.prepare_cached(sql).and_then(|mut statement| statement.execute(bounds)).map_err(fail)?;
    }
    let bytes = session.bytes.saturating_sub(freed.unsigned_abs());
    tx.prepare_cached("UPDATE sessions SET first = ?, bytes = ? WHERE key = ?")
        .and_then(|mut statement| statement.execute(params![signed(last + 1), signed(bytes), stored.key]))
        .map_err(fail)?;
    Ok(last < to.0)
}

/// Removes the rows of sessions that are gone, then gives the pages back, and the log: what was deleted is nowhere.
pub(super) async fn sweep(writer: &Writer) -> Result<(), StoreError> {
    loop {
        match writer.run(slice).await {
            Ok(true) => {}
            Ok(false) => break,
            // What cannot be read cannot be removed. It must not keep everything else from going.
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(%error, "a deleted session leaves something behind in the file");
                writer.run(pass_over).await?;
            }
            Err(error) => return Err(error),
        }
    }
    while writer.run(shrink).await? {}
    writer.alone(truncate).await
}

/// Copies the log into the file and empties it. A reader in the way is not waited for: the next sweep comes.
fn truncate(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::ZERO).map_err(fail)?;
    let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY).map_err(fail)?;
    match done {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
        done => done.map_err(fail),
    }
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
        .and_then(|mut statement| statement.execute(params![key, signed(SLICE)]))
        .map_err(fail)?;
    let blocks = tx
        .prepare_cached(
            "DELETE FROM blocks WHERE rowid IN (SELECT rowid FROM blocks WHERE session = ? LIMIT ?)",
        )
        .and_then(|mut statement| statement.execute(params![key, signed(BLOCKS)]))
        .map_err(fail)?;
    if frames == 0 && blocks == 0 {
        tx.execute("DELETE FROM block_counters WHERE session = ?", [key]).map_err(fail)?;
        tx.execute("DELETE FROM sources WHERE session = ?", [key]).map_err(fail)?;
        tx.execute("DELETE FROM doomed WHERE session = ?", [key]).map_err(fail)?;
    }
    Ok(true)
}

fn pass_over(tx: &Connection) -> Result<(), StoreError> {
    tx.execute("DELETE FROM doomed WHERE session = (SELECT session FROM doomed LIMIT 1)", [])
        .map_err(fail)?;
    Ok(())
}

/// Gives some free pages back; `false` when none is left.
fn shrink(tx: &Connection) -> Result<bool, StoreError> {
    let free: i64 = tx.query_row("PRAGMA freelist_count", [], |row| row.get(0)).map_err(fail)?;
    if free == 0 {
        return Ok(false);
    }
    // The pragma yields a row for each page that it frees and must be stepped to its end.
    let mut statement = tx.prepare(&format!("PRAGMA incremental_vacuum({PAGES})")).map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    while rows.next().map_err(fail)?.is_some() {}
    Ok(true)
}
