//! Sessions in one SQLite file: the store that needs nothing else.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk when it answers. One thread writes and commits all that
//! waits together; readers have connections of their own and hold no transaction longer than one page.

mod append;
mod backup;
mod block;
mod damage;
mod errors;
mod files;
mod frames;
mod go;
mod import;
mod list;
mod pack;
mod plan;
mod read;
mod readers;
mod remove;
mod rows;
mod sweep;
mod write;
mod writer;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use async_trait::async_trait;
use tokio::time::sleep;

pub use self::{
    backup::{Copied, copy as copy_store, would_take},
    files::private_folder,
    go::{GoFrame, GoSession, GoStore},
    import::{Imported, Stood},
};
use self::{readers::Readers, writer::Writer};
use super::{
    Append, Appended, Audit, Created, NewSession, Page, PageLimit, Producer, Pruned, Report, Retention,
    SessionPage, SessionQuery, SessionStore, Stock, StoreError, StoredSource, Tell, check_meta, check_pin,
    check_producer, check_tags, encode,
};
use crate::{
    mask::Masked,
    session::{Cursor, Meta, Pin, Session, SessionId, Tags, Timestamp},
};

/// The store in one file and its WAL.
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the store in the file `path`, or makes it, and checks it. Refuses a file of a newer agent and one
    /// that is something else.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = files::open(path)?;
        damage::check(&connection, &path.display().to_string())?;
        Ok(Self {
            path: path.to_owned(),
            writer: Writer::start(connection, path)?,
            readers: Readers::open(path)?,
        })
    }

    /// Whether [`SqliteStore::open`] would take this file: none, an empty one, or one of ours. Any other is named and
    /// left as it is.
    pub fn recognize(path: &Path) -> Result<(), StoreError> {
        files::recognize(path)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// How often one prune looks again whether the file is small enough. What a session takes in it is an estimate.
const ROUNDS: usize = 4;

impl SqliteStore {
    /// Notes damage. That may fail: then whoever reads next notes it again.
    async fn quarantine(&self, id: &SessionId, why: String) {
        tracing::error!(session = %id, why, "in quarantine");
        let own = id.clone();
        let noted = self.writer.change(id, move |tx| pack::quarantine(tx, &own, &why)).await;
        if let Err(error) = noted {
            tracing::error!(session = %id, %error, "the quarantine could not be noted");
        }
    }

    /// Packs what may be packed of one session; says how many frames.
    async fn pack_session(&self, key: i64) -> Result<u64, StoreError> {
        let mut packed = 0;
        loop {
            let started = Instant::now();
            let Some(block) = self.readers.run(move |tx| pack::next(tx, key)).await? else {
                return Ok(packed);
            };
            let count = block.count as u64;
            if !self.writer.run(move |tx| pack::replace(tx, key, &block)).await? {
                return Ok(packed);
            }
            packed += count;
            // Half of the time is for everybody else.
            sleep(started.elapsed()).await;
        }
    }

    async fn plan(&self, keep: &Retention) -> Result<Pruned, StoreError> {
        let keep = keep.clone();
        self.readers.run(move |tx| plan::plan(tx, &keep)).await
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    fn tell(&self, tell: Tell) {
        self.writer.tell(tell);
    }

    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        new.check()?;
        self.writer.change(&new.id.clone(), move |tx| write::create(tx, &new)).await
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        append.check()?;
        let payloads = append.payloads.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        self.writer.change(&append.session.clone(), move |tx| append::append(tx, &append, &payloads)).await
    }

    async fn claim(&self, id: &SessionId, producer: &Producer) -> Result<u64, StoreError> {
        check_producer(producer)?;
        let (id, producer) = (id.clone(), producer.clone());
        self.writer.run(move |tx| append::claim(tx, &id, &producer)).await
    }

    async fn last_counter(&self, id: &SessionId, producer: &str) -> Result<u64, StoreError> {
        let (id, producer) = (id.clone(), producer.to_owned());
        self.readers.run(move |tx| read::last_counter(tx, &id, &producer)).await
    }

    async fn page(&self, id: &SessionId, after: Cursor, limit: PageLimit) -> Result<Page, StoreError> {
        let own = id.clone();
        let reading = self.readers.run(move |tx| read::page(tx, &own, after, limit)).await?;
        if let Some(why) = reading.damage {
            self.quarantine(id, why).await;
        }
        Ok(reading.page)
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let id = id.clone();
        self.readers.run(move |tx| read::session(tx, &id)).await
    }

    async fn list(&self, query: SessionQuery) -> Result<SessionPage, StoreError> {
        self.readers.run(move |tx| list::list(tx, &query)).await
    }

    async fn annotate(
        &self,
        id: &SessionId,
        meta: Masked<Meta>,
        tags: Masked<Tags>,
    ) -> Result<Session, StoreError> {
        check_meta(meta.get())?;
        check_tags(tags.get())?;
        let own = id.clone();
        self.writer.change(id, move |tx| write::annotate(tx, &own, meta.get(), tags.get())).await
    }

    async fn report(&self, id: &SessionId, report: Report) -> Result<Session, StoreError> {
        let own = id.clone();
        self.writer.change(id, move |tx| write::report(tx, &own, &report)).await
    }

    async fn give_up(&self, before: Timestamp, except: Vec<SessionId>) -> Result<Vec<SessionId>, StoreError> {
        let lost = self.writer.run(move |tx| write::give_up(tx, before, &except)).await?;
        self.writer.say(&lost);
        Ok(lost)
    }

    async fn pin(&self, id: &SessionId, pin: Option<Masked<Pin>>) -> Result<Session, StoreError> {
        let pin = pin.map(Masked::into_inner);
        pin.as_ref().map_or(Ok(()), check_pin)?;
        let own = id.clone();
        self.writer.change(id, move |tx| write::pin(tx, &own, pin.as_ref())).await
    }

    async fn delete(&self, id: &SessionId, force: bool, principal: &str) -> Result<bool, StoreError> {
        let (own, principal) = (id.clone(), principal.to_owned());
        let delete = move |tx: &_| remove::delete(tx, &own, force, &principal);
        let deleted = self.writer.change(id, delete).await?;
        if deleted {
            sweep::sweep(&self.writer).await?;
        }
        Ok(deleted)
    }

    async fn audit(&self, limit: usize) -> Result<Vec<Audit>, StoreError> {
        self.readers.run(move |tx| read::audit(tx, limit)).await
    }

    async fn put_source(
        &self,
        id: &SessionId,
        path: &str,
        masked: Masked<String>,
        sha256: &str,
    ) -> Result<(), StoreError> {
        let (id, path, sha256) = (id.clone(), path.to_owned(), sha256.to_owned());
        self.writer.run(move |tx| write::put_source(tx, &id, &path, masked.get(), &sha256)).await
    }

    async fn source(&self, id: &SessionId, path: &str) -> Result<Option<StoredSource>, StoreError> {
        let (id, path) = (id.clone(), path.to_owned());
        self.readers.run(move |tx| read::source(tx, &id, &path)).await
    }

    async fn prune(&self, keep: &Retention, dry_run: bool) -> Result<Pruned, StoreError> {
        if dry_run {
            return self.plan(keep).await;
        }
        let mut pruned = Pruned::default();
        for _ in 0..ROUNDS {
            let round = sweep::execute(&self.writer, self.plan(keep).await?).await?;
            sweep::sweep(&self.writer).await?;
            let enough = round.condemned.is_empty() || round.more || keep.max_bytes.is_none();
            pruned.add(round);
            if enough {
                break;
            }
        }
        Ok(pruned)
    }

    async fn pack(&self) -> Result<u64, StoreError> {
        let (mut key, mut packed) = (0, 0);
        while let Some(next) = self.readers.run(move |tx| pack::candidate(tx, key)).await? {
            key = next;
            match self.pack_session(key).await {
                // Reading it says so in the session; here the others go on.
                Err(error @ StoreError::Damaged { .. }) => tracing::error!(%error, "it is not packed"),
                done => packed += done?,
            }
        }
        Ok(packed)
    }

    async fn stock(&self) -> Result<Stock, StoreError> {
        let sessions = self.readers.run(read::states).await?;
        Ok(Stock { bytes: files::size(&self.path), sessions })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.writer.run(write::nothing).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close();
        self.writer.close().await
    }
}

#[cfg(test)]
mod tests;
