//! Rows to sessions and back.

use prost::Message as _;
use tokio_postgres::Row;

use super::{
    StoreError,
    errors::{STORE, damaged},
    link::Link,
    writer::Tx,
};
use crate::{
    frame::{Frame, Payload},
    session::{
        Epoch, Meta, Owner, Pin, Repository, RequestRecord, Seq, Session, SessionId, Status, Tags, Timestamp,
    },
};

/// The columns that [`session`] reads. Tags come as one JSON object.
pub(super) const SESSION: &str = "sessions.key, id, epoch, first, head, status, exit_code, message, created, \
     sessions.last_seen, completed, claimed, owner, request_digest, request_canonical, command, args, requester, \
     cluster, context, namespace, release, chart, principal, workspace, agent, repo_remote, repo_commit, repo_branch, \
     repo_dirty, versions, pin_at, pin_until, pin_reason, pin_principal, damage, bytes, holder, \
     (SELECT json_object_agg(own.key, own.value)::text FROM tags AS own WHERE own.session = sessions.key)";

/// The number of the transaction, as sessions and audit keep it.
pub(super) const MOVED: &str = "(pg_current_xact_id()::text)::bigint";

/// A session row with what only the store knows of it.
pub(super) struct Stored {
    pub(super) key: i64,
    /// The token of the agent that writes it.
    pub(super) holder: i64,
    pub(super) session: Session,
}

/// One session by its id, as it is now.
pub(super) async fn read(link: &Link, id: &SessionId) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT {SESSION} FROM sessions WHERE id = $1");
    link.row(&sql, &[&id.as_str()]).await?.as_ref().map(session).transpose()
}

/// One session by its id; nobody else changes it until the transaction ends.
pub(super) async fn find(tx: &Tx, id: &SessionId) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT {SESSION} FROM sessions WHERE id = $1 FOR UPDATE");
    tx.link.row(&sql, &[&id.as_str()]).await?.as_ref().map(session).transpose()
}

/// As [`find`], of a session that must be there.
pub(super) async fn require(tx: &Tx, id: &SessionId) -> Result<Stored, StoreError> {
    find(tx, id).await?.ok_or_else(|| StoreError::NotFound(id.clone()))
}

/// A row of [`SESSION`].
pub(super) fn session(row: &Row) -> Result<Stored, StoreError> {
    let id: String = row.get(1);
    let what = || format!("session {id}");
    let request = match (row.get(13), row.get(14)) {
        (Some(digest), Some(canonical)) => Some(RequestRecord { digest, canonical }),
        _ => None,
    };
    let tags: Option<String> = row.get(38);
    let session = Session {
        id: SessionId::parse(&id).map_err(|error| damaged(what(), error))?,
        epoch: Epoch(unsigned(row.get(2))),
        first: Seq(unsigned(row.get(3))),
        head: Seq(unsigned(row.get(4))),
        status: status(row.get(5), &id)?,
        exit_code: row.get(6),
        message: row.get(7),
        created: Timestamp(row.get(8)),
        last_seen: Timestamp(row.get(9)),
        completed: Timestamp(row.get(10)),
        claimed: Timestamp(row.get(11)),
        owner: owner(row.get(12)).ok_or_else(|| damaged(what(), "its owner means nothing"))?,
        request,
        meta: meta(row).map_err(|error| damaged(what(), error))?,
        tags: tags
            .map_or(Ok(Tags::new()), |json| serde_json::from_str(&json))
            .map_err(|error| damaged(what(), error))?,
        pin: pin(row),
        damage: row.get(35),
        bytes: unsigned(row.get(36)),
    };
    Ok(Stored { key: row.get(0), holder: row.get(37), session })
}

fn meta(row: &Row) -> Result<Meta, serde_json::Error> {
    Ok(Meta {
        command: row.get(15),
        args: serde_json::from_str(row.get(16))?,
        requester: row.get(17),
        cluster: row.get(18),
        context: row.get(19),
        namespace: row.get(20),
        release: row.get(21),
        chart: row.get(22),
        principal: row.get(23),
        workspace: row.get(24),
        agent: row.get(25),
        repository: Repository {
            remote: row.get(26),
            commit: row.get(27),
            branch: row.get(28),
            dirty: row.get(29),
        },
        versions: serde_json::from_str(row.get(30))?,
    })
}

fn pin(row: &Row) -> Option<Pin> {
    let pin = Pin {
        at: Timestamp(row.get(31)),
        until: Timestamp(row.get(32)),
        reason: row.get(33),
        principal: row.get(34),
    };
    (pin.at.0 > 0 && pin.holds(Timestamp::now())).then_some(pin)
}

/// A frame from `seq, at, producer, payload`.
pub(super) fn frame(row: &Row, id: &SessionId, epoch: Epoch) -> Result<Frame, StoreError> {
    let seq = Seq(unsigned(row.get(0)));
    let unreadable = || damaged(format!("frame {seq} of session {id}"), "its payload does not decode");
    let payload = payload(row.get(3)).ok_or_else(unreadable)?;
    Ok(Frame { epoch, seq, at: Timestamp(row.get(1)), producer: row.get(2), payload })
}

