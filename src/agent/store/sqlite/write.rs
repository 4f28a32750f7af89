//! What changes a session besides its frames, each a function inside a transaction that the writer commits.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Created, NewSession, Report, StoreError,
    errors::fail,
    rows::{self, Stored},
};
use crate::{
    session::{Meta, Owner, Pin, Session, SessionId, Tags, Timestamp},
    store::{check_tags, course},
};

/// A write that changes nothing: SQLite writes the page of the number although it is the same.
pub(super) fn nothing(tx: &Connection) -> Result<(), StoreError> {
    let format: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
    tx.execute_batch(&format!("PRAGMA user_version={format}")).map_err(fail)
}

pub(super) fn create(tx: &Connection, new: &NewSession) -> Result<Created, StoreError> {
    let Some(mut stored) = rows::find(tx, &new.id)? else {
        let mut stored = insert(tx, &new.id, new.owner)?;
        stored.session.request = new.request.as_ref().map(|request| request.get().clone());
        return Ok(Created::New(fill(tx, stored, new.meta.get(), new.tags.get())?));
    };
    if !stored.session.is_bare() || new.owner == Owner::Publisher {
        return Ok(Created::Known(stored.session));
    }
    stored.session.owner = new.owner;
    stored.session.request = new.request.as_ref().map(|request| request.get().clone());
    Ok(Created::New(fill(tx, stored, new.meta.get(), new.tags.get())?))
}

/// A fresh row in an epoch above every earlier one of this id.
pub(super) fn insert(tx: &Connection, id: &SessionId, owner: Owner) -> Result<Stored, StoreError> {
    let earlier: Option<i64> = tx
        .prepare_cached("SELECT epoch FROM epochs WHERE id = ?")
        .and_then(|mut statement| statement.query_row([id.as_str()], |row| row.get(0)).optional())
        .map_err(fail)?;
    let now = Timestamp::now();
    // Milliseconds, so that two stores with a common past do not count the same epoch for different histories;
    // the earlier epoch wins over a clock that was set back.
    let epoch = (now.0 / 1_000_000).max(earlier.unwrap_or(0) + 1);
    tx.prepare_cached(
        "INSERT INTO sessions (id, epoch, only_epoch, status, created, last_seen, owner, command, args, requester,
           cluster, context, namespace, release, chart, principal, workspace)
         VALUES (?, ?, ?, 1, ?, ?, ?, '', '[]', '', '', '', '', '', '', '', '')",
    )
    .and_then(|mut statement| {
        let only_epoch = i64::from(earlier.is_none());
        statement.execute(params![id.as_str(), epoch, only_epoch, now.0, now.0, rows::owner_number(owner)])
    })
    .map_err(fail)?;
    rows::require(tx, id)
}

/// Merges metadata and tags into a row and saves it.
pub(super) fn fill(
    tx: &Connection,
    mut stored: Stored,
    meta: &Meta,
    tags: &Tags,
) -> Result<Session, StoreError> {
    stored.session.meta.merge(meta.clone());
    stored.session.tags.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    check_tags(&stored.session.tags)?;
    stored.session.last_seen = stored.session.last_seen.max(Timestamp::now());
    rows::save(tx, &stored)?;
    rows::save_tags(tx, &stored, tags)?;
    Ok(stored.session)
}

pub(super) fn annotate(
    tx: &Connection,
    id: &SessionId,
    meta: &Meta,
    tags: &Tags,
) -> Result<Session, StoreError> {
    let stored = match rows::find(tx, id)? {
        Some(stored) => stored,
        None => insert(tx, id, Owner::Publisher)?,
    };
    fill(tx, stored, meta, tags)
}

pub(super) fn report(tx: &Connection, id: &SessionId, report: &Report) -> Result<Session, StoreError> {
    let mut stored = match rows::find(tx, id)? {
        Some(stored) => stored,
        None => insert(tx, id, Owner::Publisher)?,
    };
    course::reported(&mut stored.session, report)?;
    rows::save_state(tx, &stored)?;
    Ok(stored.session)
}

pub(super) fn give_up(
    tx: &Connection,
    before: Timestamp,
    except: &[SessionId],
) -> Result<Vec<SessionId>, StoreError> {
    let sql = "SELECT id FROM sessions WHERE status = 1 AND owner = ? AND last_seen < ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let silent = statement
        .query_map(params![rows::owner_number(Owner::Publisher), before.0], |row| row.get::<_, String>(0))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(fail)?;
    let mut lost = Vec::new();
    for id in silent.iter().filter_map(|id| SessionId::parse(id).ok()).filter(|id| !except.contains(id)) {
        let mut stored = rows::require(tx, &id)?;
        course::lost(&mut stored.session);
        rows::save_state(tx, &stored)?;
        lost.push(id);
    }
    Ok(lost)
}

pub(super) fn put_source(
    tx: &Connection,
    id: &SessionId,
    path: &str,
    masked: &str,
    sha256: &str,
) -> Result<(), StoreError> {
    let stored = rows::require(tx, id)?;
    let before: i64 = tx
        .prepare_cached(
            "SELECT ifnull(sum(length(CAST(masked AS BLOB))), 0) FROM sources WHERE session = ? AND path = ?",
        )
        .and_then(|mut statement| statement.query_row(params![stored.key, path], |row| row.get(0)))
        .map_err(fail)?;
    tx.prepare_cached(
        "INSERT INTO sources (session, path, sha256, masked) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET sha256 = excluded.sha256, masked = excluded.masked",
    )
    .and_then(|mut statement| statement.execute(params![stored.key, path, sha256, masked]))
    .map_err(fail)?;
    let size = i64::try_from(masked.len()).unwrap_or(i64::MAX);
    tx.prepare_cached("UPDATE sessions SET bytes = bytes + ? WHERE key = ?")
        .and_then(|mut statement| statement.execute(params![size - before, stored.key]))
        .map_err(fail)?;
    Ok(())
}

pub(super) fn pin(tx: &Connection, id: &SessionId, pin: Option<&Pin>) -> Result<Session, StoreError> {
    let mut stored = rows::require(tx, id)?;
    let none = Pin::default();
    let set = pin.unwrap_or(&none);
    tx.prepare_cached(
        "UPDATE sessions SET pin_at = ?, pin_until = ?, pin_reason = ?, pin_principal = ? WHERE key = ?",
    )
    .and_then(|mut statement| {
        statement.execute(params![set.at.0, set.until.0, set.reason, set.principal, stored.key])
    })
    .map_err(fail)?;
    stored.session.pin = pin.cloned();
    Ok(stored.session)
}
