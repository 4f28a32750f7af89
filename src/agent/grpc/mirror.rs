//! `ktl.api.v1.MirrorService`: sessions as the Go `ktl` speaks of them, out of the same journal.

mod publish;

use std::time::Duration;

use futures::{StreamExt as _, future::ready, stream, stream::BoxStream};
use ktl_proto::api::v1::{self as api, mirror_service_server::MirrorService};
use tonic::{Request, Response, Status, Streaming};

use super::{Services, convert, principal, status::session_id};
use crate::{
    frame::Frame,
    http::to_json,
    journal::Followed,
    session::{Cursor, Seq, SessionId, Status as State, Tags, Timestamp},
    shutdown::whole_or,
    store::{Report, SessionQuery, TimeRange},
};

/// Lines of an export are packed into chunks of this size.
const CHUNK: usize = 64 * 1024;

pub(super) struct Mirror(pub(super) Services);

type Streamed<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl MirrorService for Mirror {
    type PublishStream = Streamed<api::MirrorAck>;
    type SubscribeStream = Streamed<api::MirrorFrame>;
    type ExportStream = Streamed<api::MirrorExportChunk>;

    async fn publish(
        &self,
        request: Request<Streaming<api::MirrorFrame>>,
    ) -> Result<Response<Self::PublishStream>, Status> {
        let acks = publish::acks(&self.0, request.into_inner());
        Ok(Response::new(acks.take_until(self.0.stop.clone().cancelled_owned()).boxed()))
    }

    async fn subscribe(
        &self,
        request: Request<api::MirrorSubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let request = request.into_inner();
        let id = session_id(&request.session_id)?;
        let (after, from) = self.start(&id, &request).await?;
        let frames = self.0.journal.tail(&id, after, Duration::from_mins(1)).filter_map(move |item| {
            let frame = match item {
                Ok(Followed::Frame(frame)) => {
                    (frame.seq.0 >= from).then(|| Ok(convert::mirror_frame(frame, &id)))
                }
                Ok(Followed::Resync { .. }) => Some(Err(Status::aborted(format!(
                    "session {id} has another history now: subscribe again"
                )))),
                Ok(_) => None,
                Err(error) => Some(Err(error.into())),
            };
            ready(frame)
        });
        Ok(Response::new(frames.take_until(self.0.stop.clone().cancelled_owned()).boxed()))
    }

    async fn list_sessions(
        &self,
        request: Request<api::MirrorListSessionsRequest>,
    ) -> Result<Response<api::MirrorListSessionsResponse>, Status> {
        let page = self.0.journal.list(&query(request.into_inner())).await?;
        Ok(Response::new(convert::mirror_list(page.sessions)))
    }

    async fn get_session(
        &self,
        request: Request<api::MirrorGetSessionRequest>,
    ) -> Result<Response<api::MirrorSession>, Status> {
        let id = session_id(&request.into_inner().session_id)?;
        let session = self.0.journal.session(&id).await?;
        let session = session.ok_or_else(|| Status::not_found("session not found"))?;
        Ok(Response::new(convert::mirror_session(session)))
    }

    async fn set_session_meta(
        &self,
        request: Request<api::MirrorSetSessionMetaRequest>,
    ) -> Result<Response<api::MirrorSession>, Status> {
        let request = request.into_inner();
        let id = session_id(&request.session_id)?;
        let masker = self.0.journal.masker(&id, []);
        let tags: Tags =
            request.tags.into_iter().filter(|(key, value)| !key.is_empty() && !value.is_empty()).collect();
        let meta = masker.mask(convert::public_meta(request.meta));
        let session = self.0.journal.annotate(&id, meta, masker.mask(tags)).await?;
        Ok(Response::new(convert::mirror_session(session)))
    }

    async fn set_session_status(
        &self,
        request: Request<api::MirrorSetSessionStatusRequest>,
    ) -> Result<Response<api::MirrorSession>, Status> {
        let request = request.into_inner();
        let id = session_id(&request.session_id)?;
        let Some(status) = request.status else { return Err(Status::invalid_argument("status is required")) };
        let masker = self.0.journal.masker(&id, []);
        let report = Report {
            status: convert::public_state(status.state(), status.exit_code).unwrap_or(State::Running),
            exit_code: status.exit_code,
            message: masker.mask(status.error_message),
            completed: Timestamp(status.completed_unix_nano),
        };
        let session = self.0.journal.report(&id, report).await?;
        Ok(Response::new(convert::mirror_session(session)))
    }

    async fn delete_session(
        &self,
        request: Request<api::MirrorDeleteSessionRequest>,
    ) -> Result<Response<api::MirrorDeleteSessionResponse>, Status> {
        let principal = principal(request.extensions());
        let id = session_id(&request.into_inner().session_id)?;
        let deleted = self.0.delete(&id, false, &principal).await?;
        Ok(Response::new(api::MirrorDeleteSessionResponse { deleted }))
    }

    async fn export(
        &self,
        request: Request<api::MirrorExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let request = request.into_inner();
        let id = session_id(&request.session_id)?;
        let format = request.format.trim().to_lowercase();
        if !matches!(format.as_str(), "" | "jsonl") {
            return Err(Status::invalid_argument(format!("unsupported export format {format:?}")));
        }
        let Some(session) = self.0.journal.session(&id).await? else {
            return Ok(Response::new(stream::empty().boxed()));
        };
        let before = Seq(request.from_sequence.saturating_sub(1)).min(session.head);
        let recorded = self.0.journal.recorded(&id, Cursor { epoch: session.epoch, seq: before });
        let from = request.from_sequence;
        let lines = recorded.filter_map(move |item| {
            ready(match item {
                Ok(Followed::Frame(frame)) => (frame.seq.0 >= from).then(|| Ok(line(frame, &id))),
                Ok(_) => None,
                Err(error) => Some(Err(Status::from(error))),
            })
        });
        let stopping = || Status::unavailable("the agent is stopping: export again in a moment");
        Ok(Response::new(chunks(whole_or(lines, self.0.stop.clone(), stopping))))
    }
}

