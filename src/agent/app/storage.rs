//! Where the sessions of this agent are: a file of its own, or a database that it shares.

use std::{fmt::Write as _, sync::Arc};

use anyhow::Context as _;

use crate::{
    config::Config,
    keys,
    lock::Lock,
    store::{
        SessionStore,
        postgres::PostgresStore,
        sqlite::{SqliteStore, private_folder},
    },
};

/// Opens the store, and holds the folder and the file against other agents.
pub(super) async fn open(config: &Config) -> anyhow::Result<(Arc<dyn SessionStore>, Vec<Lock>)> {
    let data = &config.data;
    // First of all: a file of somebody else is left as it is, and nothing is made beside it.
    if config.database.is_none() {
        SqliteStore::recognize(&config.store)?;
    }
    private_folder(data).with_context(|| format!("cannot use --data {}", data.display()))?;
    let mut locks = vec![Lock::take(data)?];
    if let Some(url) = &config.database {
        let store = PostgresStore::open(url, &name(config)?).await;
        let store = store.with_context(|| format!("cannot use --store {url}"))?;
        return Ok((Arc::new(store), locks));
    }
    if config.store.parent() != Some(data.as_path()) {
        locks.push(Lock::take_file(&config.store)?);
    }
    Ok((Arc::new(SqliteStore::open(&config.store)?), locks))
}

/// What this agent is called in a shared database: its data folder has the run folders of what it ran, so whoever
/// starts on it goes on with that.
fn name(config: &Config) -> anyhow::Result<String> {
    let path = config.data.join("agent.key");
    let key = keys::kept(&path).with_context(|| format!("cannot use the name in {}", path.display()))?;
    Ok(key.iter().take(16).fold(String::new(), |mut name, byte| {
        // Writing into a text cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    }))
}
