//! Rows to sessions and back.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{StoreError, block::Packed, errors::fail};
use crate::{
    frame::Payload,
    session::{
        Epoch, Meta, Owner, Pin, Repository, RequestRecord, Seq, Session, SessionId, Status, Tags, Timestamp,
    },
};

/// The columns that [`session`] reads.
pub(super) const SESSION: &str = "key, id, epoch, first, head, status, exit_code, message, created, last_seen, \
     completed, owner, request_digest, request_canonical, command, args, requester, cluster, context, namespace, \
     release, chart, principal, workspace, agent, repo_remote, repo_commit, repo_branch, repo_dirty, versions, \
     pin_at, pin_until, pin_reason, pin_principal, damage, bytes, claimed";

/// How many those are.
pub(super) const COLUMNS: usize = 37;

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
    let id = text(row, 1)?;
    let damaged = |why: String| StoreError::Damaged { store: format!("session {id}"), why };
    let owner = number(row, 11)?;
    let request = match (row.get(12).map_err(fail)?, row.get(13).map_err(fail)?) {
        (Some(digest), Some(canonical)) => Some(RequestRecord { digest, canonical }),
        _ => None,
    };
    let session = Session {
        id: SessionId::parse(&id).map_err(|error| damaged(error.to_string()))?,
        epoch: Epoch(unsigned(row, 2)?),
        first: Seq(unsigned(row, 3)?),
        head: Seq(unsigned(row, 4)?),
        status: status(row, 5, &id)?,
        exit_code: row.get(6).map_err(fail)?,
        message: text(row, 7)?,
        created: Timestamp(number(row, 8)?),
        last_seen: Timestamp(number(row, 9)?),
        completed: Timestamp(number(row, 10)?),
        owner: owner_of(owner).ok_or_else(|| damaged(format!("owner {owner} means nothing")))?,
        request,
        meta: meta(row, &damaged)?,
        tags: Tags::new(),
        pin: pin(row)?,
        damage: text(row, 34)?,
        bytes: unsigned(row, 35)?,
        claimed: Timestamp(number(row, 36)?),
    };
    Ok(Stored { key: number(row, 0)?, session })
}

fn meta(row: &Row<'_>, damaged: &impl Fn(String) -> StoreError) -> Result<Meta, StoreError> {
    let json = |at: usize, error: serde_json::Error| damaged(format!("column {at}: {error}"));
    Ok(Meta {
        command: text(row, 14)?,
        args: serde_json::from_str(&text(row, 15)?).map_err(|error| json(15, error))?,
        requester: text(row, 16)?,
        cluster: text(row, 17)?,
        context: text(row, 18)?,
        namespace: text(row, 19)?,
        release: text(row, 20)?,
        chart: text(row, 21)?,
        principal: text(row, 22)?,
        workspace: text(row, 23)?,
        agent: text(row, 24)?,
        repository: Repository {
            remote: text(row, 25)?,
            commit: text(row, 26)?,
            branch: text(row, 27)?,
            dirty: number(row, 28)? != 0,
        },
        versions: serde_json::from_str(&text(row, 29)?).map_err(|error| json(29, error))?,
    })
}

fn pin(row: &Row<'_>) -> Result<Option<Pin>, StoreError> {
    let pin = Pin {
        at: Timestamp(number(row, 30)?),
        until: Timestamp(number(row, 31)?),
        reason: text(row, 32)?,
        principal: text(row, 33)?,
    };
    Ok((pin.at.0 > 0 && pin.holds(Timestamp::now())).then_some(pin))
}

/// A frame from `seq, at, producer, payload, counter, sum`.
pub(super) fn packed(row: &Row<'_>) -> Result<Packed, StoreError> {
    let counter: Option<i64> = row.get(4).map_err(fail)?;
    Ok(Packed {
        seq: unsigned(row, 0)?,
        at: number(row, 1)?,
        producer: text(row, 2)?,
        counter: counter.map(i64::unsigned_abs),
        payload: row.get_ref(3).map_err(fail)?.as_blob().unwrap_or_default().to_vec(),
    })
}

