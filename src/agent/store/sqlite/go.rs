//! The file of the public Go agent, read and left as it is.

use std::path::Path;

use rusqlite::{Connection, Row, params};

use super::{StoreError, errors::failed, files};
use crate::session::Timestamp;

/// A Go agent's store.
pub struct GoStore {
    file: Connection,
    name: String,
}

/// A session as the Go agent keeps it; nothing of it is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSession {
    /// Any text.
    pub id: String,
    /// When its id was first used.
    pub created: Timestamp,
    /// When anything last happened to it.
    pub last_seen: Timestamp,
    /// Command, requester, cluster, context, namespace, release, chart.
    pub meta: [String; 7],
    /// A JSON list.
    pub args: String,
    /// A JSON object.
    pub tags: String,
    /// 0 not said, 1 running, 2 done, 3 error.
    pub state: i64,
    /// How it ended.
    pub exit_code: i32,
    /// What its end said.
    pub message: String,
    /// When it ended; 0 where nobody said.
    pub completed: Timestamp,
}

/// A frame as the Go agent keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoFrame {
    /// Its number there.
    pub sequence: u64,
    /// When it was taken.
    pub received: Timestamp,
    /// An encoded `ktl.api.v1.MirrorFrame`.
    pub proto: Vec<u8>,
}

impl GoStore {
    /// Opens the file for reading.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        match files::recognize(path) {
            Err(StoreError::Go(_)) => {}
            Err(StoreError::Folder { path, source }) => return Err(StoreError::Folder { path, source }),
            _ => {
                return Err(StoreError::Invalid(format!(
                    "{name} is no store of the Go ktl-agent: name the file of its -mirror-store"
                )));
            }
        }
        let file = files::open_reader(path).map_err(|error| failed(&name, error))?;
        Ok(Self { file, name })
    }

    /// All sessions, the oldest first.
    pub fn sessions(&self) -> Result<Vec<GoSession>, StoreError> {
        let sql = "SELECT session_id, created_at_ns, last_seen_ns, ifnull(command, ''), ifnull(requester, ''),
                     ifnull(cluster, ''), ifnull(kube_context, ''), ifnull(namespace, ''), ifnull(release, ''),
                     ifnull(chart, ''), ifnull(args_json, '[]'), ifnull(tags_json, '{}'), state, exit_code,
                     error_message, completed_at_ns
                   FROM ktl_mirror_sessions ORDER BY created_at_ns, session_id";
        self.read(sql, [], |row| {
            let text = |at: usize| row.get::<_, String>(at);
            Ok(GoSession {
                id: text(0)?,
                created: Timestamp(row.get(1)?),
                last_seen: Timestamp(row.get(2)?),
                meta: [text(3)?, text(4)?, text(5)?, text(6)?, text(7)?, text(8)?, text(9)?],
                args: text(10)?,
                tags: text(11)?,
                state: row.get(12)?,
                exit_code: row.get(13)?,
                message: text(14)?,
                completed: Timestamp(row.get(15)?),
            })
        })
    }

    /// The next frames of a session after a number, as many as fit into one commit.
    pub fn frames(&self, id: &str, after: u64) -> Result<Vec<GoFrame>, StoreError> {
        let sql = "SELECT sequence, received_ns, frame_proto FROM ktl_mirror_frames
                   WHERE session_id = ? AND sequence > ? ORDER BY sequence LIMIT 256";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read(sql, params![id, after], |row| {
            let sequence = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            Ok(GoFrame { sequence, received: Timestamp(row.get(1)?), proto: row.get(2)? })
        })
    }

    fn read<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let found = self.file.prepare_cached(sql).and_then(|mut statement| {
            let rows = statement.query_map(values, read)?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        found.map_err(|error| failed(&self.name, error))
    }
}
