//! Rows to sessions and back, and SQLite's errors to ours.

use prost::Message as _;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use super::StoreError;
use crate::{
    frame::{Frame, Payload},
    session::{Epoch, Meta, Owner, RequestRecord, Seq, Session, SessionId, Status, Tags, Timestamp},
};

/// The columns that [`session`] reads.
pub(super) const SESSION: &str = "key, id, epoch, first, head, status, exit_code, message, created, last_seen, \
     completed, owner, request_digest, request_canonical, command, args, requester, cluster, context, namespace, \
     release, chart, principal, workspace";

/// A session row with its key.
pub(super) struct Stored {
    pub(super) key: i64,
    pub(super) session: Session,
}

/// One session by its id, with its tags.
pub(super) fn find(tx: &Connection, id: &SessionId) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT {SESSION} FROM sessions WHERE id = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(fail)?;
    let row = statement.query_row([id.as_str()], |row| Ok(session(row))).optional().map_err(fail)?;
    let Some(row) = row else { return Ok(None) };
    let mut stored = row?;
    stored.session.tags = tags(tx, stored.key)?;
    Ok(Some(stored))
}

/// One session by its id, which must be there.
pub(super) fn require(tx: &Connection, id: &SessionId) -> Result<Stored, StoreError> {
    find(tx, id)?.ok_or_else(|| StoreError::NotFound(id.clone()))
}

/// The tags of a session.
pub(super) fn tags(tx: &Connection, key: i64) -> Result<Tags, StoreError> {
    let mut statement = tx.prepare_cached("SELECT key, value FROM tags WHERE session = ?").map_err(fail)?;
    let rows = statement.query_map([key], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fail)?;
    rows.collect::<Result<Tags, _>>().map_err(fail)
}

/// A row of [`SESSION`], without tags.
pub(super) fn session(row: &Row<'_>) -> Result<Stored, StoreError> {
    let id: String = row.get(1).map_err(fail)?;
    let damaged = |why: String| StoreError::Damaged { store: format!("session {id}"), why };
    let parsed = SessionId::parse(&id).map_err(|error| damaged(error.to_string()))?;
    let owner = number(row, 11)?;
    let args: String = row.get(15).map_err(fail)?;
    let request = match (row.get(12).map_err(fail)?, row.get(13).map_err(fail)?) {
        (Some(digest), Some(canonical)) => Some(RequestRecord { digest, canonical }),
        _ => None,
    };
    let text = |at: usize| row.get::<_, String>(at).map_err(fail);
    let session = Session {
        id: parsed,
        epoch: Epoch(unsigned(row, 2)?),
        first: Seq(unsigned(row, 3)?),
        head: Seq(unsigned(row, 4)?),
        status: status(row, 5, &id)?,
        exit_code: row.get(6).map_err(fail)?,
        message: text(7)?,
        created: Timestamp(number(row, 8)?),
        last_seen: Timestamp(number(row, 9)?),
        completed: Timestamp(number(row, 10)?),
        owner: owner_of(owner).ok_or_else(|| damaged(format!("owner {owner} means nothing")))?,
        request,
        meta: Meta {
            command: text(14)?,
            args: serde_json::from_str(&args).map_err(|error| damaged(format!("args: {error}")))?,
            requester: text(16)?,
            cluster: text(17)?,
            context: text(18)?,
            namespace: text(19)?,
            release: text(20)?,
            chart: text(21)?,
            principal: text(22)?,
            workspace: text(23)?,
        },
        tags: Tags::new(),
    };
    Ok(Stored { key: number(row, 0)?, session })
}

/// A frame from `seq, at, producer, payload`, and its size.
pub(super) fn frame(row: &Row<'_>, id: &SessionId, epoch: Epoch) -> Result<(Frame, usize), StoreError> {
    let seq = Seq(unsigned(row, 0)?);
    let blob = row.get_ref(3).map_err(fail)?;
    let damaged =
        |why: &str| StoreError::Damaged { store: format!("frame {seq} of session {id}"), why: why.into() };
    let bytes = blob.as_blob().map_err(|_| damaged("its payload is no blob"))?;
    let payload = payload(bytes).ok_or_else(|| damaged("its payload does not decode"))?;
    let frame =
        Frame { epoch, seq, at: Timestamp(number(row, 1)?), producer: row.get(2).map_err(fail)?, payload };
    Ok((frame, bytes.len()))
}

