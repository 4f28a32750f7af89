//! Appending: who may write, the fence, the producer's numbers, the frames and the state, in one transaction.

use tokio::try_join;
use tokio_postgres::Row;

use super::{
    Append, Appended, Producer, StoreError,
    rows::{self, Stored, signed, unsigned},
    writer::Tx,
};
use crate::session::{Owner, Seq, Session, SessionId, Status, Timestamp};
use crate::store::course;

/// What is known of a producer.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Its last number.
    counter: u64,
    /// The newest that took its name.
    epoch: u64,
}

pub(super) async fn append(tx: &Tx, append: &Append, payloads: &[Vec<u8>]) -> Result<Appended, StoreError> {
    // The second answer is as of after the lock: the server takes one statement after the other.
    let (mut stored, known) = try_join!(biased; rows::require(tx, &append.session), known(tx, &append.session, &append.producer.name))?;
    check_holder(tx, &mut stored)?;
    let takes = fence(&append.producer, known)?;
    let skip = already_there(append, known)?;
    let fresh = payloads.get(skip..).unwrap_or_default();
    let epoch = stored.session.epoch;
    let first_again = match (skip, append.counter) {
        (1.., Some(counter)) => Some(number_of(tx, &stored, &append.producer.name, counter).await?),
        _ => None,
    };
    if fresh.is_empty() {
        if takes {
            save_producer(tx, stored.key, &append.producer, known.counter).await?;
        }
        let count = u64::try_from(payloads.len()).unwrap_or(u64::MAX);
        let last = append.counter.map_or(0, |counter| counter.saturating_add(count - 1));
        let last = number_of(tx, &stored, &append.producer.name, last).await?;
        return Ok(Appended { epoch, first: first_again.unwrap_or(last), last, repeated: true });
    }
    let first = stored.session.head.next();
    let counter = append.counter.map(|counter| counter.saturating_add(u64::try_from(skip).unwrap_or(0)));
    let now = Timestamp::now();
    count(&mut stored.session, fresh, now);
    course::appended(&mut stored.session, append);
    let last = counter.map(|counter| counter + u64::try_from(fresh.len()).unwrap_or(0) - 1);
    try_join!(biased;
        insert_frames(tx, stored.key, first, now, &append.producer.name, counter, fresh),
        async {
            match (last, takes) {
                (None, false) => Ok(()),
                (last, _) => save_producer(tx, stored.key, &append.producer, last.unwrap_or(known.counter)).await,
            }
        },
        rows::save_state(tx, &stored),
    )?;
    Ok(Appended { epoch, first: first_again.unwrap_or(first), last: stored.session.head, repeated: false })
}

/// An operation is written by the agent that runs it and by no other. A client publishes wherever it is connected, and
/// its session goes with it.
pub(super) fn check_holder(tx: &Tx, stored: &mut Stored) -> Result<(), StoreError> {
    let session = &stored.session;
    if session.owner == Owner::Agent && stored.holder != tx.token {
        let id = &session.id;
        match session.status {
            Status::Running => return Err(StoreError::Busy(format!("session {id} is run by another agent"))),
            Status::Lost => {
                let why = format!("session {id} was given up for lost while its agent was not heard of");
                return Err(StoreError::Busy(why));
            }
            Status::Done | Status::Error | Status::Cancelled => {}
        }
    }
    if session.owner == Owner::Publisher {
        stored.holder = tx.token;
    }
    Ok(())
}

async fn known(tx: &Tx, id: &SessionId, producer: &str) -> Result<Known, StoreError> {
    let sql = "SELECT counter, epoch FROM producers
               WHERE producer = $2 AND session = (SELECT key FROM sessions WHERE id = $1)";
    let row = tx.link.row(sql, &[&id.as_str(), &producer]).await?;
    let known = |row: Row| Known { counter: unsigned(row.get(0)), epoch: unsigned(row.get(1)) };
    Ok(row.map(known).unwrap_or_default())
}

/// Refuses a producer whose name a newer one has taken; says whether this one takes the name.
fn fence(producer: &Producer, known: Known) -> Result<bool, StoreError> {
    if producer.epoch != 0 && known.epoch > producer.epoch {
        let (name, epoch) = (producer.name.clone(), producer.epoch);
        return Err(StoreError::Fenced { producer: name, epoch, newer: known.epoch });
    }
    Ok(producer.epoch > known.epoch)
}

async fn save_producer(tx: &Tx, key: i64, producer: &Producer, counter: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO producers (session, producer, counter, epoch) VALUES ($1, $2, $3, $4)
               ON CONFLICT (session, producer) DO UPDATE
               SET counter = excluded.counter, epoch = greatest(producers.epoch, excluded.epoch)";
    let (counter, epoch) = (signed(counter), signed(producer.epoch));
    tx.link.execute(sql, &[&key, &producer.name, &counter, &epoch]).await?;
    Ok(())
}

pub(super) async fn claim(tx: &Tx, id: &SessionId, producer: &Producer) -> Result<u64, StoreError> {
    let (stored, known) = try_join!(biased; rows::require(tx, id), known(tx, id, &producer.name))?;
    if fence(producer, known)? {
        save_producer(tx, stored.key, producer, known.counter).await?;
    }
    Ok(known.counter)
}

/// How many payloads of a numbered batch are stored already. A hole before the batch is refused.
fn already_there(append: &Append, known: Known) -> Result<usize, StoreError> {
    let Some(counter) = append.counter else { return Ok(0) };
    let expected = known.counter + 1;
    if counter > expected {
        let producer = append.producer.name.clone();
        return Err(StoreError::ProducerGap { producer, expected, got: counter });
    }
    let there = usize::try_from(expected - counter).unwrap_or(usize::MAX);
    Ok(there.min(append.payloads.len()))
}

/// The sequence that a numbered frame was given. A repeat asks for one of the last frames, so the search goes
/// backwards; a frame that retention took answers with the place before the oldest that is left.
async fn number_of(tx: &Tx, stored: &Stored, producer: &str, counter: u64) -> Result<Seq, StoreError> {
    let sql = "SELECT seq FROM frames WHERE session = $1 AND producer = $2 AND counter = $3
               ORDER BY seq DESC LIMIT 1";
    let found = tx.link.row(sql, &[&stored.key, &producer, &signed(counter)]).await?;
    let gone = stored.session.first.0.saturating_sub(1);
    Ok(Seq(found.map_or(gone, |row| unsigned(row.get(0)))))
}

/// One statement for all of them.
async fn insert_frames(
    tx: &Tx,
    key: i64,
    first: Seq,
    now: Timestamp,
    producer: &str,
    counter: Option<u64>,
    payloads: &[Vec<u8>],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO frames (session, seq, at, producer, counter, payload)
               SELECT $1, $2 + place - 1, $3, $4, $5 + place - 1, payload
               FROM unnest($6::bytea[]) WITH ORDINALITY AS new (payload, place)";
    let counter = counter.map(signed);
    tx.link.execute(sql, &[&key, &signed(first.0), &now.0, &producer, &counter, &payloads]).await?;
    Ok(())
}

fn count(session: &mut Session, payloads: &[Vec<u8>], now: Timestamp) {
    session.head = Seq(session.head.0 + u64::try_from(payloads.len()).unwrap_or(0));
    session.bytes += payloads.iter().map(|payload| u64::try_from(payload.len()).unwrap_or(0)).sum::<u64>();
    // A clock that was set back must not make a session look older than it is.
    session.last_seen = session.last_seen.max(now);
}
