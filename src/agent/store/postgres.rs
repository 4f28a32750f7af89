//! Sessions in a PostgreSQL database: the store that several agents share.
//!
//! Every write is part of a group that one task commits, and is answered after the commit. Numbers are given under the
//! lock of the session's row, so they have no gaps however many agents there are. An agent is known by a token, and
//! holds what it runs as long as its lease lasts (`lease`); what others write is heard of by notifications, with
//! polling behind them (`keeper`).
//!
//! Needs a connection of its own for each of its tasks: a pooler in front of the server has to pool by session.

mod address;
mod append;
mod errors;
mod flush;
mod keeper;
mod lease;
mod link;
mod list;
mod plan;
mod read;
mod readers;
mod remove;
mod rows;
mod schema;
mod sweep;
mod write;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::address::{InvalidUrl, PostgresUrl};
use self::{
    flush::Flush,
    keeper::Keeper,
    lease::{LEASE, Lease},
    link::Link,
    readers::{Readers, reading},
    writer::Writer,
};
use super::{
    Append, Appended, Audit, Created, NewSession, Page, PageLimit, PageToken, Producer, Pruned, Report,
    Retention, SessionPage, SessionQuery, SessionStore, Stock, StoreError, StoredSource, Tell, TimeRange,
    check_meta, check_pin, check_producer, check_tags, encode,
};
use crate::{
    mask::Masked,
    session::{Cursor, Meta, Pin, Session, SessionId, Tags, Timestamp},
};

/// The store in a database.
pub struct PostgresStore {
    url: PostgresUrl,
    lease: Arc<Lease>,
    writer: Arc<Writer>,
    readers: Readers,
    stop: CancellationToken,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Opens the store, and makes its tables in an empty database. `agent` is the name of this agent, the same over
    /// all its starts: what it ran before is its own again. Refuses the tables of a newer agent and a database that
    /// holds something else.
    pub async fn open(url: &PostgresUrl, agent: &str) -> Result<Self, StoreError> {
        Self::with_lease(url, agent, LEASE).await
    }

