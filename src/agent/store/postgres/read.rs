//! Reading one session: its frames, its heading, its sources.

use tokio::try_join;
use tokio_postgres::Row;

use super::{
    Audit, Page, PageLimit, Stock, StoreError, StoredSource,
    errors::damaged,
    link::Link,
    rows::{self, signed, unsigned},
};
use crate::{
    session::{Cursor, Epoch, Seq, Session, SessionId, Timestamp},
    store::Heading,
};

pub(super) async fn session(link: &Link, id: &SessionId) -> Result<Option<Session>, StoreError> {
    Ok(rows::read(link, id).await?.map(|stored| stored.session))
}

/// What the database takes, and how many sessions are in each state.
pub(super) async fn stock(link: &Link) -> Result<Stock, StoreError> {
    let sql = "SELECT pg_database_size(current_database())";
    let bytes = unsigned(link.one(sql, &[]).await?.get(0));
    let found = link.rows("SELECT status, count(*) FROM sessions GROUP BY status", &[]).await?;
    let states = found.iter().map(|row| Ok((rows::status(row.get(0), "counted")?, unsigned(row.get(1)))));
    Ok(Stock { bytes, sessions: states.collect::<Result<_, StoreError>>()? })
}

pub(super) async fn last_counter(link: &Link, id: &SessionId, producer: &str) -> Result<u64, StoreError> {
    let sql = "SELECT counter FROM producers
               WHERE producer = $1 AND session = (SELECT key FROM sessions WHERE id = $2)";
    let found = link.row(sql, &[&producer, &id.as_str()]).await?;
    Ok(found.map_or(0, |row| unsigned(row.get(0))))
}

/// The sizes are added up by the server, so that a page of large frames is not sent whole and then cut.
const FRAMES: &str = "SELECT seq, at, producer, payload FROM (
       SELECT seq, at, producer, payload, sum(octet_length(payload)) OVER (ORDER BY seq) - octet_length(payload) AS before
       FROM (SELECT seq, at, producer, payload FROM frames
             WHERE session = (SELECT key FROM sessions WHERE id = $1) AND seq > $2 ORDER BY seq LIMIT $3) AS next
     ) AS summed WHERE before < $4 ORDER BY seq";

const HEAD: &str =
    "SELECT only_epoch, epoch, first, head, status, exit_code, message FROM sessions WHERE id = $1";

pub(super) async fn page(
    link: &Link,
    id: &SessionId,
    after: Cursor,
    limit: PageLimit,
) -> Result<Page, StoreError> {
    // Prepared before: what is not known yet must not get between the statements of the snapshot.
    try_join!(biased; link.statement(HEAD), link.statement(FRAMES))?;
    let most = i64::try_from(limit.frames.max(1)).unwrap_or(i64::MAX);
    let bytes = i64::try_from(limit.bytes.max(1)).unwrap_or(i64::MAX);
    let values: [&super::link::Value<'_>; 4] = [&id.as_str(), &signed(after.seq.0), &most, &bytes];
    // All four go out at once: one snapshot costs one way there and back.
    let (_, head, found, _) = tokio::join!(biased;
        link.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        link.row(HEAD, &values[..1]),
        link.rows(FRAMES, &values),
        link.batch("COMMIT"),
    );
    let (only_epoch, heading) =
        head?.map_or_else(|| Err(StoreError::NotFound(id.clone())), |row| headed(&row, id))?;
    let own = after.epoch == heading.epoch || (after.epoch == Epoch(0) && (only_epoch || after.seq.0 == 0));
    if !own || after.seq > heading.head {
        return Ok(Page::Foreign(heading));
    }
    let frames = found?.iter().map(|row| rows::frame(row, id, heading.epoch)).collect::<Result<_, _>>()?;
    Ok(Page::Frames(heading, frames))
}

/// What a follower has to know of a session, and no more: every wake of every follower reads it.
fn headed(row: &Row, id: &SessionId) -> Result<(bool, Heading), StoreError> {
    let heading = Heading {
        epoch: Epoch(unsigned(row.get(1))),
        first: Seq(unsigned(row.get(2))),
        head: Seq(unsigned(row.get(3))),
        status: rows::status(row.get(4), id.as_str())?,
        exit_code: row.get(5),
        message: row.get(6),
    };
    Ok((row.get(0), heading))
}

pub(super) async fn source(
    link: &Link,
    id: &SessionId,
    path: &str,
) -> Result<Option<StoredSource>, StoreError> {
    let stored = rows::read(link, id).await?.ok_or_else(|| StoreError::NotFound(id.clone()))?;
    let sql = "SELECT masked, sha256 FROM sources WHERE session = $1 AND path = $2";
    let Some(row) = link.row(sql, &[&stored.key, &path]).await? else { return Ok(None) };
    let masked = String::from_utf8(row.get(0));
    let masked = masked.map_err(|error| damaged(format!("source {path} of session {id}"), error))?;
    Ok(Some(StoredSource { masked, sha256: row.get(1) }))
}

pub(super) async fn audit(link: &Link, limit: usize) -> Result<Vec<Audit>, StoreError> {
    let sql =
        "SELECT session, at, epoch, head, status, principal, why FROM audit ORDER BY number DESC LIMIT $1";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    link.rows(sql, &[&limit]).await?.iter().map(audited).collect()
}

fn audited(row: &Row) -> Result<Audit, StoreError> {
    let id: String = row.get(0);
    Ok(Audit {
        id: SessionId::parse(&id).map_err(|error| damaged(format!("the audit of session {id}"), error))?,
        at: Timestamp(row.get(1)),
        epoch: Epoch(unsigned(row.get(2))),
        head: Seq(unsigned(row.get(3))),
        status: rows::status(row.get(4), &id)?,
        principal: row.get(5),
        why: row.get(6),
    })
}
