//! What an agent does beside reading and writing: it says that it is alive, looks after those that are not, and hears
//! what others have changed.
//!
//! A notification says only that something moved; what moved is read from the tables, by the number of the transaction
//! that moved it. So a notification that is lost costs a second, and nothing else.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    StoreError, Tell,
    address::PostgresUrl,
    flush::CHANNEL,
    lease::{self, Lease},
    link::Link,
    rows, write,
    writer::{Tx, Writer},
};
use crate::session::{Owner, SessionId, Status};

/// How often is looked without a word from anybody.
const POLL: Duration = Duration::from_secs(1);
/// How long is waited for more words before it is looked.
const GATHER: Duration = Duration::from_millis(5);

/// What the task works with.
pub(super) struct Keeper {
    pub(super) url: PostgresUrl,
    pub(super) lease: Arc<Lease>,
    pub(super) company: Arc<AtomicBool>,
    pub(super) tell: Arc<OnceLock<Tell>>,
    pub(super) writer: Arc<Writer>,
    pub(super) stop: CancellationToken,
}

impl Keeper {
    /// Runs until it is stopped, through every absence of the server.
    pub(super) async fn keep(self) {
        let mut since = None;
        while !self.stop.is_cancelled() {
            let Err(error) = self.watch(&mut since).await else { return };
            tracing::debug!(%error, "the PostgreSQL store is away");
            tokio::select! {
                () = sleep(POLL) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Watches over one connection. Who was away itself judges nobody before a whole lease has passed.
    async fn watch(&self, since: &mut Option<i64>) -> Result<(), StoreError> {
        let (word, mut heard) = mpsc::channel(1);
        let link = Link::listening(&self.url, Some(word)).await?;
        link.batch(&format!("LISTEN {CHANNEL}")).await?;
        let connected = Instant::now();
        let mut renewed = None;
        let mut ticks = interval(POLL.min(self.lease.term() / 3));
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
                _ = heard.recv() => {
                    sleep(GATHER).await;
                    while heard.try_recv().is_ok() {}
                }
            }
            if renewed.is_none_or(|at: Instant| at.elapsed() >= self.lease.term() / 5) {
                renewed = Some(Instant::now());
                self.lease.renew(&link).await?;
                self.look_around(&link).await?;
                if connected.elapsed() >= self.lease.term() {
                    lease::expire(&link).await?;
                    self.give_up().await?;
                }
            }
            self.tell_what_moved(&link, since).await?;
        }
    }

    /// Whether there is anybody to be notified.
    async fn look_around(&self, link: &Link) -> Result<(), StoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM agents WHERE token <> $1 AND NOT ended AND lease_until > now())";
        let others: bool = link.one(sql, &[&self.lease.token()]).await?.get(0);
        self.company.store(others, Ordering::Relaxed);
        Ok(())
    }

    /// Marks the operations of agents that are gone.
    async fn give_up(&self) -> Result<(), StoreError> {
        let lost = self.writer.run((), |tx, ()| give_up(tx).boxed()).await?;
        for id in &lost {
            tracing::warn!(session = %id, "its agent is gone: given up for lost");
        }
        self.writer.say(&lost);
        Ok(())
    }

    /// Says which sessions other agents have changed.
    async fn tell_what_moved(&self, link: &Link, since: &mut Option<i64>) -> Result<(), StoreError> {
        // Whatever is before the oldest transaction that still runs is seen by the statement after this one.
        let sql = "SELECT (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint";
        let oldest: i64 = link.one(sql, &[]).await?.get(0);
        if let (Some(since), Some(tell)) = (*since, self.tell.get()) {
            for row in link.rows(MOVED_SINCE, &[&since, &self.lease.token()]).await? {
                if let Ok(id) = SessionId::parse(row.get(0)) {
                    tell(&id);
                }
            }
        }
        *since = Some(oldest);
        Ok(())
    }
}

/// Numbers from the future are those of a server that this database was copied from.
const MOVED_SINCE: &str = "SELECT id FROM sessions WHERE moved >= $1 AND mover <> $2
       AND moved < (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint
     UNION ALL SELECT session FROM audit WHERE moved >= $1 AND mover <> $2
       AND moved < (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint";

async fn give_up(tx: &Tx) -> Result<Vec<SessionId>, StoreError> {
    let sql = "SELECT id, holder FROM sessions WHERE status = 1 AND owner = $1
                 AND NOT EXISTS (SELECT 1 FROM agents WHERE token = holder AND NOT ended)";
    let owner = rows::owner_number(Owner::Agent);
    let mut lost = Vec::new();
    for row in tx.link.rows(sql, &[&owner]).await? {
        let Ok(id) = SessionId::parse(row.get(0)) else { continue };
        let Some(mut stored) = rows::find(tx, &id).await? else { continue };
        // Its agent may have come back for it before it was locked.
        if stored.session.status == Status::Running && stored.holder == row.get::<_, i64>(1) {
            write::lose(tx, &mut stored).await?;
            lost.push(id);
        }
    }
    Ok(lost)
}
