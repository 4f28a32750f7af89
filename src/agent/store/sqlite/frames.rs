//! Reading frames, wherever they are: blocks first, then rows.
//!
//! What cannot be read is left out and remembered; a page goes on with the next frame that can.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    PageLimit, StoreError,
    block::{self, Packed},
    errors::fail,
    rows::{self, signed},
};
use crate::{
    frame::Frame,
    session::{Epoch, Seq, Timestamp},
};

/// Frames on their way into a page.
pub(super) struct Gathered {
    limit: PageLimit,
    epoch: Epoch,
    bytes: usize,
    pub(super) frames: Vec<Frame>,
    /// What could not be read, the first of it.
    pub(super) damage: Option<String>,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.frames.len() >= self.limit.frames.max(1)
            || (self.bytes >= self.limit.bytes && !self.frames.is_empty())
    }

    fn take(&mut self, frame: Packed) {
        let Some(payload) = rows::payload(&frame.payload) else {
            return self.lack(format!("frame {} does not decode", frame.seq));
        };
        self.bytes += frame.payload.len();
        self.frames.push(Frame {
            epoch: self.epoch,
            seq: Seq(frame.seq),
            at: Timestamp(frame.at),
            producer: frame.producer,
            payload,
        });
    }

    fn lack(&mut self, why: String) {
        self.damage.get_or_insert(why);
    }
}

/// The frames of the session `key` after `after` up to `head`. Those up to `packed` are in blocks.
pub(super) fn gather(
    tx: &Connection,
    key: i64,
    epoch: Epoch,
    [after, packed, head]: [u64; 3],
    limit: PageLimit,
) -> Result<Gathered, StoreError> {
    let mut gathered = Gathered { limit, epoch, bytes: 0, frames: Vec::new(), damage: None };
    if after < packed {
        blocks(tx, key, after, &mut gathered)?;
    }
    let mut after = after.max(packed);
    while !gathered.is_full() {
        match rows_after(tx, key, &mut after, &mut gathered) {
            Err(StoreError::Damaged { why, .. }) => {
                gathered.lack(format!("after frame {after}: {why}"));
                let Some(next) = readable(tx, key, after, head)? else { break };
                after = next - 1;
            }
            done => {
                done?;
                break;
            }
        }
    }
    Ok(gathered)
}

fn blocks(tx: &Connection, key: i64, mut after: u64, gathered: &mut Gathered) -> Result<(), StoreError> {
    while !gathered.is_full() {
        let sql = "SELECT last FROM blocks WHERE session = ? AND last > ? ORDER BY last LIMIT 1";
        let mut statement = tx.prepare_cached(sql).map_err(fail)?;
        let found = statement.query_row(params![key, signed(after)], |row| row.get::<_, i64>(0)).optional();
        let Some(last) = found.map_err(fail)? else { break };
        match block_to(tx, key, last) {
            Ok(frames) => {
                for frame in frames.into_iter().filter(|frame| frame.seq > after) {
                    if gathered.is_full() {
                        return Ok(());
                    }
                    gathered.take(frame);
                }
            }
            Err(StoreError::Damaged { why, .. }) => {
                gathered.lack(format!("the block up to frame {last}: {why}"));
            }
            Err(error) => return Err(error),
        }
        after = last.unsigned_abs();
    }
    Ok(())
}

fn block_to(tx: &Connection, key: i64, last: i64) -> Result<Vec<Packed>, StoreError> {
    let mut statement = tx
        .prepare_cached("SELECT raw, sum, data FROM blocks WHERE session = ? AND last = ?")
        .map_err(fail)?;
    let mut found = statement.query(params![key, last]).map_err(fail)?;
    let Some(row) = found.next().map_err(fail)? else { return Ok(Vec::new()) };
    let data = row.get_ref(2).map_err(fail)?;
    let data = data.as_blob().unwrap_or_default();
    let damaged = |why| StoreError::Damaged { store: "a block".into(), why };
    block::open(data, rows::unsigned(row, 0)?, rows::unsigned(row, 1)?).map_err(damaged)
}

fn rows_after(tx: &Connection, key: i64, after: &mut u64, gathered: &mut Gathered) -> Result<(), StoreError> {
    let sql = "SELECT seq, at, producer, payload, counter, sum FROM frames WHERE session = ? AND seq > ? ORDER BY seq";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let mut found = statement.query(params![key, signed(*after)]).map_err(fail)?;
    while !gathered.is_full() {
        let Some(row) = found.next().map_err(fail)? else { break };
        let frame = rows::packed(row)?;
        *after = frame.seq;
        if rows::is_sound(row, &frame)? {
            gathered.take(frame);
        } else {
            gathered.lack(format!("the checksum of frame {} is another", frame.seq));
        }
    }
    Ok(())
}

/// The first frame behind a damaged place that can be read. A page of the file holds many frames, so the search takes
/// larger and larger steps, and then goes back to the edge.
fn readable(tx: &Connection, key: i64, after: u64, head: u64) -> Result<Option<u64>, StoreError> {
    let (mut bad, mut step) = (after + 1, 1);
    let mut good = loop {
        if bad >= head {
            return Ok(None);
        }
        let at = (bad + step).min(head);
        if probe(tx, key, at)? {
            break at;
        }
        (bad, step) = (at, step * 2);
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        if probe(tx, key, middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(Some(good))
}

/// Whether what comes at `seq` or after it can be read.
fn probe(tx: &Connection, key: i64, seq: u64) -> Result<bool, StoreError> {
    let sql =
        "SELECT length(producer), length(CAST(payload AS TEXT)) FROM frames WHERE session = ? AND seq >= ?
               ORDER BY seq LIMIT 1";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement.query_row(params![key, signed(seq)], |_| Ok(())).optional();
    match found.map_err(fail) {
        Ok(_) => Ok(true),
        Err(StoreError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
