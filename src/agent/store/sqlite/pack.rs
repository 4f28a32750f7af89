//! Packing: finished ranges of frames become blocks, one a write.
//!
//! A range is read and compressed beside the writer, and replaces its rows in one transaction, if they are still what
//! was read. A crash leaves either the rows or the block.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    StoreError,
    block::{self, Block, Packed},
    errors::fail,
    rows::{self, signed},
};
use crate::session::{SessionId, Status};

/// So many of the last frames of a running session stay rows: followers are there.
const TAIL: u64 = 256;

/// The next session that has rows, after `key`.
pub(super) fn candidate(tx: &Connection, key: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT session FROM frames WHERE session > ? ORDER BY session LIMIT 1";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    statement.query_row([key], |row| row.get(0)).optional().map_err(fail)
}

/// The oldest rows of a session as a block, if they may be packed now.
pub(super) fn next(tx: &Connection, key: i64) -> Result<Option<Block>, StoreError> {
    let sql = "SELECT id, status, head, packed FROM sessions WHERE key = ? AND damage = ''";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement.query_row([key], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
    });
    // Without a row it was deleted, and the sweep comes.
    let Some((id, status, head, packed)) = found.optional().map_err(fail)? else { return Ok(None) };
    let runs = status == rows::status_number(Status::Running);
    let waiting = (head - packed).unsigned_abs();
    if runs && waiting < block::FRAMES as u64 + TAIL {
        return Ok(None);
    }
    let frames = oldest(tx, key, &id)?;
    if frames.is_empty() {
        return Ok(None);
    }
    let failed =
        |error: std::io::Error| StoreError::Failed { store: "packing".into(), why: error.to_string() };
    block::seal(frames).map(Some).map_err(failed)
}

fn oldest(tx: &Connection, key: i64, id: &str) -> Result<Vec<Packed>, StoreError> {
    let sql =
        "SELECT seq, at, producer, payload, counter, sum FROM frames WHERE session = ? ORDER BY seq LIMIT ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let mut found = statement.query(params![key, signed(block::FRAMES as u64)]).map_err(fail)?;
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next().map_err(fail)? {
        let frame = rows::packed(row)?;
        if !rows::is_sound(row, &frame)? {
            let store = format!("frame {} of session {id}", frame.seq);
            return Err(StoreError::Damaged { store, why: "its checksum is another".into() });
        }
        bytes += frame.payload.len();
        frames.push(frame);
        if bytes >= block::BYTES {
            break;
        }
    }
    Ok(frames)
}

/// Puts a block in the place of its rows; `false` when those are not what was packed any more.
pub(super) fn replace(tx: &Connection, key: i64, block: &Block) -> Result<bool, StoreError> {
    let bounds = params![key, signed(block.first), signed(block.last)];
    let (count, freed): (i64, i64) = tx
        .prepare_cached(
            "SELECT count(*), ifnull(sum(length(payload)), 0) FROM frames
             WHERE session = ? AND seq BETWEEN ? AND ? AND EXISTS (SELECT 1 FROM sessions WHERE key = session)",
        )
        .and_then(|mut statement| statement.query_row(bounds, |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(fail)?;
    if usize::try_from(count).ok() != Some(block.count) {
        return Ok(false);
    }
    tx.prepare_cached("DELETE FROM frames WHERE session = ? AND seq BETWEEN ? AND ?")
        .and_then(|mut statement| statement.execute(bounds))
        .map_err(fail)?;
    insert(tx, key, block)?;
    let size = signed(block.data.len() as u64);
    tx.prepare_cached("UPDATE sessions SET packed = ?, bytes = max(0, bytes - ? + ?) WHERE key = ?")
        .and_then(|mut statement| statement.execute(params![signed(block.last), freed, size, key]))
        .map_err(fail)?;
    Ok(true)
}

fn insert(tx: &Connection, key: i64, block: &Block) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO blocks (session, first, last, first_at, last_at, kinds, objects, raw, sum, data)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            key,
            signed(block.first),
            signed(block.last),
            block.first_at,
            block.last_at,
            block.kinds,
            block.objects,
            signed(block.raw as u64),
            block.sum,
            block.data,
        ])
    })
    .map_err(fail)?;
    let sql = "INSERT INTO block_counters (session, producer, counter, last) VALUES (?, ?, ?, ?)";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    for (producer, counter) in &block.counters {
        statement.execute(params![key, producer, signed(*counter), signed(block.last)]).map_err(fail)?;
    }
    Ok(())
}

/// The sequence of a producer's number that is in a block.
pub(super) fn number_of(
    tx: &Connection,
    key: i64,
    producer: &str,
    counter: u64,
) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT raw, sum, data FROM blocks WHERE session = ?1 AND last =
                 (SELECT last FROM block_counters WHERE session = ?1 AND producer = ?2 AND counter >= ?3
                  ORDER BY counter LIMIT 1)";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement.query_row(params![key, producer, signed(counter)], |row| {
        Ok((rows::unsigned(row, 0), rows::unsigned(row, 1), row.get::<_, Vec<u8>>(2)?))
    });
    let Some((raw, sum, data)) = found.optional().map_err(fail)? else { return Ok(None) };
    let frames = block::open(&data, raw?, sum?).unwrap_or_default();
    let same = |frame: &&Packed| frame.producer == producer && frame.counter == Some(counter);
    Ok(frames.iter().find(same).map(|frame| frame.seq))
}

/// Notes that a session cannot be read whole. The first reason stays.
pub(super) fn quarantine(tx: &Connection, id: &SessionId, why: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE sessions SET damage = ? WHERE id = ? AND damage = ''";
    let changed = tx.prepare_cached(sql).and_then(|mut it| it.execute(params![why, id.as_str()]));
    Ok(changed.map_err(fail)? > 0)
}
