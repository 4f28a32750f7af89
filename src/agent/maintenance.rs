//! What an operator does to a store beside the agent: back it up, restore it, prune it.

use std::path::{Path, PathBuf};

use crate::{
    lock::{Lock, LockError},
    store::{
        Pruned, Retention, SessionStore as _, StoreError,
        sqlite::{SqliteStore, copy_store, private_folder, would_take},
    },
};

/// Where the sessions of an agent are.
pub struct Place {
    /// The folder that it locks.
    pub data: PathBuf,
    /// The file of the sessions.
    pub store: PathBuf,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The agent has the folder.
    #[error("{0}; --dry-run only looks, and a running agent prunes by itself")]
    InUse(LockError),
    /// The folder cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no limit to apply.
    #[error("nothing says what may go: name a limit, such as --max-age 90d or --max-bytes 2GiB")]
    NoLimit,
}

/// Copies the store of an agent, which may be running, to a new file. Says what was copied.
pub fn backup(place: &Place, file: &Path) -> Result<String, MaintenanceError> {
    let copied = copy_store(&place.store, file)?;
    let mut said = format!("{} sessions, {} bytes in {}", copied.sessions, copied.bytes, file.display());
    if let Some(damage) = copied.damage {
        said = format!("{said}; the store is damaged, and so is the copy: {damage}");
    }
    Ok(said)
}

/// Makes a new store of a backup. Every session starts a new epoch when an agent opens it.
pub fn restore(file: &Path, place: &Place) -> Result<String, MaintenanceError> {
    let folder = |source| StoreError::Folder { path: place.data.display().to_string(), source };
    private_folder(&place.data).map_err(folder)?;
    let _lock = Lock::take(&place.data)?;
    let copied = copy_store(file, &place.store)?;
    Ok(format!("{} sessions in {}; start ktl-agent on it", copied.sessions, place.store.display()))
}

/// Applies a retention, or says what it would take: a line for each session, and the sum.
pub async fn prune(place: &Place, keep: &Retention, dry_run: bool) -> Result<String, MaintenanceError> {
    if *keep == Retention::default() {
        return Err(MaintenanceError::NoLimit);
    }
    if dry_run {
        return Ok(told(&would_take(&place.store, keep)?, "would go"));
    }
    // Looked at first: a mistyped folder must not become a store.
    would_take(&place.store, keep)?;
    let _lock = Lock::take(&place.data).map_err(|error| match error {
        taken @ LockError::Taken { .. } => MaintenanceError::InUse(taken),
        other => MaintenanceError::Lock(other),
    })?;
    let store = SqliteStore::open(&place.store)?;
    let mut pruned = store.prune(keep, false).await?;
    while pruned.more {
        let next = store.prune(keep, false).await?;
        if next.condemned.is_empty() {
            break;
        }
        pruned.add(next);
    }
    store.close().await?;
    Ok(told(&pruned, "went"))
}

fn told(pruned: &Pruned, verb: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for condemned in &pruned.condemned {
        let (session, bytes) = (&condemned.session, condemned.bytes);
        lines.push(format!("{}  {bytes} bytes  {}", session.id, condemned.reason));
    }
    for trimmed in &pruned.trimmed {
        lines.push(format!("{}  frames {} to {}", trimmed.id, trimmed.from, trimmed.to));
    }
    let more = if pruned.more { " at least" } else { "" };
    lines.push(
        format!("{more} {} sessions with {} bytes {verb}", pruned.condemned.len(), pruned.freed)
            .trim()
            .to_owned(),
    );
    lines.join("\n")
}
