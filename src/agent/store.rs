//! Where sessions are kept: the verbs every store has, and what they promise.
//!
//! A store answers a write after it is on stable storage, and answers each write on its own: one that fails
//! changes nothing and spoils no other. One suite (`store/contract.rs`) holds every store to this page. Nothing
//! here knows who follows, or any protocol.

#[cfg(test)]
mod contract;
mod course;
mod error;
mod limits;
#[cfg(test)]
mod model;
pub mod postgres;
mod query;
mod retention;
pub mod sqlite;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use prost::Message as _;

pub(crate) use self::limits::{at_most, check_meta, check_pin, check_producer, check_tags};
pub use self::{
    error::StoreError,
    query::{InvalidToken, PageToken, SessionPage, SessionQuery, TimeRange},
    retention::{Audit, Condemned, InvalidRule, Keep, Pruned, Reason, Retention, Rule, Trimmed},
};

use crate::{
    frame::{Frame, Payload},
    mask::Masked,
    session::{
        Cursor, Epoch, Meta, Owner, Pin, RequestRecord, Seq, Session, SessionId, Status, Tags, Timestamp,
    },
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
/// The most sessions of one page of a list.
pub const MAX_LIST: usize = 1000;
/// The most sessions that one prune takes.
pub const MAX_PRUNE: usize = 10_000;

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

/// Who says something: a name within its session, and which of those that ever had the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producer {
    /// Its name.
    pub name: String,
    /// A later one of the same name has a larger epoch and shuts the earlier out. 0 neither shuts out nor is shut out.
    pub epoch: u64,
}

impl From<&str> for Producer {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), epoch: 0 }
    }
}

impl From<String> for Producer {
    fn from(name: String) -> Self {
        Self { name, epoch: 0 }
    }
}

/// Frames to be appended to one session, in order.
#[derive(Clone, Debug)]
pub struct Append {
    /// The session, which must be there.
    pub session: SessionId,
    /// Who says it.
    pub producer: Producer,
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

/// A masked copy of a source and the hash of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSource {
    /// The text with marks of the same length.
    pub masked: String,
    /// SHA-256 of the unmasked text, lower-case hex.
    pub sha256: String,
}

/// How much a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Bytes on the disk, with what is only in the log yet.
    pub bytes: u64,
    /// Sessions by their state; a state that none is in may be left out.
    pub sessions: BTreeMap<Status, u64>,
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

    /// Shuts every producer of this name and a smaller epoch out, and says the last number that the name has; 0 for
    /// none. Whoever takes a name over goes on with the next number.
    async fn claim(&self, id: &SessionId, producer: &Producer) -> Result<u64, StoreError>;

    /// The last number of a producer in a session; 0 for none.
    async fn last_counter(&self, id: &SessionId, producer: &str) -> Result<u64, StoreError>;

    /// The frames after a cursor, as many as the limit allows.
    async fn page(&self, id: &SessionId, after: Cursor, limit: PageLimit) -> Result<Page, StoreError>;

    /// One session.
    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// A page of the sessions that match, the last seen first. A session that is seen between two pages moves to the
    /// front and is not on the second; no session is on two pages.
    async fn list(&self, query: SessionQuery) -> Result<SessionPage, StoreError>;

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

    /// Pins a session, or lets it go.
    async fn pin(&self, id: &SessionId, pin: Option<Masked<Pin>>) -> Result<Session, StoreError>;

    /// Deletes a session; `false` when there was none. An operation that runs and a pinned session are refused,
    /// unless it is forced. `principal` is who asks, for the audit.
    async fn delete(&self, id: &SessionId, force: bool, principal: &str) -> Result<bool, StoreError>;

    /// The last deletions, the newest first.
    async fn audit(&self, limit: usize) -> Result<Vec<Audit>, StoreError>;

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

    /// Deletes what retention does not keep, in slices that let writers through, and gives the disk back. Says what
    /// went, at most [`MAX_PRUNE`] sessions at once; a dry run only says what would go.
    async fn prune(&self, keep: &Retention, dry_run: bool) -> Result<Pruned, StoreError>;

    /// Packs finished ranges of frames, in slices that let writers through. Reads do not notice. Says how many frames.
    async fn pack(&self) -> Result<u64, StoreError>;

    /// How much there is, for those who watch the agent.
    async fn stock(&self) -> Result<Stock, StoreError>;

    /// Makes a commit that changes nothing: whether one can be made now, and if not, why.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Finishes what is queued and closes. Later calls are refused.
    async fn close(&self) -> Result<(), StoreError>;
}

/// The bytes of a payload, as a frame with nothing else in it.
fn encode(payload: &Masked<Payload>) -> Result<Vec<u8>, StoreError> {
    let frame = ktl_proto::control::v1::Frame {
        payload: Some(payload.get().clone()),
        ..ktl_proto::control::v1::Frame::default()
    };
    at_most("a frame in bytes", frame.encoded_len(), MAX_FRAME_BYTES)?;
    Ok(frame.encode_to_vec())
}
