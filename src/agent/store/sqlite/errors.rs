//! SQLite's errors in our words. This is the only place that reads its codes.

use rusqlite::{ErrorCode, ffi};

use super::StoreError;

/// An error of SQLite inside a transaction.
#[allow(clippy::needless_pass_by_value)] // Shaped for `map_err`.
pub(super) fn fail(error: rusqlite::Error) -> StoreError {
    failed("the session store", error)
}

/// An error of SQLite in our words.
#[allow(clippy::needless_pass_by_value)] // Shaped for `map_err`.
pub(super) fn failed(store: &str, error: rusqlite::Error) -> StoreError {
    let store = store.to_owned();
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(store),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly { store, why }
        }
        // A disk that takes nothing more is no reason not to read from it.
        Some(ErrorCode::SystemIoFailure) if is_writing(&error) => StoreError::ReadOnly { store, why },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged { store, why },
        _ => StoreError::Failed { store, why },
    }
}

/// Whether the system refused a write: over quota, on a file system that became read-only, on a disk that fails.
fn is_writing(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMOPEN,
    ]
    .contains(&code)
}

impl StoreError {
    /// The same failure of a whole group, for the next of its writes.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full(store) => Self::Full(store.clone()),
            Self::ReadOnly { store, why } => Self::ReadOnly { store: store.clone(), why: why.clone() },
            Self::Damaged { store, why } => Self::Damaged { store: store.clone(), why: why.clone() },
            other => Self::Failed { store: "the session store".into(), why: other.to_string() },
        }
    }
}