impl Mirror {
    /// Where a subscription starts, and the first number that it wants.
    async fn start(
        &self,
        id: &SessionId,
        request: &api::MirrorSubscribeRequest,
    ) -> Result<(Cursor, u64), Status> {
        let Some(session) = self.0.journal.session(id).await? else {
            return Ok((Cursor::START, request.from_sequence));
        };
        let before = Seq(request.from_sequence.saturating_sub(1)).min(session.head);
        let seq = if request.replay { before } else { session.head };
        Ok((Cursor { epoch: session.epoch, seq }, request.from_sequence))
    }
}

fn query(request: api::MirrorListSessionsRequest) -> SessionQuery {
    use api::MirrorSessionState as Wanted;
    let status = match request.state() {
        Wanted::Unspecified => Vec::new(),
        Wanted::Running => vec![State::Running],
        Wanted::Done => vec![State::Done, State::Cancelled],
        Wanted::Error => vec![State::Error, State::Lost],
    };
    SessionQuery {
        limit: usize::try_from(request.limit).unwrap_or(0),
        meta: convert::public_meta(request.meta),
        loose: true,
        tags: request.tags.into_iter().filter(|(key, _)| !key.is_empty()).collect(),
        status,
        last_seen: TimeRange {
            from: Timestamp(request.since_last_seen_unix_nano),
            to: Timestamp(request.until_last_seen_unix_nano),
        },
        ..SessionQuery::default()
    }
}

fn line(frame: Frame, id: &SessionId) -> String {
    let mut line = to_json("ktl.api.v1.MirrorFrame", &convert::mirror_frame(frame, id));
    line.push('\n');
    line
}

/// Packs lines into chunks. A chunk ends between lines; a longer line is a chunk of its own.
fn chunks(lines: Streamed<String>) -> Streamed<api::MirrorExportChunk> {
    let state = (lines, None::<String>, false);
    stream::unfold(state, |(mut lines, mut held, over)| async move {
        if over {
            return None;
        }
        let mut data = held.take().unwrap_or_default();
        loop {
            match lines.next().await {
                Some(Ok(line)) if data.is_empty() || data.len() + line.len() <= CHUNK => data.push_str(&line),
                Some(Ok(line)) => return Some((Ok(chunk(data)), (lines, Some(line), false))),
                Some(Err(error)) => return Some((Err(error), (lines, None, true))),
                None if data.is_empty() => return None,
                None => return Some((Ok(chunk(data)), (lines, None, true))),
            }
        }
    })
    .boxed()
}

fn chunk(data: String) -> api::MirrorExportChunk {
    api::MirrorExportChunk { data: data.into_bytes() }
}
