//! Connections that read, each read in a short transaction of its own.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{StoreError, errors::failed, files};

/// Reads at the same time. More would only wait for the same two cores.
const CONNECTIONS: usize = 4;

/// Connections that read.
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    /// Opens all of them: later the process may have no file descriptor left, and reads must go on.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let fail = |error| failed(&path.display().to_string(), error);
        let idle = (0..CONNECTIONS).map(|_| files::open_reader(path)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            path: path.to_owned(),
            idle: Arc::new(Mutex::new(idle.map_err(fail)?)),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
        })
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
    // After an error of the system the connection may be what is broken: it is not used again.
    let suspect = matches!(
        result,
        Err(StoreError::Failed { .. } | StoreError::ReadOnly { .. } | StoreError::Damaged { .. })
    );
    if !suspect {
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
    result
}
