//! What changes a session besides its frames, each a function inside a transaction that the writer commits.

use super::{
    Created, NewSession, Report, StoreError, check_tags,
    rows::{self, MOVED, Stored, unsigned},
    writer::Tx,
};
use crate::session::{Meta, Owner, Pin, Session, SessionId, Status, Tags, Timestamp};
use crate::store::course;

pub(super) async fn create(tx: &Tx, new: &NewSession) -> Result<Created, StoreError> {
    let (mut stored, made) = find_or_insert(tx, &new.id, new.owner).await?;
    if !made && (!stored.session.is_bare() || new.owner == Owner::Publisher) {
        return Ok(Created::Known(stored.session));
    }
    stored.session.owner = new.owner;
    stored.holder = tx.token;
    stored.session.request = new.request.as_ref().map(|request| request.get().clone());
    Ok(Created::New(fill(tx, stored, new.meta.get(), new.tags.get()).await?))
}

/// The session, and whether it was made now. Another agent may make the same id at the same moment: then it is there.
async fn find_or_insert(tx: &Tx, id: &SessionId, owner: Owner) -> Result<(Stored, bool), StoreError> {
    if let Some(stored) = rows::find(tx, id).await? {
        return Ok((stored, false));
    }
    let made = insert(tx, id, owner).await?;
    Ok((rows::require(tx, id).await?, made))
}

/// A fresh row in an epoch above every earlier one of this id; `false` when another agent was faster.
async fn insert(tx: &Tx, id: &SessionId, owner: Owner) -> Result<bool, StoreError> {
    let earlier = tx.link.row("SELECT epoch FROM epochs WHERE id = $1", &[&id.as_str()]).await?;
    let earlier: Option<i64> = earlier.map(|row| row.get(0));
    let now = Timestamp::now().0;
    // Milliseconds, so that two stores with a common past do not count the same epoch for different histories;
    // the earlier epoch wins over a clock that was set back.
    let epoch = (now / 1_000_000).max(earlier.unwrap_or(0) + 1);
    let sql = format!(
        "INSERT INTO sessions (id, epoch, only_epoch, created, last_seen, owner, holder, moved, mover)
         VALUES ($1, $2, $3, $4, $4, $5, $6, {MOVED}, $6) ON CONFLICT (id) DO NOTHING"
    );
    let owner = rows::owner_number(owner);
    let made =
        tx.link.execute(&sql, &[&id.as_str(), &epoch, &earlier.is_none(), &now, &owner, &tx.token]).await?;
    Ok(made > 0)
}

/// Merges metadata and tags into a row and saves it.
async fn fill(tx: &Tx, mut stored: Stored, meta: &Meta, tags: &Tags) -> Result<Session, StoreError> {
    stored.session.meta.merge(meta.clone());
    stored.session.tags.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    check_tags(&stored.session.tags)?;
    stored.session.last_seen = stored.session.last_seen.max(Timestamp::now());
    rows::save(tx, &stored).await?;
    rows::save_tags(tx, &stored, tags).await?;
    Ok(stored.session)
}

pub(super) async fn annotate(
    tx: &Tx,
    id: &SessionId,
    meta: &Meta,
    tags: &Tags,
) -> Result<Session, StoreError> {
    let (stored, _) = find_or_insert(tx, id, Owner::Publisher).await?;
    fill(tx, stored, meta, tags).await
}

pub(super) async fn report(tx: &Tx, id: &SessionId, report: &Report) -> Result<Session, StoreError> {
    let (mut stored, _) = find_or_insert(tx, id, Owner::Publisher).await?;
    course::reported(&mut stored.session, report)?;
    rows::save_state(tx, &stored).await?;
    Ok(stored.session)
}

/// Only sessions that this agent holds, or nobody: the others know best who is connected to them.
pub(super) async fn give_up(
    tx: &Tx,
    before: Timestamp,
    except: &[SessionId],
) -> Result<Vec<SessionId>, StoreError> {
    let except: Vec<&str> = except.iter().map(SessionId::as_str).collect();
    let sql = "SELECT id FROM sessions WHERE status = 1 AND owner = $1 AND last_seen < $2 AND id <> ALL ($3)
                 AND (holder = $4 OR holder IN (SELECT token FROM agents WHERE ended)
                   OR NOT EXISTS (SELECT 1 FROM agents WHERE token = holder))";
    let owner = rows::owner_number(Owner::Publisher);
    let silent = tx.link.rows(sql, &[&owner, &before.0, &except, &tx.token]).await?;
    let mut lost = Vec::new();
    for id in silent.iter().filter_map(|row| SessionId::parse(row.get(0)).ok()) {
        let Some(mut stored) = rows::find(tx, &id).await? else { continue };
        // It may have spoken again before it was locked.
        if stored.session.status != Status::Running || stored.session.last_seen >= before {
            continue;
        }
        lose(tx, &mut stored).await?;
        lost.push(id);
    }
    Ok(lost)
}

/// Ends a session of which nobody says any more how it went.
pub(super) async fn lose(tx: &Tx, stored: &mut Stored) -> Result<(), StoreError> {
    course::lost(&mut stored.session);
    rows::save_state(tx, stored).await
}

pub(super) async fn put_source(
    tx: &Tx,
    id: &SessionId,
    path: &str,
    masked: &str,
    sha256: &str,
) -> Result<(), StoreError> {
    let stored = rows::require(tx, id).await?;
    let sql = "SELECT octet_length(masked)::bigint FROM sources WHERE session = $1 AND path = $2";
    let before = tx.link.row(sql, &[&stored.key, &path]).await?.map_or(0, |row| unsigned(row.get(0)));
    let sql = "INSERT INTO sources (session, path, sha256, masked) VALUES ($1, $2, $3, $4)
               ON CONFLICT (session, path) DO UPDATE SET sha256 = excluded.sha256, masked = excluded.masked";
    tx.link.execute(sql, &[&stored.key, &path, &sha256, &masked.as_bytes()]).await?;
    let size = i64::try_from(masked.len()).unwrap_or(i64::MAX) - rows::signed(before);
    tx.link.execute("UPDATE sessions SET bytes = bytes + $2 WHERE key = $1", &[&stored.key, &size]).await?;
    Ok(())
}

pub(super) async fn pin(tx: &Tx, id: &SessionId, pin: Option<&Pin>) -> Result<Session, StoreError> {
    let mut stored = rows::require(tx, id).await?;
    let none = Pin::default();
    let set = pin.unwrap_or(&none);
    let sql =
        "UPDATE sessions SET pin_at = $2, pin_until = $3, pin_reason = $4, pin_principal = $5 WHERE key = $1";
    tx.link.execute(sql, &[&stored.key, &set.at.0, &set.until.0, &set.reason, &set.principal]).await?;
    stored.session.pin = pin.cloned();
    Ok(stored.session)
}
