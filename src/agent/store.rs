//! Where sessions are kept: the verbs every store has, and what they promise.
//!
//! A store answers a write after it is on stable storage, and answers each write on its own: one that fails
//! changes nothing and spoils no other. One suite (`store/contract.rs`) holds every store to this page. Nothing
//! here knows who follows, or any protocol.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod model;
pub mod sqlite;

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    frame::{Frame, Payload},
    mask::Masked,
    session::{Cursor, Epoch, Meta, Owner, RequestRecord, Seq, Session, SessionId, Status, Tags, Timestamp},
};

/// The largest frame, encoded: what a gRPC peer may receive in one message.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;
/// The most frames of one append.
pub const MAX_BATCH: usize = 4096;
/// The most tags of one session.
pub const MAX_TAGS: usize = 64;
/// The longest text in metadata and tags, in bytes; all args together count as one.
pub const MAX_TEXT: usize = 8 * 1024;
/// The longest producer name, in bytes.
pub const MAX_PRODUCER: usize = 128;
/// The most sessions of one list.
pub const MAX_LIST: usize = 1000;

/// A session to be.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its name.
    pub id: SessionId,
    /// What it is about.
    pub meta: Masked<Meta>,
    /// Free words of its caller.
    pub tags: Masked<Tags>,
    /// Who writes it.
    pub owner: Owner,
    /// The request that starts it; none for a publisher's.
    pub request: Option<Masked<RequestRecord>>,
}

/// The answer to a create.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // It is taken apart at once; a box would only be in the way.
pub enum Created {
    /// It was made now, or it only carried metadata and was taken over.
    New(Session),
    /// It was there; nothing changed.
    Known(Session),
}

impl Created {
    /// The session, whichever it was.
    pub fn into_session(self) -> Session {
        match self {
            Self::New(session) | Self::Known(session) => session,
        }
    }
}

/// Frames to be appended to one session, in order.
#[derive(Clone, Debug)]
pub struct Append {
    /// The session, which must be there.
    pub session: SessionId,
    /// Who says it.
    pub producer: String,
    /// The producer's own number of the first payload, from 1. With it a repeat is recognized and a gap refused.
    pub counter: Option<u64>,
    /// What is said.
    pub payloads: Vec<Masked<Payload>>,
    /// Set when these are the last frames: the state changes in the same transaction.
    pub end: Option<End>,
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub struct End {
    /// A terminal state.
    pub status: Status,
    /// 0 done, 1 failed, 130 cancelled.
    pub exit_code: i32,
    /// One sentence.
    pub message: Masked<String>,
}

/// The answer to an append: the frames are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The history that the numbers count in.
    pub epoch: Epoch,
    /// The number of the first payload.
    pub first: Seq,
    /// The number of the last payload.
    pub last: Seq,
    /// All of them were there already: this is the first answer again.
    pub repeated: bool,
}

/// A state that a client sets through the public API.
#[derive(Clone, Debug)]
pub struct Report {
    /// The state it wants.
    pub status: Status,
    /// How it ended.
    pub exit_code: i32,
    /// Why; empty keeps what is there.
    pub message: Masked<String>,
    /// When it ended; 0 lets the store say.
    pub completed: Timestamp,
}

/// What a follower has to know beside the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The history.
    pub epoch: Epoch,
    /// The oldest frame still there; `head + 1` when none is.
    pub first: Seq,
    /// The last durable frame.
    pub head: Seq,
    /// The state.
    pub status: Status,
    /// How it ended.
    pub exit_code: i32,
    /// What its end said.
    pub message: String,
}

/// A piece of a session, read in one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    /// The cursor belongs to another history, or to a future this one never had.
    Foreign(Heading),
    /// The frames after the cursor, in order and without a hole. The first one is `max(cursor + 1, first)`.
    Frames(Heading, Vec<Frame>),
}

/// How much to read at once. At least one frame comes, however large.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit {
    /// Frames.
    pub frames: usize,
    /// Encoded bytes.
    pub bytes: usize,
}

