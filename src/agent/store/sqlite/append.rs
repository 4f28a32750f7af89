//! Appending: the fence, the producer's numbers, the frames and the state, in one transaction.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Append, Appended, Producer, StoreError,
    errors::fail,
    pack,
    rows::{self, Stored, signed},
};
use crate::session::{Seq, SessionId, Timestamp};
use crate::store::course;

pub(super) fn append(tx: &Connection, append: &Append, payloads: &[Vec<u8>]) -> Result<Appended, StoreError> {
    let mut stored = rows::require(tx, &append.session)?;
    fence(tx, stored.key, &append.producer)?;
    let skip = already_there(tx, &stored, append)?;
    let fresh = payloads.get(skip..).unwrap_or_default();
    let epoch = stored.session.epoch;
    let first_again = match (skip, append.counter) {
        (1.., Some(counter)) => Some(number_of(tx, &stored, &append.producer.name, counter)?),
        _ => None,
    };
    if fresh.is_empty() {
        let count = u64::try_from(payloads.len()).unwrap_or(u64::MAX);
        let last = append.counter.map_or(0, |counter| counter.saturating_add(count - 1));
        let last = number_of(tx, &stored, &append.producer.name, last)?;
        return Ok(Appended { epoch, first: first_again.unwrap_or(last), last, repeated: true });
    }
    let first = stored.session.head.next();
    let counter = append.counter.map(|counter| counter.saturating_add(u64::try_from(skip).unwrap_or(0)));
    insert_frames(tx, &mut stored, &append.producer.name, counter, fresh)?;
    course::appended(&mut stored.session, append);
    rows::save_state(tx, &stored)?;
    Ok(Appended { epoch, first: first_again.unwrap_or(first), last: stored.session.head, repeated: false })
}

/// Refuses a producer whose name a newer one has taken, and takes the name for one that is newer itself.
fn fence(tx: &Connection, key: i64, producer: &Producer) -> Result<(), StoreError> {
    if producer.epoch == 0 {
        return Ok(());
    }
    let newest: Option<i64> = tx
        .prepare_cached("SELECT epoch FROM producers WHERE session = ? AND producer = ?")
        .and_then(|mut statement| {
            statement.query_row(params![key, producer.name], |row| row.get(0)).optional()
        })
        .map_err(fail)?;
    let own = signed(producer.epoch);
    match newest {
        Some(newest) if newest > own => Err(StoreError::Fenced {
            producer: producer.name.clone(),
            epoch: producer.epoch,
            newer: newest.unsigned_abs(),
        }),
        Some(newest) if newest == own => Ok(()),
        _ => {
            tx.prepare_cached(
                "INSERT INTO producers (session, producer, counter, epoch) VALUES (?, ?, 0, ?)
                 ON CONFLICT DO UPDATE SET epoch = excluded.epoch",
            )
            .and_then(|mut statement| statement.execute(params![key, producer.name, own]))
            .map_err(fail)?;
            Ok(())
        }
    }
}

pub(super) fn claim(tx: &Connection, id: &SessionId, producer: &Producer) -> Result<u64, StoreError> {
    let stored = rows::require(tx, id)?;
    fence(tx, stored.key, producer)?;
    last_counter(tx, stored.key, &producer.name)
}

/// How many payloads of a numbered batch are stored already. A hole before the batch is refused.
fn already_there(tx: &Connection, stored: &Stored, append: &Append) -> Result<usize, StoreError> {
    let Some(counter) = append.counter else { return Ok(0) };
    let last = last_counter(tx, stored.key, &append.producer.name)?;
    if counter > last + 1 {
        let producer = append.producer.name.clone();
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
    let found = match found.map_err(fail)? {
        Some(found) => Some(found?),
        None => pack::number_of(tx, stored.key, producer, counter)?,
    };
    let gone = stored.session.first.0.saturating_sub(1);
    Ok(Seq(found.unwrap_or(gone).max(gone)))
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
            "INSERT INTO frames (session, seq, at, producer, counter, payload, sum) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .map_err(fail)?;
    let mut number = counter.map(signed);
    let mut last = number;
    let mut bytes: u64 = 0;
    for payload in payloads {
        stored.session.head = stored.session.head.next();
        let seq = signed(stored.session.head.0);
        let sum = rows::checksum(stored.session.head.0, now.0, payload);
        statement.execute(params![stored.key, seq, now.0, producer, number, payload, sum]).map_err(fail)?;
        bytes += u64::try_from(payload.len()).unwrap_or(0);
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
    stored.session.bytes += bytes;
    // A clock that was set back must not make a session look older than it is.
    stored.session.last_seen = stored.session.last_seen.max(now);
    Ok(())
}
