//! Appends frames and lets followers read them.
//!
//! Every write to a session goes through here, so a frame has one number and one order, and every text is masked.
//! Delivery promise: a follower sees each frame after its cursor once, in order, and is told what it cannot have.
//! The store is the truth; in memory there is only "there is more". Nothing here knows SQL or a protocol.

mod follow;
mod followers;
mod heads;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt as _};

pub use self::follow::Followed;
use self::{follow::Follower, followers::Followers, heads::Heads};
use crate::{
    frame::{Ended, Fact, ended_status, published::MirrorFrame},
    mask::{MarkKey, Masked, Masker, Memory},
    metrics::{Lag, Metrics},
    session::{Cursor, Meta, Owner, Pin, Session, SessionId, Status, Tags, Timestamp},
    store::{
        Append, Appended, Audit, Created, End, MAX_LIST, NewSession, Producer, Pruned, Report, Retention,
        SessionPage, SessionQuery, SessionStore, Stock, StoreError, StoredSource,
    },
};

/// Facts of one producer, to be appended in order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who says it: "apply", "helm", "rollout", "agent".
    pub producer: String,
    /// The producer's own number of the first fact, from 1. With it, a batch that is sent again gets its first
    /// answer again, and one that leaves a number out is refused.
    pub counter: Option<u64>,
    /// What is said.
    pub facts: Vec<Masked<Fact>>,
}

/// The sessions of one agent. Cheap to clone; all clones are one journal.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn SessionStore>,
    heads: Heads,
    followers: Followers,
    metrics: Metrics,
    marks: MarkKey,
    memory: Memory,
}

impl Journal {
    /// A journal over a store. `marks` should outlive the process, so that equal secrets of a session keep equal
    /// marks.
    pub fn new(store: Arc<dyn SessionStore>, marks: MarkKey) -> Self {
        let heads = Heads::default();
        let raised = heads.clone();
        store.tell(Arc::new(move |id| raised.raise(id)));
        let (followers, metrics) = (Followers::default(), Metrics::default());
        Self { store, heads, followers, metrics, marks, memory: Memory::default() }
    }

    /// The masker of a session that also hides `known` secret values, and those that its other maskers learned.
    pub fn masker(&self, id: &SessionId, known: impl IntoIterator<Item = String>) -> Masker {
        self.memory.masker(&self.marks, id, known)
    }

    /// The same, with a memory that others share: what its sessions are known to hold is hidden there too.
    #[must_use]
    pub fn remembering(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    /// Makes a session, or says that it is there. An id that so far only carries metadata becomes the new session.
    pub async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        self.store.create(new).await
    }

    /// Appends facts; answers when they are durable.
    pub async fn append(&self, id: &SessionId, batch: Batch) -> Result<Appended, StoreError> {
        let payloads = batch.facts.into_iter().map(Masked::<Fact>::into_payload).collect();
        let append = Append {
            session: id.clone(),
            producer: batch.producer.into(),
            counter: batch.counter,
            payloads,
            end: None,
        };
        self.timed(append).await
    }

    /// Appends frames of a client; answers when they are durable.
    pub async fn publish(
        &self,
        id: &SessionId,
        producer: &str,
        frames: Vec<Masked<MirrorFrame>>,
    ) -> Result<Appended, StoreError> {
        let payloads = frames.into_iter().map(Masked::<MirrorFrame>::into_payload).collect();
        let producer = producer.into();
        let append = Append { session: id.clone(), producer, counter: None, payloads, end: None };
        self.timed(append).await
    }

    /// As [`Journal::publish`], by a producer that numbers its frames: `counter` is its number of the first. A repeat
    /// gets the first answer again, a gap is refused, and so is a producer that a newer one has replaced.
    pub async fn publish_numbered(
        &self,
        id: &SessionId,
        producer: &Producer,
        counter: u64,
        frames: Vec<Masked<MirrorFrame>>,
    ) -> Result<Appended, StoreError> {
        let payloads = frames.into_iter().map(Masked::<MirrorFrame>::into_payload).collect();
        let (session, producer) = (id.clone(), producer.clone());
        let append = Append { session, producer, counter: Some(counter), payloads, end: None };
        self.timed(append).await
    }