impl Default for PageLimit {
    fn default() -> Self {
        Self { frames: 512, bytes: 1 << 20 }
    }
}

/// Which sessions to list: those that match everything that is set, the last seen first.
#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    /// 0 means 200; at most [`MAX_LIST`].
    pub limit: usize,
    /// Fields that are not empty must be equal; `args` is a prefix.
    pub meta: Meta,
    /// As the public API compares: letter case does not count, and `command` may be a part.
    pub loose: bool,
    /// All must be there; an empty value asks for the key alone.
    pub tags: Tags,
    /// One of these; empty for any.
    pub status: Vec<Status>,
    /// Only sessions that this side writes.
    pub owner: Option<Owner>,
    /// Last seen at or after this; 0 for any.
    pub since: Timestamp,
    /// Last seen at or before this; 0 for any.
    pub until: Timestamp,
}

/// A masked copy of a source and the hash of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSource {
    /// The text with marks of the same length.
    pub masked: String,
    /// SHA-256 of the unmasked text, lower-case hex.
    pub sha256: String,
}

/// What may stay: finished sessions beyond any of these go, the oldest end first. Running ones never go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Sessions altogether.
    pub max_sessions: Option<u64>,
    /// Bytes of frames and sources.
    pub max_bytes: Option<u64>,
    /// Time since the end.
    pub max_age: Option<Duration>,
}

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such session.
    #[error("session {0} is not known")]
    NotFound(SessionId),
    /// A numbered frame that leaves some out.
    #[error("producer {producer} sent frame {got}, expected {expected}: send the frames between again")]
    ProducerGap {
        /// Who.
        producer: String,
        /// The number that would have been right.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// Something is larger than its limit.
    #[error("{what} is {actual}, the limit is {limit}")]
    TooLarge {
        /// The thing and its unit.
        what: &'static str,
        /// What came.
        actual: usize,
        /// What may.
        limit: usize,
    },
    /// A value that means nothing here.
    #[error("{0}")]
    Invalid(String),
    /// The session runs, or belongs to an operation of this agent.
    #[error("{0}")]
    Busy(String),
    /// No space.
    #[error("the disk that holds {0} is full: free some space, then try again")]
    Full(String),
    /// The store cannot be written now.
    #[error("{store} cannot be written: {why}")]
    ReadOnly {
        /// The file.
        store: String,
        /// What the system said.
        why: String,
    },
    /// What is stored cannot be read.
    #[error("{store} is damaged: {why}")]
    Damaged {
        /// The file, or the session in it.
        store: String,
        /// What is wrong.
        why: String,
    },
    /// The file was written by a newer agent.
    #[error("{store} has format {found}, this agent knows up to {known}: start a newer ktl-agent on it")]
    Newer {
        /// The file.
        store: String,
        /// The format of the file.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
    /// The file is something else.
    #[error("{0} is not a store of ktl-agent: name another folder with --data")]
    Alien(String),
    /// The agent is stopping.
    #[error("the store is closed: the agent is stopping")]
    Closed,
    /// Anything else that the system said.
    #[error("{store} failed: {why}")]
    Failed {
        /// The file.
        store: String,
        /// What the system said.
        why: String,
    },
    /// The folder could not be made or opened.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// The folder or file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Called with the name of a session that has changed.
pub type Tell = Arc<dyn Fn(&SessionId) + Send + Sync>;

/// Keeps sessions.
///
/// Frames of a session are numbered by the store from 1 without gaps, in the order of `append`. A number that
/// was given is never given again inside its epoch, and a deleted id that is used again starts a larger epoch.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Sets who is told of every durable change, once. The store says it rather than the caller of a write, because
    /// a caller may leave before the commit that it asked for.
    fn tell(&self, tell: Tell);

    /// Makes a session, or says that it is there. An id that only carries metadata becomes the new session.
    async fn create(&self, new: NewSession) -> Result<Created, StoreError>;

    /// Appends, all or nothing; answers when it is durable.
    async fn append(&self, append: Append) -> Result<Appended, StoreError>;

    /// The last number of a producer in a session; 0 for none.
    async fn last_counter(&self, id: &SessionId, producer: &str) -> Result<u64, StoreError>;

    /// The frames after a cursor, as many as the limit allows.
    async fn page(&self, id: &SessionId, after: Cursor, limit: PageLimit) -> Result<Page, StoreError>;

    /// One session.
    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// Sessions that match.
    async fn list(&self, query: SessionQuery) -> Result<Vec<Session>, StoreError>;

    /// Merges metadata and tags into a session; makes it when it is not there.
    async fn annotate(
        &self,
        id: &SessionId,
        meta: Masked<Meta>,
        tags: Masked<Tags>,
    ) -> Result<Session, StoreError>;

    /// Moves the state of a publisher's session; makes it when it is not there.
    async fn report(&self, id: &SessionId, report: Report) -> Result<Session, StoreError>;

    /// Gives publishers' sessions up for lost that nothing was heard of since `before`, but for `except`. Says which.
    async fn give_up(&self, before: Timestamp, except: Vec<SessionId>) -> Result<Vec<SessionId>, StoreError>;

    /// Deletes a session; `false` when there was none. One that runs is refused.
    async fn delete(&self, id: &SessionId) -> Result<bool, StoreError>;

    /// Keeps the masked copy of a source; the same path again replaces it.
    async fn put_source(
        &self,
        id: &SessionId,
        path: &str,
        masked: Masked<String>,
        sha256: &str,
    ) -> Result<(), StoreError>;

    /// The masked copy of a source.
    async fn source(&self, id: &SessionId, path: &str) -> Result<Option<StoredSource>, StoreError>;

    /// Deletes what retention does not keep, in slices that let writers through, and gives the disk back. Says
    /// which sessions went.
    async fn prune(&self, keep: Retention) -> Result<Vec<SessionId>, StoreError>;

    /// Finishes what is queued and closes. Later calls are refused.
    async fn close(&self) -> Result<(), StoreError>;
}

impl NewSession {
    /// Refuses what is over a limit.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_meta(self.meta.get())?;
        check_tags(self.tags.get())
    }
}

