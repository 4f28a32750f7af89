//! One group of writes, from its begin to its answers, through everything that a server can do in between.
//!
//! | what happens | what is done |
//! |---|---|
//! | a write is refused | its savepoint is rolled back, the others go on |
//! | the server goes away before the commit | the group is done again on a new connection |
//! | the server goes away during the commit | the group's number in the token's row says whether it is there |
//! | the token was ended | a new one is taken, and the group is done again under it |
//! | none of that within [`PATIENCE`] | all of the group are refused with the reason |

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    StoreError,
    address::PostgresUrl,
    errors::unavailable,
    lease::{self, Lease},
    link::Link,
    writer::{Job, PATIENCE, Refused, Tx},
};

/// How long to wait before the server is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// The channel of notifications.
pub(super) const CHANNEL: &str = "ktl";

/// Writes groups.
pub(super) struct Flush {
    url: PostgresUrl,
    lease: Arc<Lease>,
    /// Whether others listen.
    company: Arc<AtomicBool>,
    link: Option<Link>,
    /// The number of the last group.
    number: i64,
    /// The token of a commit of this group that was not answered.
    doubt: Option<i64>,
}

impl Flush {
    pub(super) fn new(url: &PostgresUrl, lease: Arc<Lease>, company: Arc<AtomicBool>, link: Link) -> Self {
        Self { url: url.clone(), lease, company, link: Some(link), number: 0, doubt: None }
    }

    /// Writes a group and answers each of it.
    pub(super) async fn write(&mut self, mut group: Vec<Box<dyn Job>>) {
        self.number += 1;
        self.doubt = None;
        let end = Instant::now() + PATIENCE;
        let committed = loop {
            match self.attempt(&mut group).await {
                Err(gone @ StoreError::Unavailable { .. }) if Instant::now() + PAUSE < end => {
                    tracing::debug!(error = %gone, "a group of writes is tried again");
                    sleep(PAUSE).await;
                }
                done => break done,
            }
        };
        let committed = committed.map_err(|error| self.explain(error));
        if let Err(error) = &committed {
            tracing::error!(%error, writes = group.len(), "a group of writes has failed");
        }
        for job in group {
            job.settle(match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(again(error)),
            });
        }
    }

    /// Says of a commit that was never answered that it may have happened.
    fn explain(&self, error: StoreError) -> StoreError {
        match (error, self.doubt) {
            (StoreError::Unavailable { store, why }, Some(_)) => StoreError::Unavailable {
                store,
                why: format!("{why}; the commit was not answered, so what was sent may be stored"),
            },
            (error, _) => error,
        }
    }

    async fn attempt(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let link = match self.link.take() {
            Some(link) if !link.is_closed() => link,
            _ => Link::open(&self.url).await?,
        };
        if let Some(token) = self.doubt
            && lease::was_committed(&link, token, self.number).await?
        {
            self.link = Some(link);
            return Ok(());
        }
        self.doubt = None;
        let tx = Tx { link, token: self.lease.token() };
        if !lease::begin(&tx.link, tx.token, self.number).await? {
            tx.link.batch("ROLLBACK").await?;
            self.lease.again(&tx.link, tx.token).await?;
            return Err(unavailable("another agent took this one for dead"));
        }
        run_all(&tx, group).await?;
        self.doubt = Some(tx.token);
        tx.link.batch(&self.commit(&tx, group)).await?;
        self.doubt = None;
        // Only now: a connection with a transaction that failed is not used again.
        self.link = Some(tx.link);
        Ok(())
    }

    /// One word to the other agents for the whole group, if there are any: the word is behind one lock of the whole
    /// server until the commit is on its disk.
    fn commit(&self, tx: &Tx, group: &[Box<dyn Job>]) -> String {
        let moves = group.iter().any(|job| job.moves());
        if moves && self.company.load(Ordering::Relaxed) {
            return format!("NOTIFY {CHANNEL}, '{}'; COMMIT", tx.token);
        }
        "COMMIT".to_owned()
    }
}

/// Each job behind a savepoint of its own.
async fn run_all(tx: &Tx, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    for job in group {
        let (begun, done) = tokio::join!(biased; tx.link.batch("SAVEPOINT job"), job.run(tx));
        begun?;
        match done {
            Ok(()) => tx.link.batch("RELEASE job").await?,
            Err(Refused::Itself) => tx.link.batch("ROLLBACK TO job; RELEASE job").await?,
            Err(Refused::Transaction(gone)) => return Err(gone),
        }
    }
    Ok(())
}

/// The same failure of a whole group, for the next of its writes.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full(store) => StoreError::Full(store.clone()),
        StoreError::ReadOnly { store, why } => {
            StoreError::ReadOnly { store: store.clone(), why: why.clone() }
        }
        StoreError::Unavailable { store, why } => {
            StoreError::Unavailable { store: store.clone(), why: why.clone() }
        }
        other => StoreError::Failed { store: super::errors::STORE.into(), why: other.to_string() },
    }
}
