//! The scripted agent's side of `ktl.control.v1`.

use std::pin::Pin;

use futures::Stream;
use ktl_proto::control::v1::agent_service_server::AgentService;
use ktl_proto::control::v1::follow_event::Event;
use ktl_proto::control::v1::operation_service_server::OperationService;
use ktl_proto::control::v1::session_service_server::SessionService;
use ktl_proto::control::v1::{
    CancelRequest, CancelResponse, CaughtUp, End, FollowEvent, FollowRequest, GetRequest, InfoRequest,
    InfoResponse, ListRequest, ListResponse, MintCodeRequest, MintCodeResponse, ReadSourceRequest,
    ReadSourceResponse, Session, StartRequest, StartResponse, Status as SessionStatus, UploadRequest,
    UploadResponse,
};
use tonic::{Request, Response, Status, Streaming};

use super::script::{Script, lost};
use super::{CODE, PAGES, Start, ended};

#[tonic::async_trait]
impl OperationService for Script {
    async fn start(&self, request: Request<StartRequest>) -> Result<Response<StartResponse>, Status> {
        let request = request.into_inner();
        self.here(|state| {
            state.starts.push(request.clone());
            let hashes = request.sources.iter().map(|source| source.sha256.clone());
            let missing: Vec<_> = hashes.filter(|hash| !state.sources.contains_key(hash)).collect();
            if !missing.is_empty() {
                return Ok(StartResponse { missing, ..StartResponse::default() });
            }
            if state.start == Start::RequestLost {
                return Err(lost());
            }
            let session = Some(state.run(&request));
            if state.start == Start::AnswerLost {
                return Err(lost());
            }
            Ok(StartResponse { session, ..StartResponse::default() })
        })
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        let (mut pieces, mut hash) = (request.into_inner(), String::new());
        while let Some(piece) = pieces.message().await? {
            if !piece.sha256.is_empty() {
                hash = piece.sha256;
            }
            self.change(|state| state.sources.entry(hash.clone()).or_default().extend(piece.data));
        }
        Ok(Response::new(UploadResponse::default()))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        let id = request.into_inner().session_id;
        self.here(|state| {
            state.cancels.push(id.clone());
            let told = state.sessions.get_mut(&id).ok_or_else(|| unknown(&id))?;
            let session = Some(told.session.clone());
            if told.is_running() {
                told.tell(ended(SessionStatus::Cancelled));
            }
            Ok(CancelResponse { session })
        })
    }
}

#[tonic::async_trait]
impl AgentService for Script {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        self.here(|_| Ok(InfoResponse { http_url: PAGES.to_owned(), ..InfoResponse::default() }))
    }

    async fn mint_code(
        &self,
        request: Request<MintCodeRequest>,
    ) -> Result<Response<MintCodeResponse>, Status> {
        let url = format!("{PAGES}/s/{}#k={CODE}", request.into_inner().session_id);
        self.here(|_| Ok(MintCodeResponse { url, ..MintCodeResponse::default() }))
    }
}

#[tonic::async_trait]
impl SessionService for Script {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<FollowEvent, Status>> + Send>>;

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        let follower = self.here(|state| {
            let id = request.session_id;
            state.sessions.contains_key(&id).then_some(()).ok_or_else(|| unknown(&id))?;
            let read = usize::try_from(request.after.unwrap_or_default().seq).unwrap();
            Ok(Follower { script: self.clone(), id, read, caught_up: false, over: false })
        })?;
        let stream = futures::stream::unfold(follower.into_inner(), |mut follower| async move {
            let event = FollowEvent { event: Some(follower.next().await?) };
            Some((Ok(event), follower))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Session>, Status> {
        let id = request.into_inner().session_id;
        self.here(|state| {
            state.sessions.get(&id).map(|told| told.session.clone()).ok_or_else(|| unknown(&id))
        })
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let workspace = request.into_inner().meta.unwrap_or_default().workspace;
        let is_of = |session: &Session| session.meta.as_ref().is_some_and(|meta| meta.workspace == workspace);
        self.here(|state| {
            let sessions = state.sessions.values().map(|told| told.session.clone()).filter(is_of).collect();
            Ok(ListResponse { sessions, ..ListResponse::default() })
        })
    }

    async fn read_source(
        &self,
        request: Request<ReadSourceRequest>,
    ) -> Result<Response<ReadSourceResponse>, Status> {
        Err(Status::not_found(format!("no source {}", request.into_inner().path)))
    }
}

/// Where a follower is.
struct Follower {
    script: Script,
    id: String,
    read: usize,
    caught_up: bool,
    over: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        let mut changes = self.script.0.changes.subscribe();
        while !self.over {
            let told = self.script.0.state.lock().unwrap().sessions.get(&self.id).cloned()?;
            if let Some(frame) = told.frames.get(self.read) {
                self.read += 1;
                return Some(Event::Frame(frame.clone()));
            }
            if !told.is_running() {
                self.over = true;
                return Some(Event::End(End { status: told.session.status, ..End::default() }));
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return Some(Event::CaughtUp(CaughtUp { head: told.session.head }));
            }
            changes.changed().await.ok()?;
        }
        None
    }
}

fn unknown(id: &str) -> Status {
    Status::not_found(format!("no session {id}"))
}
