//! Retention, and the slow half of every deletion.
//!
//! A session goes at once; its rows go in slices, each a write of its own, so that appends get in between. A crash
//! in the middle is picked up by the next sweep, because the list of what has to go is in the database. The space is
//! PostgreSQL's to give back: its vacuum uses it again, and cuts files whose end is empty.

use futures::FutureExt as _;

use super::{
    StoreError, remove,
    rows::{self, MOVED, signed},
    writer::{Tx, Writer},
};
use crate::{
    session::{Seq, SessionId},
    store::{Condemned, Pruned},
};

/// Frames of one slice.
const SLICE: u64 = 2000;

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
        let gone = writer.run(slice, |tx, slice| take(tx, slice).boxed()).await?;
        let ids: Vec<SessionId> = gone.iter().map(|condemned| condemned.session.id.clone()).collect();
        writer.say(&ids);
        done.freed += gone.iter().map(|condemned| condemned.bytes).sum::<u64>();
        done.condemned.extend(gone);
    }
    for trimmed in plan.trimmed {
        loop {
            let more = writer.run(trimmed.clone(), |tx, it| trim(tx, &it.id, it.to).boxed()).await?;
            writer.say(std::slice::from_ref(&trimmed.id));
            if !more {
                break;
            }
        }
        done.trimmed.push(trimmed);
    }
    Ok(done)
}

async fn take(tx: &Tx, slice: &[Condemned]) -> Result<Vec<Condemned>, StoreError> {
    let mut gone = Vec::new();
    for condemned in slice {
        let session = &condemned.session;
        if remove::condemn(tx, &session.id, session.epoch.0, &condemned.reason.to_string()).await? {
            gone.push(condemned.clone());
        }
    }
    Ok(gone)
}

/// Removes one slice of the oldest frames up to `to`; `false` when none of them is left. What is gone and where the
/// session now begins are one transaction, so no reader sees a hole.
async fn trim(tx: &Tx, id: &SessionId, to: Seq) -> Result<bool, StoreError> {
    let Some(stored) = rows::find(tx, id).await? else { return Ok(false) };
    let session = &stored.session;
    let last = to.0.min(session.first.0.saturating_add(SLICE) - 1);
    if session.pin.is_some() || last < session.first.0 || last > session.head.0 {
        return Ok(false);
    }
    let sql = format!(
        "WITH gone AS (DELETE FROM frames WHERE session = $1 AND seq <= $2 RETURNING octet_length(payload) AS size)
         UPDATE sessions SET first = $2 + 1, moved = {MOVED}, mover = $3,
           bytes = greatest(0, bytes - (SELECT coalesce(sum(size), 0) FROM gone)::bigint) WHERE key = $1"
    );
    tx.link.execute(&sql, &[&stored.key, &signed(last), &tx.token]).await?;
    Ok(last < to.0)
}

/// Removes the rows of sessions that are gone.
pub(super) async fn sweep(writer: &Writer) -> Result<(), StoreError> {
    while writer.run((), |tx, ()| slice(tx).boxed()).await? {}
    Ok(())
}

/// Removes one slice; `false` when nothing is left that no other agent is at.
async fn slice(tx: &Tx) -> Result<bool, StoreError> {
    let Some(row) = tx.link.row("SELECT session FROM doomed LIMIT 1 FOR UPDATE SKIP LOCKED", &[]).await?
    else {
        return Ok(false);
    };
    let key: i64 = row.get(0);
    let sql = "DELETE FROM frames WHERE session = $1 AND seq IN
                 (SELECT seq FROM frames WHERE session = $1 ORDER BY seq LIMIT $2)";
    let frames = tx.link.execute(sql, &[&key, &signed(SLICE)]).await?;
    if frames < SLICE {
        tx.link.execute("DELETE FROM sources WHERE session = $1", &[&key]).await?;
        tx.link.execute("DELETE FROM doomed WHERE session = $1", &[&key]).await?;
    }
    Ok(true)
}