fn payload(bytes: &[u8]) -> Option<Payload> {
    ktl_proto::control::v1::Frame::decode(bytes).ok()?.payload
}

/// Writes what a session is about and its state.
pub(super) async fn save(tx: &Tx, stored: &Stored) -> Result<(), StoreError> {
    let session = &stored.session;
    let meta = &session.meta;
    let request = session.request.as_ref();
    if meta.args.iter().chain(meta.versions.values()).any(|text| text.contains('\0')) {
        // JSON has a way to write it, which PostgreSQL cannot read again.
        return Err(StoreError::Invalid(format!("metadata holds a NUL character that {STORE} cannot keep")));
    }
    let args = serde_json::to_string(&meta.args).unwrap_or_else(|_| "[]".into());
    let versions = serde_json::to_string(&meta.versions).unwrap_or_else(|_| "{}".into());
    tx.link
        .execute(
            "UPDATE sessions SET owner = $2, request_digest = $3, request_canonical = $4, command = $5, args = $6,
               requester = $7, cluster = $8, context = $9, namespace = $10, release = $11, chart = $12,
               principal = $13, workspace = $14, agent = $15, repo_remote = $16, repo_commit = $17,
               repo_branch = $18, repo_dirty = $19, versions = $20 WHERE key = $1",
            &[
                &stored.key,
                &owner_number(session.owner),
                &request.map(|request| &request.digest),
                &request.map(|request| &request.canonical),
                &meta.command,
                &args,
                &meta.requester,
                &meta.cluster,
                &meta.context,
                &meta.namespace,
                &meta.release,
                &meta.chart,
                &meta.principal,
                &meta.workspace,
                &meta.agent,
                &meta.repository.remote,
                &meta.repository.commit,
                &meta.repository.branch,
                &meta.repository.dirty,
                &versions,
            ],
        )
        .await?;
    save_state(tx, stored).await
}

/// Writes how far a session is and its state. Every append does, so what it is about is left alone.
pub(super) async fn save_state(tx: &Tx, stored: &Stored) -> Result<(), StoreError> {
    let session = &stored.session;
    let sql = format!(
        "UPDATE sessions SET head = $2, bytes = $3, last_seen = $4, status = $5, exit_code = $6, message = $7,
           completed = $8, claimed = $9, holder = $10, moved = {MOVED}, mover = $11 WHERE key = $1"
    );
    tx.link
        .execute(
            &sql,
            &[
                &stored.key,
                &signed(session.head.0),
                &signed(session.bytes),
                &session.last_seen.0,
                &status_number(session.status),
                &session.exit_code,
                // What a program said at its end may hold anything; the end must be stored all the same.
                &session.message.replace('\0', "\u{FFFD}"),
                &session.completed.0,
                &session.claimed.0,
                &stored.holder,
                &tx.token,
            ],
        )
        .await?;
    if session.tags.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE tags SET last_seen = $2 WHERE session = $1";
    tx.link.execute(sql, &[&stored.key, &session.last_seen.0]).await?;
    Ok(())
}

/// Sets tags; others stay.
pub(super) async fn save_tags(tx: &Tx, stored: &Stored, tags: &Tags) -> Result<(), StoreError> {
    if tags.is_empty() {
        return Ok(());
    }
    let (keys, values): (Vec<&String>, Vec<&String>) = tags.iter().unzip();
    let sql = "INSERT INTO tags (session, key, value, last_seen)
               SELECT $1, key, value, $4 FROM unnest($2::text[], $3::text[]) AS new (key, value)
               ON CONFLICT (session, key) DO UPDATE SET value = excluded.value";
    tx.link.execute(sql, &[&stored.key, &keys, &values, &stored.session.last_seen.0]).await?;
    Ok(())
}

pub(super) fn status_number(status: Status) -> i16 {
    match status {
        Status::Running => 1,
        Status::Done => 2,
        Status::Error => 3,
        Status::Cancelled => 4,
        Status::Lost => 5,
    }
}

/// The state that is stored of the session `id`.
pub(super) fn status(number: i16, id: &str) -> Result<Status, StoreError> {
    let found = Status::ALL.into_iter().find(|status| status_number(*status) == number);
    found.ok_or_else(|| damaged(format!("session {id}"), format!("status {number} means nothing")))
}

pub(super) fn owner_number(owner: Owner) -> i16 {
    match owner {
        Owner::Agent => 1,
        Owner::Publisher => 2,
    }
}

fn owner(number: i16) -> Option<Owner> {
    [Owner::Agent, Owner::Publisher].into_iter().find(|owner| owner_number(*owner) == number)
}

/// PostgreSQL's integers are signed; ours that count never are.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A number that PostgreSQL can hold. Nothing that counts frames or milliseconds comes near the end of it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