    async fn with_lease(url: &PostgresUrl, agent: &str, term: Duration) -> Result<Self, StoreError> {
        let link = Link::open(url).await?;
        schema::prepare(&link, url).await?;
        schema::warn_of_unsafe_settings(&link).await?;
        let lease = Arc::new(Lease::take(&link, agent, term).await?);
        let company = Arc::default();
        let writer = Arc::new(Writer::start(Flush::new(url, Arc::clone(&lease), Arc::clone(&company), link)));
        let stop = CancellationToken::new();
        let keeper = Keeper {
            url: url.clone(),
            lease: Arc::clone(&lease),
            company,
            tell: writer.teller(),
            writer: Arc::clone(&writer),
            stop: stop.clone(),
        };
        let keeper = Mutex::new(Some(tokio::spawn(keeper.keep())));
        Ok(Self { url: url.clone(), lease, writer, readers: Readers::new(url), stop, keeper })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl SessionStore for PostgresStore {
    fn tell(&self, tell: Tell) {
        self.writer.tell(tell);
    }

    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        new.check()?;
        self.writer.change(&new.id.clone(), new, |tx, new| write::create(tx, new).boxed()).await
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        append.check()?;
        let payloads = append.payloads.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let id = append.session.clone();
        let work: writer::Work<_, _> =
            |tx, (append, payloads): &(Append, Vec<Vec<u8>>)| append::append(tx, append, payloads).boxed();
        self.writer.change(&id, (append, payloads), work).await
    }

    async fn claim(&self, id: &SessionId, producer: &Producer) -> Result<u64, StoreError> {
        check_producer(producer)?;
        let asked = (id.clone(), producer.clone());
        self.writer.run(asked, |tx, (id, producer)| append::claim(tx, id, producer).boxed()).await
    }

    async fn last_counter(&self, id: &SessionId, producer: &str) -> Result<u64, StoreError> {
        reading!(self.readers, link => read::last_counter(link, id, producer))
    }

    async fn page(&self, id: &SessionId, after: Cursor, limit: PageLimit) -> Result<Page, StoreError> {
        reading!(self.readers, link => read::page(link, id, after, limit))
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        reading!(self.readers, link => read::session(link, id))
    }

    async fn list(&self, query: SessionQuery) -> Result<SessionPage, StoreError> {
        reading!(self.readers, link => list::list(link, &query, self.lease.token()))
    }

    async fn annotate(
        &self,
        id: &SessionId,
        meta: Masked<Meta>,
        tags: Masked<Tags>,
    ) -> Result<Session, StoreError> {
        check_meta(meta.get())?;
        check_tags(tags.get())?;
        let work: writer::Work<_, _> = |tx, (id, meta, tags): &(SessionId, Masked<Meta>, Masked<Tags>)| {
            write::annotate(tx, id, meta.get(), tags.get()).boxed()
        };
        self.writer.change(id, (id.clone(), meta, tags), work).await
    }

    async fn report(&self, id: &SessionId, report: Report) -> Result<Session, StoreError> {
        let asked = (id.clone(), report);
        self.writer.change(id, asked, |tx, (id, report)| write::report(tx, id, report).boxed()).await
    }

    async fn give_up(&self, before: Timestamp, except: Vec<SessionId>) -> Result<Vec<SessionId>, StoreError> {
        let asked = (before, except);
        let lost = self
            .writer
            .run(asked, |tx, (before, except)| write::give_up(tx, *before, except).boxed())
            .await?;
        self.writer.say(&lost);
        Ok(lost)
    }

    async fn pin(&self, id: &SessionId, pin: Option<Masked<Pin>>) -> Result<Session, StoreError> {
        let pin = pin.map(Masked::into_inner);
        pin.as_ref().map_or(Ok(()), check_pin)?;
        let asked = (id.clone(), pin);
        self.writer.change(id, asked, |tx, (id, pin)| write::pin(tx, id, pin.as_ref()).boxed()).await
    }

    async fn delete(&self, id: &SessionId, force: bool, principal: &str) -> Result<bool, StoreError> {
        let asked = (id.clone(), force, principal.to_owned());
        let work: writer::Work<_, _> = |tx, (id, force, principal): &(SessionId, bool, String)| {
            remove::delete(tx, id, *force, principal).boxed()
        };
        let deleted = self.writer.change(id, asked, work).await?;
        if deleted {
            sweep::sweep(&self.writer).await?;
        }
        Ok(deleted)
    }

    async fn audit(&self, limit: usize) -> Result<Vec<Audit>, StoreError> {
        reading!(self.readers, link => read::audit(link, limit))
    }

    async fn put_source(
        &self,
        id: &SessionId,
        path: &str,
        masked: Masked<String>,
        sha256: &str,
    ) -> Result<(), StoreError> {
        let asked = (id.clone(), path.to_owned(), masked, sha256.to_owned());
        let work: writer::Work<_, _> =
            |tx, (id, path, masked, sha256): &(SessionId, String, Masked<String>, String)| {
                write::put_source(tx, id, path, masked.get(), sha256).boxed()
            };
        self.writer.run(asked, work).await
    }

    async fn source(&self, id: &SessionId, path: &str) -> Result<Option<StoredSource>, StoreError> {
        reading!(self.readers, link => read::source(link, id, path))
    }

    async fn prune(&self, keep: &Retention, dry_run: bool) -> Result<Pruned, StoreError> {
        let plan = async { reading!(self.readers, link => plan::plan(link, keep)) }.await?;
        if dry_run {
            return Ok(plan);
        }
        let pruned = sweep::execute(&self.writer, plan).await?;
        sweep::sweep(&self.writer).await?;
        Ok(pruned)
    }

    /// Nothing is left to do: PostgreSQL packs what is large by itself.
    async fn pack(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn stock(&self) -> Result<Stock, StoreError> {
        reading!(self.readers, link => read::stock(link))
    }

    /// Every commit changes the row of this agent's token; this one nothing else.
    async fn probe(&self) -> Result<(), StoreError> {
        self.writer.run((), |_, ()| async { Ok(()) }.boxed()).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close();
        self.writer.close().await;
        self.stop.cancel();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(keeper) = keeper else { return Ok(()) };
        let _ = keeper.await;
        // Whoever cannot say that it leaves is taken for dead a little earlier.
        if let Ok(link) = Link::open(&self.url).await {
            self.lease.leave(&link).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
