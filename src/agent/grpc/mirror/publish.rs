//! `Publish`: frames in, acknowledgements out, each after its frame is on stable storage.
//!
//! Frames that have arrived together are stored together, so a client that sends ahead is limited by the disk's
//! bandwidth and not by its commits.

use std::collections::{HashMap, VecDeque};

use futures::{Stream, StreamExt as _, stream};
use ktl_proto::api::v1::{MirrorAck, MirrorFrame};
use tonic::{Status, Streaming};

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

struct Publication {
    services: Services,
    frames: stream::ReadyChunks<Streaming<MirrorFrame>>,
    known: HashMap<SessionId, Known>,
    answers: VecDeque<Result<MirrorAck, Status>>,
    over: bool,
}

/// One run of frames for the same session by the same producer.
struct Run {
    id: SessionId,
    producer: String,
    frames: Vec<MirrorFrame>,
}

/// The acknowledgements of a publish stream, in the order of its frames.
pub(super) fn acks(
    services: Services,
    frames: Streaming<MirrorFrame>,
) -> impl Stream<Item = Result<MirrorAck, Status>> {
    let publication = Publication {
        services,
        frames: frames.ready_chunks(AHEAD),
        known: HashMap::new(),
        answers: VecDeque::new(),
        over: false,
    };
    stream::unfold(publication, |mut publication| async move {
        let next = publication.next().await?;
        Some((next, publication))
    })
}

impl Publication {
    async fn next(&mut self) -> Option<Result<MirrorAck, Status>> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Some(answer);
            }
            if self.over {
                return None;
            }
            let chunk = self.frames.next().await?;
            if let Err(status) = self.store(chunk).await {
                // Behind the acknowledgements of what was stored before it.
                self.answers.push_back(Err(status));
                self.over = true;
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
        let ack = |sequence| MirrorAck { session_id: id.to_string(), message: String::new(), sequence };
        self.answers.extend((appended.first.0..=appended.last.0).map(|sequence| Ok(ack(sequence))));
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
