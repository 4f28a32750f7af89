//! The tables: whether they are ours, and which step they have seen.

use super::{StoreError, address::PostgresUrl, errors::STORE, link::Link};

/// The steps from an empty database to the newest format; `ktl_store.format` is the number that it has seen.
pub(super) const MIGRATIONS: [&str; 1] = [include_str!("schema_001.sql")];

/// Held while the tables are looked at and changed, so that agents that start together do it one after the other.
const LOCK: i64 = 0x6b74_6c01;

/// Brings the tables to the newest format. Refuses those of a newer agent, and a database of somebody else.
pub(super) async fn prepare(link: &Link, url: &PostgresUrl) -> Result<(), StoreError> {
    let encoding: String = link.one("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        let why = format!("its encoding is {encoding}; make one with ENCODING 'UTF8'");
        return Err(StoreError::Failed { store: url.to_string(), why });
    }
    link.batch("BEGIN").await?;
    let done = migrate(link, url).await;
    link.batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    done
}

async fn migrate(link: &Link, url: &PostgresUrl) -> Result<(), StoreError> {
    link.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found = format(link, url).await?;
    let Some(steps) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..)) else {
        return Err(StoreError::Newer { store: url.to_string(), found, known });
    };
    if steps.is_empty() {
        return Ok(());
    }
    if found == 0 {
        link.batch("CREATE TABLE ktl_store (format BIGINT NOT NULL); INSERT INTO ktl_store VALUES (0)")
            .await?;
    }
    for step in steps {
        link.batch(step).await?;
    }
    link.execute("UPDATE ktl_store SET format = $1", &[&known]).await?;
    Ok(())
}

/// The format of the database; 0 for one without tables.
async fn format(link: &Link, url: &PostgresUrl) -> Result<i64, StoreError> {
    let sql = "SELECT to_regclass('ktl_store') IS NOT NULL,
       EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v'))";
    let found = link.one(sql, &[]).await?;
    match (found.get(0), found.get(1)) {
        (true, _) => Ok(link.one("SELECT format FROM ktl_store", &[]).await?.get(0)),
        (false, true) => Err(StoreError::OtherDatabase(url.to_string())),
        (false, false) => Ok(0),
    }
}

/// Says aloud what the server was told that takes the promise of this store away.
pub(super) async fn warn_of_unsafe_settings(link: &Link) -> Result<(), StoreError> {
    for setting in ["fsync", "full_page_writes"] {
        let value: String = link.one(&format!("SHOW {setting}"), &[]).await?.get(0);
        if value != "on" {
            tracing::warn!(
                "{STORE} runs with {setting}={value}: what this agent acknowledges can be lost in a power cut"
            );
        }
    }
    Ok(())
}
