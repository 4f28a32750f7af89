//! `Publish`: frames in, acknowledgements out, each after its frame is on stable storage.
//!
//! Frames that have arrived together are stored together, so a client that sends ahead is limited by the disk's
//! bandwidth and not by its commits.

use std::{collections::HashMap, panic::AssertUnwindSafe};

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use ktl_proto::api::v1::{MirrorAck, MirrorFrame};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::{Services, status::session_id};
use crate::{
    mask::Masker,
    publishers::Publishing,
    session::{Meta, Owner, SessionId, Tags},
    store::{NewSession, StoreError},
};

/// The most frames that are stored at once.
const AHEAD: usize = 256;

/// The sessions that one stream has published to.
struct Known {
    masker: Masker,
    _publishing: Publishing,
}

/// What a task reads of one stream, and where its answers go.
struct Publication<F: Stream> {
    services: Services,
    frames: stream::ReadyChunks<F>,
    known: HashMap<SessionId, Known>,
    answers: mpsc::Sender<Result<MirrorAck, Status>>,
}

/// One run of frames for the same session by the same producer.
struct Run {
    id: SessionId,
    producer: String,
    frames: Vec<MirrorFrame>,
}

/// The acknowledgements of a publish stream, in the order of its frames.
///
/// A task of its own reads the frames: the Go client sends, closes, and does not wait for an answer, and what has
/// arrived by then is stored although nobody is there to be told.
pub(super) fn acks(
    services: &Services,
    frames: impl Stream<Item = Result<MirrorFrame, Status>> + Send + Unpin + 'static,
) -> ReceiverStream<Result<MirrorAck, Status>> {
    let (answers, acks) = mpsc::channel(AHEAD);
    let failed = answers.clone();
    let mut publication = Publication {
        services: services.clone(),
        frames: frames.ready_chunks(AHEAD),
        known: HashMap::new(),
        answers,
    };
    let stop = services.stop.clone();
    services.shutdown.tasks.spawn(async move {
        let run = AssertUnwindSafe(stop.run_until_cancelled(publication.run())).catch_unwind();
        if run.await.is_err() {
            let words = "the agent failed on this stream: this is a bug, report it with the agent's log";
            let _ = failed.send(Err(Status::internal(words))).await;
        }
    });
    ReceiverStream::new(acks)
}

impl<F: Stream<Item = Result<MirrorFrame, Status>> + Unpin> Publication<F> {
    /// Stores to the end of the stream, whoever listens.
    async fn run(&mut self) {
        while let Some(chunk) = self.frames.next().await {
            if let Err(status) = self.store(chunk).await {
                // Behind the acknowledgements of what was stored before it.
                let _ = self.answers.send(Err(status)).await;
                return;
            }
        }
    }

    async fn store(&mut self, chunk: Vec<Result<MirrorFrame, Status>>) -> Result<(), Status> {
        let mut run: Option<Run> = None;
        for frame in chunk {
            // Clients of the public API count on it: a frame without a session is passed over without an answer.
            if frame.as_ref().is_ok_and(|frame| frame.session_id.trim().is_empty()) {
                continue;
            }
            let read = frame.and_then(|frame| Ok((session_id(&frame.session_id)?, frame)));
            let (id, frame) = match read {
                Ok(read) => read,
                Err(status) => {
                    self.flush(run.take()).await?;
                    return Err(status);
                }
            };
            match &mut run {
                Some(run) if run.id == id && run.producer == frame.producer => run.frames.push(frame),
                _ => {
                    let producer = frame.producer.clone();
                    let before = run.replace(Run { id, producer, frames: vec![frame] });
                    self.flush(before).await?;
                }
            }
        }
        self.flush(run).await
    }

    async fn flush(&mut self, run: Option<Run>) -> Result<(), Status> {
        let Some(Run { id, producer, frames }) = run else { return Ok(()) };
        // Masked once, whatever becomes of the append: the masker remembers where a source of lines ended.
        let masker = self.masker(&id).await?.of(&producer);
        let producer = masker.mask(producer).into_inner();
        let frames: Vec<_> = frames.into_iter().map(|frame| masker.mask(bare(frame))).collect();
        let journal = self.services.journal.clone();
        let appended = match journal.publish(&id, &producer, frames.clone()).await {
            // Deleted while we published: it starts again, in an epoch of its own.
            Err(StoreError::NotFound(_)) => {
                self.known.remove(&id);
                self.masker(&id).await?;
                journal.publish(&id, &producer, frames).await?
            }
            other => other?,
        };
        for sequence in appended.first.0..=appended.last.0 {
            let ack = MirrorAck { session_id: id.to_string(), message: String::new(), sequence };
            if self.answers.send(Ok(ack)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The masker of a session. The first frame makes the session when it is not there.
    async fn masker(&mut self, id: &SessionId) -> Result<Masker, StoreError> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.masker.clone());
        }
        let masker = self.services.journal.masker(id, []).speaking();
        let new = NewSession {
            id: id.clone(),
            meta: masker.mask(Meta::default()),
            tags: masker.mask(Tags::new()),
            owner: Owner::Publisher,
            request: None,
        };
        self.services.journal.create(new).await?;
        let known = Known { masker: masker.clone(), _publishing: self.services.publishers.enter(id) };
        self.known.insert(id.clone(), known);
        Ok(masker)
    }
}

/// A frame without what the store says better: its session, its producer, its number and its time.
fn bare(frame: MirrorFrame) -> MirrorFrame {
    MirrorFrame { payload: frame.payload, ..MirrorFrame::default() }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        auth::Browsers,
        grpc::Work,
        journal::Journal,
        mask::MarkKey,
        publishers::Publishers,
        session::Seq,
        shutdown::Shutdown,
        store::{Retention, sqlite::SqliteStore},
    };

    struct Nothing;

    impl Work for Nothing {
        fn running(&self) -> usize {
            0
        }

        fn helm_versions(&self) -> HashMap<String, String> {
            HashMap::new()
        }
    }

    /// The Go client closes its connection as soon as it has sent.
    #[tokio::test]
    async fn what_has_arrived_is_stored_although_its_sender_has_gone() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&home.path().join("sessions.db")).unwrap();
        let journal = Journal::new(Arc::new(store), MarkKey::random());
        let shutdown = Shutdown::default();
        let services = Services {
            journal: journal.clone(),
            browsers: Browsers::default(),
            publishers: Publishers::default(),
            retention: Arc::new(Retention::default()),
            work: Arc::new(Nothing),
            base: "".into(),
            stop: shutdown.token.clone(),
            shutdown: shutdown.clone(),
        };
        let frame = || Ok(MirrorFrame { session_id: "s".into(), ..MirrorFrame::default() });
        let gone = Err(Status::cancelled("the client left"));
        let frames: Vec<_> = (0..600).map(|_| frame()).chain([gone]).collect();
        drop(acks(&services, stream::iter(frames)));
        let id = SessionId::parse("s").unwrap();
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if journal.session(&id).await.unwrap().is_some_and(|session| session.head == Seq(600)) {
                assert!(shutdown.drain(Duration::from_secs(5)).await.is_ok(), "its task goes on");
                return;
            }
        }
        panic!("frames that had arrived are lost: {:?}", journal.session(&id).await);
    }
}
