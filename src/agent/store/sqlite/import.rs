//! Sessions of another store, written with their own times and numbers, in an epoch of their own.

use rusqlite::{Connection, params};

use super::{
    SqliteStore, StoreError, check_meta, check_tags, encode,
    errors::fail,
    rows::{self, signed},
    write,
};
use crate::{
    frame::Payload,
    mask::Masked,
    session::{Meta, Owner, Seq, SessionId, Status, Tags, Timestamp},
};

/// A session to be brought over.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its name.
    pub id: SessionId,
    /// When its id was first used, there.
    pub created: Timestamp,
    /// The number of its first frame.
    pub first: Seq,
    /// What it is about.
    pub meta: Masked<Meta>,
    /// Its tags.
    pub tags: Masked<Tags>,
}

/// How an imported session stood.
#[derive(Debug, Clone)]
pub struct Stood {
    /// Its state.
    pub status: Status,
    /// How it ended.
    pub exit_code: i32,
    /// What its end said.
    pub message: Masked<String>,
    /// When it ended; 0 where nobody said.
    pub completed: Timestamp,
    /// When anything last happened to it.
    pub last_seen: Timestamp,
}

impl SqliteStore {
    /// Makes a session of another store, or goes on with one whose import was cut off. Answers with its head.
    pub async fn import(&self, new: Imported) -> Result<Seq, StoreError> {
        check_meta(new.meta.get())?;
        check_tags(new.tags.get())?;
        self.writer.run(move |tx| begin(tx, &new)).await
    }

    /// Appends frames as `(time, producer, payload)`, all or none.
    pub async fn import_frames(
        &self,
        id: &SessionId,
        frames: Vec<(Timestamp, String, Masked<Payload>)>,
    ) -> Result<(), StoreError> {
        let encoded = frames.into_iter().map(|(at, producer, payload)| Ok((at, producer, encode(&payload)?)));
        let frames: Vec<_> = encoded.collect::<Result<_, StoreError>>()?;
        let id = id.clone();
        self.writer.run(move |tx| add(tx, &id, &frames)).await
    }

    /// Gives an imported session the state that it had.
    pub async fn import_end(&self, id: &SessionId, stood: Stood) -> Result<(), StoreError> {
        let id = id.clone();
        self.writer.run(move |tx| end(tx, &id, &stood)).await
    }
}

/// Makes the session, or goes on with one whose import was cut off. Answers with the last number that is there.
fn begin(tx: &Connection, new: &Imported) -> Result<Seq, StoreError> {
    if let Some(stored) = rows::find(tx, &new.id)? {
        let session = stored.session;
        if session.owner == Owner::Publisher && session.created == new.created && session.first == new.first {
            return Ok(session.head);
        }
        return Err(StoreError::Busy(format!("session {} is there already and is left as it is", new.id)));
    }
    let mut stored = write::insert(tx, &new.id, Owner::Publisher)?;
    stored.session.head = Seq(new.first.0.saturating_sub(1));
    tx.execute(
        "UPDATE sessions SET created = ?, first = ? WHERE key = ?",
        params![new.created.0, signed(new.first.0), stored.key],
    )
    .map_err(fail)?;
    rows::save_state(tx, &stored)?;
    let session = write::fill(tx, stored, new.meta.get(), new.tags.get())?;
    Ok(session.head)
}

fn add(tx: &Connection, id: &SessionId, frames: &[(Timestamp, String, Vec<u8>)]) -> Result<(), StoreError> {
    let mut stored = rows::require(tx, id)?;
    let sql = "INSERT INTO frames (session, seq, at, producer, counter, payload, sum) VALUES (?, ?, ?, ?, NULL, ?, ?)";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    for (at, producer, payload) in frames {
        stored.session.head = stored.session.head.next();
        let seq = stored.session.head.0;
        let sum = rows::checksum(seq, at.0, payload);
        statement.execute(params![stored.key, signed(seq), at.0, producer, payload, sum]).map_err(fail)?;
        stored.session.bytes += u64::try_from(payload.len()).unwrap_or(0);
    }
    rows::save_state(tx, &stored)
}

fn end(tx: &Connection, id: &SessionId, stood: &Stood) -> Result<(), StoreError> {
    let mut stored = rows::require(tx, id)?;
    let session = &mut stored.session;
    session.status = stood.status;
    session.exit_code = stood.exit_code;
    session.message.clone_from(stood.message.get());
    session.last_seen = stood.last_seen;
    session.claimed = stood.completed;
    if stood.status.is_terminal() {
        let said = stood.completed.0 > 0;
        session.completed = if said { stood.completed } else { stood.last_seen };
    }
    rows::save_state(tx, &stored)
}