fn payload(bytes: &[u8]) -> Option<Payload> {
    ktl_proto::control::v1::Frame::decode(bytes).ok()?.payload
}

/// Writes everything of a session that can change, but for its tags.
pub(super) fn save(tx: &Connection, stored: &Stored) -> Result<(), StoreError> {
    let session = &stored.session;
    let meta = &session.meta;
    let request = session.request.as_ref();
    let args = serde_json::to_string(&meta.args).unwrap_or_else(|_| "[]".into());
    tx.prepare_cached(
        "UPDATE sessions SET status = ?, exit_code = ?, message = ?, last_seen = ?, completed = ?, owner = ?,
           request_digest = ?, request_canonical = ?, command = ?, args = ?, requester = ?, cluster = ?,
           context = ?, namespace = ?, release = ?, chart = ?, principal = ?, workspace = ? WHERE key = ?",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            status_number(session.status),
            session.exit_code,
            session.message,
            session.last_seen.0,
            session.completed.0,
            owner_number(session.owner),
            request.map(|request| &request.digest),
            request.map(|request| &request.canonical),
            meta.command,
            args,
            meta.requester,
            meta.cluster,
            meta.context,
            meta.namespace,
            meta.release,
            meta.chart,
            meta.principal,
            meta.workspace,
            stored.key,
        ])
    })
    .map_err(fail)?;
    Ok(())
}

/// Sets tags; others stay.
pub(super) fn save_tags(tx: &Connection, key: i64, tags: &Tags) -> Result<(), StoreError> {
    let sql = "INSERT INTO tags (session, key, value) VALUES (?, ?, ?)
               ON CONFLICT DO UPDATE SET value = excluded.value";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    for (name, value) in tags {
        statement.execute(params![key, name, value]).map_err(fail)?;
    }
    Ok(())
}

pub(super) fn status_number(status: Status) -> i64 {
    match status {
        Status::Running => 1,
        Status::Done => 2,
        Status::Error => 3,
        Status::Cancelled => 4,
        Status::Lost => 5,
    }
}

/// The state in a column of the session `id`.
pub(super) fn status(row: &Row<'_>, at: usize, id: &str) -> Result<Status, StoreError> {
    let found = number(row, at)?;
    let why = || format!("status {found} means nothing");
    let status = Status::ALL.into_iter().find(|status| status_number(*status) == found);
    status.ok_or_else(|| StoreError::Damaged { store: format!("session {id}"), why: why() })
}

pub(super) fn owner_number(owner: Owner) -> i64 {
    match owner {
        Owner::Agent => 1,
        Owner::Publisher => 2,
    }
}

fn owner_of(number: i64) -> Option<Owner> {
    [Owner::Agent, Owner::Publisher].into_iter().find(|owner| owner_number(*owner) == number)
}

fn number(row: &Row<'_>, at: usize) -> Result<i64, StoreError> {
    row.get(at).map_err(fail)
}

/// SQLite's integers are signed; ours that count never are.
pub(super) fn unsigned(row: &Row<'_>, at: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(number(row, at)?).unwrap_or(0))
}

/// A number that SQLite can hold. Nothing that counts frames or milliseconds comes near the end of it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An error of SQLite inside a transaction.
#[allow(clippy::needless_pass_by_value)] // Shaped for `map_err`.
pub(super) fn fail(error: rusqlite::Error) -> StoreError {
    failed("the session store", error)
}

/// An error of SQLite in our words. This is the only place that reads its codes.
#[allow(clippy::needless_pass_by_value)] // Shaped for `map_err`.
pub(super) fn failed(store: &str, error: rusqlite::Error) -> StoreError {
    let store = store.to_owned();
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(store),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly { store, why }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged { store, why },
        _ => StoreError::Failed { store, why },
    }
}

impl StoreError {
    /// The same failure of a whole group, for the next of its writes.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full(store) => Self::Full(store.clone()),
            Self::ReadOnly { store, why } => Self::ReadOnly { store: store.clone(), why: why.clone() },
            Self::Damaged { store, why } => Self::Damaged { store: store.clone(), why: why.clone() },
            other => Self::Failed { store: "the session store".into(), why: other.to_string() },
        }
    }
}