impl Append {
    /// Refuses what is over a limit.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        at_most("a batch in frames", self.payloads.len(), MAX_BATCH)?;
        at_most("a producer name in bytes", self.producer.len(), MAX_PRODUCER)?;
        if self.payloads.is_empty() {
            return Err(StoreError::Invalid("a batch needs at least one frame".into()));
        }
        if self.counter == Some(0) {
            return Err(StoreError::Invalid("a producer numbers its frames from 1, not from 0".into()));
        }
        Ok(())
    }
}

pub(crate) fn check_meta(meta: &Meta) -> Result<(), StoreError> {
    let texts = [
        &meta.command,
        &meta.requester,
        &meta.cluster,
        &meta.context,
        &meta.namespace,
        &meta.release,
        &meta.chart,
        &meta.principal,
        &meta.workspace,
    ];
    let longest = texts.into_iter().map(String::len).max().unwrap_or(0);
    at_most("a metadata field in bytes", longest, MAX_TEXT)?;
    at_most("metadata args in bytes", meta.args.iter().map(String::len).sum(), MAX_TEXT)
}

pub(crate) fn check_tags(tags: &Tags) -> Result<(), StoreError> {
    at_most("the number of tags", tags.len(), MAX_TAGS)?;
    let longest = tags.iter().map(|(key, value)| key.len().max(value.len())).max().unwrap_or(0);
    at_most("a tag in bytes", longest, MAX_TEXT)
}

fn at_most(what: &'static str, actual: usize, limit: usize) -> Result<(), StoreError> {
    if actual > limit { Err(StoreError::TooLarge { what, actual, limit }) } else { Ok(()) }
}
