//! Taking a session away at once. Its frames follow in slices, see `sweep`.

use super::{
    StoreError,
    rows::{self, MOVED, Stored, signed},
    writer::Tx,
};
use crate::session::{Owner, SessionId, Status, Timestamp};

/// Who a deletion is put down to that nobody asked for.
const NOBODY: &str = "retention";

pub(super) async fn delete(
    tx: &Tx,
    id: &SessionId,
    force: bool,
    principal: &str,
) -> Result<bool, StoreError> {
    let Some(stored) = rows::find(tx, id).await? else { return Ok(false) };
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
    remove(tx, &stored, principal, if force { "requested, by force" } else { "requested" }).await?;
    Ok(true)
}

/// Takes a session that retention does not keep; `false` when it may stay after all, because it was pinned, deleted or
/// went on since it was looked at.
pub(super) async fn condemn(tx: &Tx, id: &SessionId, epoch: u64, why: &str) -> Result<bool, StoreError> {
    let Some(stored) = rows::find(tx, id).await? else { return Ok(false) };
    let session = &stored.session;
    let same = session.epoch.0 == epoch && session.status != Status::Running;
    if !same || session.pin.is_some() || !session.damage.is_empty() {
        return Ok(false);
    }
    remove(tx, &stored, NOBODY, why).await?;
    Ok(true)
}

/// Its epoch is remembered for ever, so that none is given twice.
async fn remove(tx: &Tx, stored: &Stored, principal: &str, why: &str) -> Result<(), StoreError> {
    let session = &stored.session;
    let sql = format!(
        "INSERT INTO audit (at, session, epoch, head, status, principal, why, moved, mover)
         VALUES ($1, $2, $3, $4, $5, $6, $7, {MOVED}, $8)"
    );
    tx.link
        .execute(
            &sql,
            &[
                &Timestamp::now().0,
                &session.id.as_str(),
                &signed(session.epoch.0),
                &signed(session.head.0),
                &rows::status_number(session.status),
                &principal,
                &why,
                &tx.token,
            ],
        )
        .await?;
    for sql in [
        "INSERT INTO epochs (id, epoch) SELECT id, epoch FROM sessions WHERE key = $1
         ON CONFLICT (id) DO UPDATE SET epoch = greatest(epochs.epoch, excluded.epoch)",
        "INSERT INTO doomed (session) VALUES ($1)",
        "DELETE FROM tags WHERE session = $1",
        "DELETE FROM producers WHERE session = $1",
        "DELETE FROM sessions WHERE key = $1",
    ] {
        tx.link.execute(sql, &[&stored.key]).await?;
    }
    Ok(())
}
