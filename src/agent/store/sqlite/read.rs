//! Reading one session: its frames, its heading, its sources.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Page, PageLimit, StoreError, StoredSource, errors::fail, frames, rows};
use crate::{
    session::{Cursor, Epoch, Seq, Session, SessionId, Status, Timestamp},
    store::{Audit, Heading},
};

pub(super) fn session(tx: &Connection, id: &SessionId) -> Result<Option<Session>, StoreError> {
    Ok(rows::find(tx, id)?.map(|stored| stored.session))
}

/// How many sessions are in each state, along an index.
pub(super) fn states(tx: &Connection) -> Result<BTreeMap<Status, u64>, StoreError> {
    let sql = "SELECT status, count(*) FROM sessions GROUP BY status";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let mut found = statement.query([]).map_err(fail)?;
    let mut states = BTreeMap::new();
    while let Some(row) = found.next().map_err(fail)? {
        states.insert(rows::status(row, 0, "counted")?, rows::unsigned(row, 1)?);
    }
    Ok(states)
}

pub(super) fn last_counter(tx: &Connection, id: &SessionId, producer: &str) -> Result<u64, StoreError> {
    let sql = "SELECT counter FROM producers WHERE producer = ? AND session = (SELECT key FROM sessions WHERE id = ?)";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found =
        statement.query_row(params![producer, id.as_str()], |row| Ok(rows::unsigned(row, 0))).optional();
    found.map_err(fail)?.unwrap_or(Ok(0))
}

/// A page, and what of it could not be read, if that is news.
pub(super) struct Reading {
    pub(super) page: Page,
    pub(super) damage: Option<String>,
}

pub(super) fn page(
    tx: &Connection,
    id: &SessionId,
    after: Cursor,
    limit: PageLimit,
) -> Result<Reading, StoreError> {
    let Headed { key, only_epoch, packed, is_damaged, heading } = head(tx, id)?;
    let own = after.epoch == heading.epoch || (after.epoch == Epoch(0) && (only_epoch || after.seq.0 == 0));
    if !own || after.seq > heading.head {
        return Ok(Reading { page: Page::Foreign(heading), damage: None });
    }
    // Retention takes frames of a block before it takes the block.
    let after = after.seq.0.max(heading.first.0.saturating_sub(1));
    let gathered = frames::gather(tx, key, heading.epoch, [after, packed, heading.head.0], limit)?;
    let damage = gathered.damage.filter(|_| !is_damaged);
    Ok(Reading { page: Page::Frames(heading, gathered.frames), damage })
}

/// What a follower has to know of a session, and no more: every wake of every follower reads it.
struct Headed {
    key: i64,
    only_epoch: bool,
    packed: u64,
    is_damaged: bool,
    heading: Heading,
}

fn head(tx: &Connection, id: &SessionId) -> Result<Headed, StoreError> {
    let sql = "SELECT key, only_epoch, epoch, first, head, status, exit_code, message, packed, damage <> ''
               FROM sessions WHERE id = ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement.query_row([id.as_str()], |row| Ok(headed(row, id))).optional().map_err(fail)?;
    found.ok_or_else(|| StoreError::NotFound(id.clone()))?
}

fn headed(row: &Row<'_>, id: &SessionId) -> Result<Headed, StoreError> {
    let heading = Heading {
        epoch: Epoch(rows::unsigned(row, 2)?),
        first: Seq(rows::unsigned(row, 3)?),
        head: Seq(rows::unsigned(row, 4)?),
        status: rows::status(row, 5, id.as_str())?,
        exit_code: row.get(6).map_err(fail)?,
        message: row.get(7).map_err(fail)?,
    };
    Ok(Headed {
        key: row.get(0).map_err(fail)?,
        only_epoch: row.get(1).map_err(fail)?,
        packed: rows::unsigned(row, 8)?,
        is_damaged: row.get(9).map_err(fail)?,
        heading,
    })
}

pub(super) fn source(
    tx: &Connection,
    id: &SessionId,
    path: &str,
) -> Result<Option<StoredSource>, StoreError> {
    let stored = rows::require(tx, id)?;
    let sql = "SELECT masked, sha256 FROM sources WHERE session = ? AND path = ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement.query_row(params![stored.key, path], |row| {
        Ok(StoredSource { masked: row.get(0)?, sha256: row.get(1)? })
    });
    found.optional().map_err(fail)
}

pub(super) fn audit(tx: &Connection, limit: usize) -> Result<Vec<Audit>, StoreError> {
    let sql =
        "SELECT session, at, epoch, head, status, principal, why FROM audit ORDER BY number DESC LIMIT ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map([limit], |row| Ok(audited(row))).map_err(fail)?;
    found.map(|row| row.map_err(fail)?).collect()
}

fn audited(row: &Row<'_>) -> Result<Audit, StoreError> {
    let id: String = row.get(0).map_err(fail)?;
    let damaged = |why: String| StoreError::Damaged { store: format!("the audit of session {id}"), why };
    Ok(Audit {
        id: SessionId::parse(&id).map_err(|error| damaged(error.to_string()))?,
        at: Timestamp(row.get(1).map_err(fail)?),
        epoch: Epoch(rows::unsigned(row, 2)?),
        head: Seq(rows::unsigned(row, 3)?),
        status: rows::status(row, 4, &id)?,
        principal: row.get(5).map_err(fail)?,
        why: row.get(6).map_err(fail)?,
    })
}
