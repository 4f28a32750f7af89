//! Reading: short transactions on connections of their own.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    Page, PageLimit, SessionQuery, StoreError, StoredSource, files,
    rows::{self, Stored, fail, failed},
};
use crate::{
    session::{Cursor, Epoch, Seq, Session, SessionId},
    store::{Heading, MAX_LIST},
};

/// Reads at the same time. More would only wait for the same two cores.
const CONNECTIONS: usize = 4;

/// Connections that read.
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Arc::default(), free: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Runs `read` on one snapshot.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let task = spawn_blocking(move || {
            let result = with_connection(&path, &idle, read);
            drop(permit);
            result
        });
        task.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn with_connection<T>(
    path: &Path,
    idle: &Mutex<Vec<Connection>>,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let fail = |error| failed(&path.display().to_string(), error);
    let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let connection = match connection {
        Some(connection) => connection,
        None => files::open_reader(path).map_err(fail)?,
    };
    let snapshot = connection.unchecked_transaction().map_err(fail)?;
    let result = read(&snapshot);
    drop(snapshot);
    // After an error the connection may be what is broken: it is not used again.
    if result.is_ok() {
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
    result
}

pub(super) fn session(tx: &Connection, id: &SessionId) -> Result<Option<Session>, StoreError> {
    Ok(rows::find(tx, id)?.map(|stored| stored.session))
}

pub(super) fn last_counter(tx: &Connection, id: &SessionId, producer: &str) -> Result<u64, StoreError> {
    let sql = "SELECT counter FROM producers WHERE producer = ? AND session = (SELECT key FROM sessions WHERE id = ?)";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found =
        statement.query_row(params![producer, id.as_str()], |row| Ok(rows::unsigned(row, 0))).optional();
    found.map_err(fail)?.unwrap_or(Ok(0))
}

pub(super) fn page(
    tx: &Connection,
    id: &SessionId,
    after: Cursor,
    limit: PageLimit,
) -> Result<Page, StoreError> {
    let Headed { key, only_epoch, heading } = head(tx, id)?;
    let own = after.epoch == heading.epoch || (after.epoch == Epoch(0) && (only_epoch || after.seq.0 == 0));
    if !own || after.seq > heading.head {
        return Ok(Page::Foreign(heading));
    }
    let sql =
        "SELECT seq, at, producer, payload FROM frames WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let wanted = i64::try_from(limit.frames.max(1)).unwrap_or(i64::MAX);
    let mut found = statement.query(params![key, rows::signed(after.seq.0), wanted]).map_err(fail)?;
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next().map_err(fail)? {
        let (frame, size) = rows::frame(row, id, heading.epoch)?;
        bytes += size;
        frames.push(frame);
        if bytes >= limit.bytes {
            break;
        }
    }
    Ok(Page::Frames(heading, frames))
}

/// What a follower has to know of a session, and no more: every wake of every follower reads it.
struct Headed {
    key: i64,
    only_epoch: bool,
    heading: Heading,
}

fn head(tx: &Connection, id: &SessionId) -> Result<Headed, StoreError> {
    let sql =
        "SELECT key, only_epoch, epoch, first, head, status, exit_code, message FROM sessions WHERE id = ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement.query_row([id.as_str()], |row| Ok(headed(row, id))).optional().map_err(fail)?;
    found.ok_or_else(|| StoreError::NotFound(id.clone()))?
}

fn headed(row: &Row<'_>, id: &SessionId) -> Result<Headed, StoreError> {
    let heading = Heading {
        epoch: Epoch(rows::unsigned(row, 2)?),
        first: Seq(rows::unsigned(row, 3)?),
        head: Seq(rows::unsigned(row, 4)?),
        status: rows::status(row, 5, id.as_str())?,
        exit_code: row.get(6).map_err(fail)?,
        message: row.get(7).map_err(fail)?,
    };
    let only_epoch = row.get::<_, i64>(1).map_err(fail)? != 0;
    Ok(Headed { key: row.get(0).map_err(fail)?, only_epoch, heading })
}

pub(super) fn source(
    tx: &Connection,
    id: &SessionId,
    path: &str,
) -> Result<Option<StoredSource>, StoreError> {
    let stored = rows::require(tx, id)?;
    let sql = "SELECT masked, sha256 FROM sources WHERE session = ? AND path = ?";
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    let found = statement.query_row(params![stored.key, path], |row| {
        Ok(StoredSource { masked: row.get(0)?, sha256: row.get(1)? })
    });
    found.optional().map_err(fail)
}

pub(super) fn list(tx: &Connection, query: &SessionQuery) -> Result<Vec<Session>, StoreError> {
    let (filter, values) = filter(query);
    let limit = if query.limit == 0 { 200 } else { query.limit.min(MAX_LIST) };
    let sql = format!(
        "SELECT {} FROM sessions WHERE {filter} ORDER BY last_seen DESC, id LIMIT {limit}",
        rows::SESSION
    );
    let mut statement = tx.prepare_cached(&sql).map_err(fail)?;
    let found = statement.query_map(params_from_iter(values), |row| Ok(rows::session(row))).map_err(fail)?;
    let mut sessions = Vec::new();
    for row in found {
        let Stored { key, mut session, .. } = row.map_err(fail)??;
        session.tags = rows::tags(tx, key)?;
        sessions.push(session);
    }
    Ok(sessions)
}

/// The condition of a list, and its values.
fn filter(query: &SessionQuery) -> (String, Vec<Value>) {
    let meta = &query.meta;
    let mut parts = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut add = |part: String, bound: &[Value]| {
        parts.push(part);
        values.extend_from_slice(bound);
    };
    let fields = [
        ("command", &meta.command),
        ("requester", &meta.requester),
        ("cluster", &meta.cluster),
        ("context", &meta.context),
        ("namespace", &meta.namespace),
        ("release", &meta.release),
        ("chart", &meta.chart),
        ("principal", &meta.principal),
        ("workspace", &meta.workspace),
    ];
    for (column, wanted) in fields.into_iter().filter(|(_, wanted)| !wanted.is_empty()) {
        let part = match (query.loose, column) {
            (true, "command") => "instr(lower(command), lower(?)) > 0".to_owned(),
            (true, _) => format!("lower({column}) = lower(?)"),
            (false, _) => format!("{column} = ?"),
        };
        add(part, &[wanted.clone().into()]);
    }
    for (at, arg) in meta.args.iter().enumerate() {
        add(format!("json_extract(args, '$[{at}]') = ?"), &[arg.clone().into()]);
    }
    for (key, value) in &query.tags {
        let has = "EXISTS (SELECT 1 FROM tags WHERE tags.session = sessions.key AND tags.key = ?";
        if value.is_empty() {
            add(format!("{has})"), &[key.clone().into()]);
        } else {
            add(format!("{has} AND tags.value = ?)"), &[key.clone().into(), value.clone().into()]);
        }
    }
    if let Some(owner) = query.owner {
        add("owner = ?".into(), &[rows::owner_number(owner).into()]);
    }
    if query.since.0 > 0 {
        add("last_seen >= ?".into(), &[query.since.0.into()]);
    }
    if query.until.0 > 0 {
        add("last_seen <= ?".into(), &[query.until.0.into()]);
    }
    if !query.status.is_empty() {
        let numbers: Vec<String> =
            query.status.iter().map(|status| rows::status_number(*status).to_string()).collect();
        parts.push(format!("status IN ({})", numbers.join(", ")));
    }
    (parts.join(" AND "), values)
}