/// Whether a row of [`packed`] has the checksum that it was written with.
pub(super) fn is_sound(row: &Row<'_>, frame: &Packed) -> Result<bool, StoreError> {
    let sum: Option<i64> = row.get(5).map_err(fail)?;
    Ok(sum.is_none_or(|sum| sum == i64::from(checksum(frame.seq, frame.at, &frame.payload))))
}

/// Checks a frame and that it is in its place.
pub(super) fn checksum(seq: u64, at: i64, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&seq.to_le_bytes());
    sum.update(&at.to_le_bytes());
    sum.update(payload);
    sum.finalize()
}

/// What a stored payload says.
pub(super) fn payload(bytes: &[u8]) -> Option<Payload> {
    ktl_proto::control::v1::Frame::decode(bytes).ok()?.payload
}

/// Writes what a session is about and its state.
pub(super) fn save(tx: &Connection, stored: &Stored) -> Result<(), StoreError> {
    let session = &stored.session;
    let meta = &session.meta;
    let request = session.request.as_ref();
    tx.prepare_cached(
        "UPDATE sessions SET owner = ?, request_digest = ?, request_canonical = ?, command = ?, args = ?,
           requester = ?, cluster = ?, context = ?, namespace = ?, release = ?, chart = ?, principal = ?,
           workspace = ?, agent = ?, repo_remote = ?, repo_commit = ?, repo_branch = ?, repo_dirty = ?,
           versions = ? WHERE key = ?",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            owner_number(session.owner),
            request.map(|request| &request.digest),
            request.map(|request| &request.canonical),
            meta.command,
            serde_json::to_string(&meta.args).unwrap_or_else(|_| "[]".into()),
            meta.requester,
            meta.cluster,
            meta.context,
            meta.namespace,
            meta.release,
            meta.chart,
            meta.principal,
            meta.workspace,
            meta.agent,
            meta.repository.remote,
            meta.repository.commit,
            meta.repository.branch,
            meta.repository.dirty,
            serde_json::to_string(&meta.versions).unwrap_or_else(|_| "{}".into()),
            stored.key,
        ])
    })
    .map_err(fail)?;
    save_state(tx, stored)
}

/// Writes how far a session is and its state. Every append does, so what it is about is left alone.
pub(super) fn save_state(tx: &Connection, stored: &Stored) -> Result<(), StoreError> {
    let session = &stored.session;
    tx.prepare_cached(
        "UPDATE sessions SET head = ?, bytes = ?, last_seen = ?, status = ?, exit_code = ?, message = ?,
           completed = ?, claimed = ? WHERE key = ?",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            signed(session.head.0),
            signed(session.bytes),
            session.last_seen.0,
            status_number(session.status),
            session.exit_code,
            session.message,
            session.completed.0,
            session.claimed.0,
            stored.key,
        ])
    })
    .map_err(fail)?;
    if session.tags.is_empty() {
        return Ok(());
    }
    tx.prepare_cached("UPDATE tags SET last_seen = ? WHERE session = ?")
        .and_then(|mut statement| statement.execute(params![session.last_seen.0, stored.key]))
        .map_err(fail)?;
    Ok(())
}

/// Sets tags; others stay.
pub(super) fn save_tags(tx: &Connection, stored: &Stored, tags: &Tags) -> Result<(), StoreError> {
    let sql = "INSERT INTO tags (session, key, value, last_seen) VALUES (?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET value = excluded.value";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    for (name, value) in tags {
        statement.execute(params![stored.key, name, value, stored.session.last_seen.0]).map_err(fail)?;
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

fn text(row: &Row<'_>, at: usize) -> Result<String, StoreError> {
    row.get(at).map_err(fail)
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