    /// Shuts out every producer of this name with a smaller epoch, and says the last number that the name has.
    pub async fn claim(&self, id: &SessionId, producer: &Producer) -> Result<u64, StoreError> {
        self.store.claim(id, producer).await
    }

    /// Appends the last fact and moves the state, in one transaction. Status, exit code and message are those of
    /// `ended`. A session that has ended keeps its end; the fact is appended all the same.
    pub async fn finish(
        &self,
        id: &SessionId,
        producer: &str,
        counter: Option<u64>,
        ended: Masked<Ended>,
    ) -> Result<Appended, StoreError> {
        let end = End {
            status: ended_status(ended.get()),
            exit_code: ended.get().exit_code,
            message: ended.message(),
        };
        let payloads = vec![ended.into_fact().into_payload()];
        let producer = producer.into();
        let append = Append { session: id.clone(), producer, counter, payloads, end: Some(end) };
        self.timed(append).await
    }

    async fn timed(&self, append: Append) -> Result<Appended, StoreError> {
        let began = Instant::now();
        let appended = self.store.append(append).await;
        let frames =
            appended.as_ref().ok().map(|it| if it.repeated { 0 } else { it.last.0 + 1 - it.first.0 });
        self.metrics.appended(began.elapsed(), frames);
        appended
    }

    /// The last number of a producer in a session; 0 for none.
    pub async fn last_counter(&self, id: &SessionId, producer: &str) -> Result<u64, StoreError> {
        self.store.last_counter(id, producer).await
    }

    /// Every frame after the cursor, then what comes, until the session ends. `heartbeat` is how long a silence
    /// lasts before the head is said again.
    pub fn follow(
        &self,
        id: &SessionId,
        after: Cursor,
        heartbeat: Duration,
    ) -> impl Stream<Item = Result<Followed, StoreError>> + Send + use<> {
        self.follower(id, after, heartbeat).into_stream()
    }

    /// As [`Journal::follow`], but an end that is told does not end it: clients of the public API expect a tail
    /// that stays. Frames that come after an end are sent too, and a session that is not
    /// there yet is waited for.
    pub fn tail(
        &self,
        id: &SessionId,
        after: Cursor,
        heartbeat: Duration,
    ) -> impl Stream<Item = Result<Followed, StoreError>> + Send + use<> {
        self.follower(id, after, heartbeat).past_the_end().into_stream()
    }

    /// The frames after the cursor up to the present head, for an export.
    pub fn recorded(
        &self,
        id: &SessionId,
        after: Cursor,
    ) -> impl Stream<Item = Result<Followed, StoreError>> + Send + use<> {
        self.follower(id, after, Duration::MAX).up_to_the_head().into_stream()
    }

    fn follower(&self, id: &SessionId, after: Cursor, heartbeat: Duration) -> Follower {
        let place = self.followers.join(id, after.seq);
        Follower::new(Arc::clone(&self.store), self.heads.watch(id), place, id.clone(), after, heartbeat)
    }

