//! The writes, each a function inside a transaction that the writer commits.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Append, Appended, Created, NewSession, Report, StoreError,
    rows::{self, Stored, fail, signed},
};
use crate::{
    session::{Event, Meta, Owner, Seq, Session, SessionId, Tags, Timestamp},
    store::check_tags,
};

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
fn insert(tx: &Connection, id: &SessionId, owner: Owner) -> Result<Stored, StoreError> {
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
fn fill(tx: &Connection, mut stored: Stored, meta: &Meta, tags: &Tags) -> Result<Session, StoreError> {
    stored.session.meta.merge(meta.clone());
    stored.session.tags.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    check_tags(&stored.session.tags)?;
    stored.session.last_seen = stored.session.last_seen.max(Timestamp::now());
    rows::save(tx, &stored)?;
    rows::save_tags(tx, stored.key, tags)?;
    Ok(stored.session)
}

pub(super) fn append(tx: &Connection, append: &Append, payloads: &[Vec<u8>]) -> Result<Appended, StoreError> {
    let mut stored = rows::require(tx, &append.session)?;
    let skip = already_there(tx, &stored, append)?;
    let fresh = payloads.get(skip..).unwrap_or_default();
    let epoch = stored.session.epoch;
    let first_again = match (skip, append.counter) {
        (1.., Some(counter)) => Some(number_of(tx, &stored, &append.producer, counter)?),
        _ => None,
    };
    if fresh.is_empty() {
        let count = u64::try_from(payloads.len()).unwrap_or(u64::MAX);
        let last = append.counter.map_or(0, |counter| counter.saturating_add(count - 1));
        let last = number_of(tx, &stored, &append.producer, last)?;
        return Ok(Appended { epoch, first: first_again.unwrap_or(last), last, repeated: true });
    }
    let first = stored.session.head.next();
    let counter = append.counter.map(|counter| counter.saturating_add(u64::try_from(skip).unwrap_or(0)));
    insert_frames(tx, &mut stored, &append.producer, counter, fresh)?;
    move_state(&mut stored.session, append);
    rows::save(tx, &stored)?;
    Ok(Appended { epoch, first: first_again.unwrap_or(first), last: stored.session.head, repeated: false })
}

/// How many payloads of a numbered batch are stored already. A hole before the batch is refused.
fn already_there(tx: &Connection, stored: &Stored, append: &Append) -> Result<usize, StoreError> {
    let Some(counter) = append.counter else { return Ok(0) };
    let last = last_counter(tx, stored.key, &append.producer)?;
    if counter > last + 1 {
        let producer = append.producer.clone();
        return Err(StoreError::ProducerGap { producer, expected: last + 1, got: counter });
    }
    let known = usize::try_from(last + 1 - counter).unwrap_or(usize::MAX);
    Ok(known.min(append.payloads.len()))
}

fn last_counter(tx: &Connection, key: i64, producer: &str) -> Result<u64, StoreError> {
    let mut statement = tx
        .prepare_cached("SELECT counter FROM producers WHERE session = ? AND producer = ?")
        .map_err(fail)?;
    let found = statement.query_row(params![key, producer], |row| Ok(rows::unsigned(row, 0))).optional();
    found.map_err(fail)?.unwrap_or(Ok(0))
}

/// The sequence that a numbered frame was given. A repeat asks for one of the last frames, so the search goes
/// backwards; a frame that retention took answers with the place before the oldest that is left.
fn number_of(tx: &Connection, stored: &Stored, producer: &str, counter: u64) -> Result<Seq, StoreError> {
    let sql =
        "SELECT seq FROM frames WHERE session = ? AND producer = ? AND counter = ? ORDER BY seq DESC LIMIT 1";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement
        .query_row(params![stored.key, producer, signed(counter)], |row| Ok(rows::unsigned(row, 0)))
        .optional();
    let gone = stored.session.first.0.saturating_sub(1);
    Ok(Seq(found.map_err(fail)?.unwrap_or(Ok(gone))?))
}

fn insert_frames(
    tx: &Connection,
    stored: &mut Stored,
    producer: &str,
    counter: Option<u64>,
    payloads: &[Vec<u8>],
) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let mut statement = tx
        .prepare_cached(
            "INSERT INTO frames (session, seq, at, producer, counter, payload) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .map_err(fail)?;
    let mut number = counter.map(signed);
    let mut last = number;
    let mut bytes = 0;
    for payload in payloads {
        stored.session.head = stored.session.head.next();
        let seq = signed(stored.session.head.0);
        statement.execute(params![stored.key, seq, now.0, producer, number, payload]).map_err(fail)?;
        bytes += payload.len();
        last = number;
        number = number.map(|number| number + 1);
    }
    if let Some(last) = last {
        tx.prepare_cached(
            "INSERT INTO producers (session, producer, counter) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET counter = excluded.counter",
        )
        .and_then(|mut statement| statement.execute(params![stored.key, producer, last]))
        .map_err(fail)?;
    }
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    tx.prepare_cached("UPDATE sessions SET head = ?, bytes = bytes + ? WHERE key = ?")
        .and_then(|mut statement| {
            statement.execute(params![signed(stored.session.head.0), bytes, stored.key])
        })
        .map_err(fail)?;
    // A clock that was set back must not make a session look older than it is.
    stored.session.last_seen = stored.session.last_seen.max(now);
    Ok(())
}

fn move_state(session: &mut Session, append: &Append) {
    let before = session.status;
    let event = append.end.as_ref().map_or(Event::Frame, |end| Event::Ended(end.status));
    session.status = before.after(event, session.owner);
    match &append.end {
        Some(end) if session.status != before => {
            session.exit_code = end.exit_code;
            session.message.clone_from(end.message.get());
            session.completed = Timestamp::now();
        }
        None if session.status != before => {
            session.exit_code = 0;
            session.message.clear();
            session.completed = Timestamp::default();
        }
        _ => {}
    }
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
    let session = &mut stored.session;
    if session.owner == Owner::Agent && !session.status.is_terminal() {
        let why = format!("session {id} is an operation of this agent and still runs: cancel it instead");
        return Err(StoreError::Busy(why));
    }
    let before = session.status;
    session.status = before.after(Event::Reported(report.status), session.owner);
    if session.status.is_terminal() && session.status == report.status {
        session.exit_code = report.exit_code;
        if !report.message.get().is_empty() {
            session.message.clone_from(report.message.get());
        }
        let completed = if report.completed.0 > 0 { report.completed } else { Timestamp::now() };
        if session.completed.0 == 0 || report.completed.0 > 0 {
            session.completed = session.completed.max(completed);
        }
    }
    session.last_seen = session.last_seen.max(Timestamp::now());
    rows::save(tx, &stored)?;
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
        let session = &mut stored.session;
        session.status = session.status.after(Event::Ended(crate::session::Status::Lost), session.owner);
        session.exit_code = 1;
        session.message = format!("lost after sequence {}", session.head);
        session.completed = Timestamp::now();
        rows::save(tx, &stored)?;
        lost.push(id);
    }
    Ok(lost)
}

pub(super) fn delete(tx: &Connection, id: &SessionId) -> Result<bool, StoreError> {
    let Some(stored) = rows::find(tx, id)? else { return Ok(false) };
    if !stored.session.status.is_terminal() && stored.session.owner == Owner::Agent {
        return Err(StoreError::Busy(format!("session {id} is running: cancel it first")));
    }
    remove(tx, stored.key)?;
    Ok(true)
}

/// Takes a session away at once. Its frames follow in slices; its epoch is remembered for ever.
pub(super) fn remove(tx: &Connection, key: i64) -> Result<(), StoreError> {
    for sql in [
        "INSERT INTO epochs (id, epoch) SELECT id, epoch FROM sessions WHERE key = ?
         ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)",
        "INSERT INTO doomed (session) VALUES (?)",
        "DELETE FROM tags WHERE session = ?",
        "DELETE FROM producers WHERE session = ?",
        "DELETE FROM sessions WHERE key = ?",
    ] {
        tx.prepare_cached(sql).and_then(|mut statement| statement.execute([key])).map_err(fail)?;
    }
    Ok(())
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
