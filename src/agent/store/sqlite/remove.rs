//! Taking a session away at once. Its frames follow in slices, see `sweep`.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    errors::fail,
    rows::{self, Stored, signed},
};
use crate::session::{Owner, SessionId, Status, Timestamp};

/// Who a deletion is put down to that nobody asked for.
const NOBODY: &str = "retention";

pub(super) fn delete(
    tx: &Connection,
    id: &SessionId,
    force: bool,
    principal: &str,
) -> Result<bool, StoreError> {
    let Some(stored) = rows::find(tx, id)? else { return Ok(false) };
    let session = &stored.session;
    if !force {
        if !session.status.is_terminal() && session.owner == Owner::Agent {
            let why = format!("session {id} is running: cancel it first, or force the deletion");
            return Err(StoreError::Busy(why));
        }
        if let Some(pin) = &session.pin {
            return Err(StoreError::Pinned { id: id.clone(), reason: pin.reason.clone() });
        }
    }
    remove(tx, &stored, principal, if force { "requested, by force" } else { "requested" })?;
    Ok(true)
}

/// Takes a session that retention does not keep; `false` when it may stay after all, because it was pinned, deleted or
/// went on since it was looked at.
pub(super) fn condemn(tx: &Connection, id: &SessionId, epoch: u64, why: &str) -> Result<bool, StoreError> {
    let Some(stored) = rows::find(tx, id)? else { return Ok(false) };
    let session = &stored.session;
    let same = session.epoch.0 == epoch && session.status != Status::Running;
    if !same || session.pin.is_some() || !session.damage.is_empty() {
        return Ok(false);
    }
    remove(tx, &stored, NOBODY, why)?;
    Ok(true)
}

/// Its epoch is remembered for ever, so that none is given twice.
pub(super) fn remove(tx: &Connection, stored: &Stored, principal: &str, why: &str) -> Result<(), StoreError> {
    let session = &stored.session;
    tx.prepare_cached(
        "INSERT INTO audit (at, session, epoch, head, status, principal, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            Timestamp::now().0,
            session.id.as_str(),
            signed(session.epoch.0),
            signed(session.head.0),
            rows::status_number(session.status),
            principal,
            why,
        ])
    })
    .map_err(fail)?;
    for sql in [
        "INSERT INTO epochs (id, epoch) SELECT id, epoch FROM sessions WHERE key = ?
         ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)",
        "INSERT INTO doomed (session) VALUES (?)",
        "DELETE FROM tags WHERE session = ?",
        "DELETE FROM producers WHERE session = ?",
        "DELETE FROM sessions WHERE key = ?",
    ] {
        tx.prepare_cached(sql).and_then(|mut statement| statement.execute([stored.key])).map_err(fail)?;
    }
    Ok(())
}