    /// One session.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        self.store.session(id).await
    }

    /// One session, which must be there.
    pub async fn require(&self, id: &SessionId) -> Result<Session, StoreError> {
        self.store.session(id).await?.ok_or_else(|| StoreError::NotFound(id.clone()))
    }

    /// A page of the sessions that match, the last seen first.
    pub async fn list(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        self.store.list(query.clone()).await
    }

    /// All running sessions of one side that this agent writes.
    pub async fn running(&self, owner: Owner) -> Result<Vec<Session>, StoreError> {
        let status = vec![Status::Running];
        let mut query = SessionQuery {
            limit: MAX_LIST,
            status,
            owner: Some(owner),
            held: true,
            ..SessionQuery::default()
        };
        let mut running = Vec::new();
        loop {
            let page = self.store.list(query.clone()).await?;
            running.extend(page.sessions);
            query.after = page.next;
            if query.after.is_none() {
                return Ok(running);
            }
        }
    }

    /// Merges metadata and tags into a session; makes it when it is not there.
    pub async fn annotate(
        &self,
        id: &SessionId,
        meta: Masked<Meta>,
        tags: Masked<Tags>,
    ) -> Result<Session, StoreError> {
        self.store.annotate(id, meta, tags).await
    }

    /// Moves the state of a publisher's session; makes it when it is not there.
    pub async fn report(&self, id: &SessionId, report: Report) -> Result<Session, StoreError> {
        self.store.report(id, report).await
    }

    /// Gives publishers' sessions up for lost that nothing was heard of since `before`, but for `except`.
    pub async fn give_up(
        &self,
        before: Timestamp,
        except: Vec<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.store.give_up(before, except).await
    }

    /// Holds a session against retention and deletion, or lets it go.
    pub async fn pin(&self, id: &SessionId, pin: Option<Masked<Pin>>) -> Result<Session, StoreError> {
        self.store.pin(id, pin).await
    }

    /// Deletes a session; `false` when there was none. Its followers are told. What runs or is pinned is refused,
    /// unless it is forced; `principal` is who asks.
    pub async fn delete(&self, id: &SessionId, force: bool, principal: &str) -> Result<bool, StoreError> {
        self.store.delete(id, force, principal).await
    }

    /// The last deletions, the newest first.
    pub async fn audit(&self, limit: usize) -> Result<Vec<Audit>, StoreError> {
        self.store.audit(limit).await
    }

    /// Keeps the masked copy of a source of a session; `sha256` is that of the original.
    pub async fn put_source(
        &self,
        id: &SessionId,
        path: &str,
        masked: Masked<String>,
        sha256: &str,
    ) -> Result<(), StoreError> {
        self.store.put_source(id, path, masked, sha256).await
    }

    /// The masked copy of a source.
    pub async fn read_source(&self, id: &SessionId, path: &str) -> Result<Option<StoredSource>, StoreError> {
        self.store.source(id, path).await
    }

    /// Deletes what retention does not keep, or says what it would take. Followers of what went are told.
    pub async fn prune(&self, keep: &Retention, dry_run: bool) -> Result<Pruned, StoreError> {
        let pruned = self.store.prune(keep, dry_run).await?;
        if !dry_run {
            self.metrics.pruned(&pruned);
        }
        Ok(pruned)
    }

    /// What is counted here, and for others to count in.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How much there is.
    pub async fn stock(&self) -> Result<Stock, StoreError> {
        self.store.stock().await
    }

    /// How far the followers are behind the heads of their sessions. Reads each followed session once.
    pub async fn lag(&self) -> Result<Lag, StoreError> {
        let mut lag = Lag::default();
        for (id, taken) in self.followers.taken() {
            let head = self.store.session(&id).await?.map_or(0, |session| session.head.0);
            for taken in taken {
                let behind = head.saturating_sub(taken.0);
                lag.followers += 1;
                lag.total += behind;
                lag.max = lag.max.max(behind);
            }
        }
        Ok(lag)
    }

    /// Makes a commit that changes nothing.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.store.probe().await
    }

    /// Packs finished ranges of frames; reads do not notice.
    pub async fn pack(&self) -> Result<u64, StoreError> {
        self.store.pack().await
    }

    /// Reads every frame of a session once. What cannot be read is noted in the session.
    pub async fn look_over(&self, id: &SessionId) -> Result<(), StoreError> {
        let mut frames = std::pin::pin!(self.recorded(id, Cursor::START));
        while let Some(frame) = frames.next().await {
            frame?;
        }
        Ok(())
    }

    /// Finishes what is queued and closes the store.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

#[cfg(test)]
mod tests;
