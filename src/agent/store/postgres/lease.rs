//! Who this agent is among those on the database: its token, and the lease that says it is alive.
//!
//! A token is given once. Every group of writes begins with a change to the token's own row, so an agent whose lease
//! was taken away cannot commit anything more, however late it wakes up; and since that row counts the groups, it says
//! whether a commit whose answer was lost has happened.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::sync::Mutex;

use super::{StoreError, link::Link, rows::MOVED};

/// How long an agent that says nothing is taken for alive.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// How long one that was stopped may take to come back for its operations, which go on under their shims.
const AWAY: Duration = Duration::from_mins(2);

/// How long the tokens that ended are remembered, for commits whose answer was lost.
const MEMORY: Duration = Duration::from_hours(24);

/// This agent.
pub(super) struct Lease {
    /// The same over all its starts.
    name: String,
    /// How long the lease runs.
    term: Duration,
    token: AtomicI64,
    /// One registration at a time.
    registering: Mutex<()>,
}

impl Lease {
    /// Registers an agent. What an earlier start of it held is its own again.
    pub(super) async fn take(link: &Link, name: &str, term: Duration) -> Result<Self, StoreError> {
        let lease =
            Self { name: name.to_owned(), term, token: AtomicI64::new(0), registering: Mutex::default() };
        lease.again(link, 0).await?;
        Ok(lease)
    }

    /// What this agent writes under.
    pub(super) fn token(&self) -> i64 {
        self.token.load(Ordering::Acquire)
    }

    /// How long the lease runs.
    pub(super) fn term(&self) -> Duration {
        self.term
    }

    /// Registers again after `ended` was taken away, unless somebody else in this process did.
    pub(super) async fn again(&self, link: &Link, ended: i64) -> Result<(), StoreError> {
        let _one = self.registering.lock().await;
        if self.token() != ended {
            return Ok(());
        }
        link.batch("BEGIN").await?;
        let token = self.register(link).await;
        link.batch(if token.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        self.token.store(token?, Ordering::Release);
        Ok(())
    }

    async fn register(&self, link: &Link) -> Result<i64, StoreError> {
        let sql = "INSERT INTO agents (name, lease_until) VALUES ($1, now() + $2 * interval '1 second') RETURNING token";
        let token: i64 = link.one(sql, &[&self.name, &self.term.as_secs_f64()]).await?.get(0);
        // Waits for what an earlier start of this agent is about to commit, and lets it commit nothing more.
        let sql = "UPDATE agents SET ended = TRUE WHERE name = $1 AND token <> $2 AND NOT ended";
        link.execute(sql, &[&self.name, &token]).await?;
        let sql = format!(
            "UPDATE sessions SET holder = $2, moved = {MOVED}, mover = $2
             WHERE status = 1 AND holder IN (SELECT token FROM agents WHERE name = $1 AND token <> $2)"
        );
        link.execute(&sql, &[&self.name, &token]).await?;
        Ok(token)
    }

    /// Says that this agent is alive; registers again when it was taken for dead.
    pub(super) async fn renew(&self, link: &Link) -> Result<(), StoreError> {
        let token = self.token();
        if extend(link, token, self.term).await? {
            return Ok(());
        }
        tracing::warn!("this agent was not heard of for {:?}: what it ran was given up for lost", self.term);
        self.again(link, token).await
    }

    /// Leaves in order: what goes on under shims is not lost before a next start had time to adopt it.
    pub(super) async fn leave(&self, link: &Link) -> Result<(), StoreError> {
        extend(link, self.token(), AWAY.max(self.term)).await.map(|_| ())
    }
}

async fn extend(link: &Link, token: i64, term: Duration) -> Result<bool, StoreError> {
    let sql =
        "UPDATE agents SET lease_until = now() + $2 * interval '1 second' WHERE token = $1 AND NOT ended";
    Ok(link.execute(sql, &[&token, &term.as_secs_f64()]).await? > 0)
}

/// Begins a group of writes under a token: `false` when nothing may be written under it any more.
pub(super) async fn begin(link: &Link, token: i64, flush: i64) -> Result<bool, StoreError> {
    link.batch("BEGIN").await?;
    let sql = "UPDATE agents SET flush = $2 WHERE token = $1 AND NOT ended";
    Ok(link.execute(sql, &[&token, &flush]).await? > 0)
}

/// Whether a group was committed. Waits for a transaction that is still on its way.
pub(super) async fn was_committed(link: &Link, token: i64, flush: i64) -> Result<bool, StoreError> {
    let sql = "SELECT flush FROM agents WHERE token = $1 FOR UPDATE";
    Ok(link.row(sql, &[&token]).await?.is_some_and(|row| row.get::<_, i64>(0) >= flush))
}

/// Ends the tokens whose lease has run out; says which, so that what they held can be given up.
pub(super) async fn expire(link: &Link) -> Result<Vec<i64>, StoreError> {
    let sql = "UPDATE agents SET ended = TRUE WHERE lease_until < now() AND NOT ended RETURNING token";
    let ended = link.rows(sql, &[]).await?.iter().map(|row| row.get(0)).collect();
    let sql = "DELETE FROM agents WHERE ended AND lease_until < now() - $1 * interval '1 second'
                 AND NOT EXISTS (SELECT 1 FROM sessions WHERE holder = token AND status = 1)";
    link.execute(sql, &[&MEMORY.as_secs_f64()]).await?;
    Ok(ended)
}
