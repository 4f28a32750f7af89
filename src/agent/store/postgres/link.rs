//! One connection with the statements that it has prepared.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_postgres::{AsyncMessage, Client, Row, Statement, types::ToSql};

use super::{
    StoreError,
    address::PostgresUrl,
    errors::{STORE, fail, unavailable},
};

/// Statements that a connection keeps. Lists have many shapes; all others together are far fewer.
const PREPARED: usize = 256;

/// Time to connect and say who we are.
const GREETING: Duration = Duration::from_secs(10);

/// How long a statement may wait for a lock and run, and how long a transaction may wait for us: a bound on how long
/// one side can hold the other up when the network between them is gone. A commit is as durable as the server offers,
/// and never less than on its own disk.
const SETTINGS: &str = "SET lock_timeout = '10s'; SET statement_timeout = '60s';
    SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = error;
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
    SELECT set_config('synchronous_commit', 'on', false)
      WHERE current_setting('synchronous_commit') IN ('off', 'local');";

/// A value of a statement.
pub(super) type Value<'a> = dyn ToSql + Sync + 'a;

/// A connection.
pub(super) struct Link {
    client: Client,
    prepared: Mutex<HashMap<String, Statement>>,
    driver: JoinHandle<()>,
}

impl Link {
    /// Connects to a server that takes writes.
    pub(super) async fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        Self::listening(url, None).await
    }

    /// As [`Link::open`], and sends a word for every notification that comes.
    pub(super) async fn listening(
        url: &PostgresUrl,
        heard: Option<mpsc::Sender<String>>,
    ) -> Result<Self, StoreError> {
        let connected = timeout(GREETING, Self::connect(url, heard)).await;
        connected.map_err(|_| unavailable(format!("it did not answer within {GREETING:?}")))?
    }

    async fn connect(url: &PostgresUrl, heard: Option<mpsc::Sender<String>>) -> Result<Self, StoreError> {
        let (client, mut connection) = url.config().connect(url.tls()).await.map_err(fail)?;
        let driver = tokio::spawn(async move {
            loop {
                match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    // Who listens asks for all that has moved: a word more says nothing.
                    Some(Ok(AsyncMessage::Notification(word))) => {
                        let _ = heard.as_ref().map(|heard| heard.try_send(word.payload().to_owned()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
            }
        });
        let link = Self { client, prepared: Mutex::default(), driver };
        link.batch(SETTINGS).await?;
        let standby: bool = link.one("SELECT pg_is_in_recovery()", &[]).await?.get(0);
        if standby {
            return Err(unavailable("this server is a standby that takes no writes"));
        }
        Ok(link)
    }

    /// Whether nothing can be asked here any more.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Statements without values and without answers.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).await.map_err(fail)
    }

    pub(super) async fn rows(&self, sql: &str, values: &[&Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql).await?;
        self.client.query(&statement, values).await.map_err(fail)
    }

    /// The first row, if there is one.
    pub(super) async fn row(&self, sql: &str, values: &[&Value<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The first row of a statement that always has one.
    pub(super) async fn one(&self, sql: &str, values: &[&Value<'_>]) -> Result<Row, StoreError> {
        let none = || StoreError::Failed { store: STORE.into(), why: format!("no row came of {sql}") };
        self.row(sql, values).await?.ok_or_else(none)
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, sql: &str, values: &[&Value<'_>]) -> Result<u64, StoreError> {
        let statement = self.statement(sql).await?;
        self.client.execute(&statement, values).await.map_err(fail)
    }

    pub(super) async fn statement(&self, sql: &str) -> Result<Statement, StoreError> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let statement = self.client.prepare(sql).await.map_err(fail)?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.len() >= PREPARED {
            prepared.clear();
        }
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A server that is gone would otherwise keep the task until the system gives up.
        self.driver.abort();
    }
}
