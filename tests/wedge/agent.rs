//! An agent out of a script: it speaks `ktl.control.v1` on a real socket, keeps what it was asked, and tells of a run
//! whatever the test wants. What a real one cannot be made to do on demand, such as losing an answer, this one does.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::Stream;
use ktl_proto::control::v1::agent_service_server::{AgentService, AgentServiceServer};
use ktl_proto::control::v1::fact::Body;
use ktl_proto::control::v1::follow_event::Event;
use ktl_proto::control::v1::frame::Payload;
use ktl_proto::control::v1::operation_service_server::{OperationService, OperationServiceServer};
use ktl_proto::control::v1::session_service_server::{SessionService, SessionServiceServer};
use ktl_proto::control::v1::start_request::Operation;
use ktl_proto::control::v1::{
    Apply, CancelRequest, CancelResponse, CaughtUp, End, Ended, Fact, Finding, FollowEvent, FollowRequest,
    Frame, GetRequest, InfoRequest, InfoResponse, Level, Line, ListRequest, ListResponse, Meta,
    MintCodeRequest, MintCodeResponse, Place, ReadSourceRequest, ReadSourceResponse, Session, StartRequest,
    StartResponse, Started, Status as SessionStatus, UploadRequest, UploadResponse,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::editor::PATIENCE;

/// Where its pages are said to be.
pub(crate) const PAGES: &str = "http://pages.example";
/// What must never be shown.
pub(crate) const CODE: &str = "one-time-code";

/// What becomes of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It runs, and the caller is told.
    Answered,
    /// The answer is lost; it runs.
    AnswerLost,
    /// The request is lost.
    RequestLost,
}

/// A running agent; it ends with the test.
pub(crate) struct Agent {
    address: SocketAddr,
    script: Script,
    runtime: Option<Runtime>,
}

/// What the agent does, and what it was asked.
#[derive(Clone)]
struct Script(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

struct State {
    start: Start,
    is_away: bool,
    /// What every run tells, after its `Started`.
    plot: Vec<Body>,
    starts: Vec<StartRequest>,
    cancels: Vec<String>,
    /// By hash.
    sources: HashMap<String, Vec<u8>>,
    sessions: BTreeMap<String, Told>,
}

/// A session, and what it told so far.
#[derive(Clone)]
struct Told {
    session: Session,
    frames: Vec<Frame>,
}

impl Agent {
    /// An agent whose runs tell `plot`. One without an `Ended` in it runs until it is cancelled.
    pub(crate) fn start(plot: Vec<Body>) -> Self {
        let state = State {
            start: Start::Answered,
            is_away: false,
            plot,
            starts: Vec::new(),
            cancels: Vec::new(),
            sources: HashMap::new(),
            sessions: BTreeMap::new(),
        };
        let script = Script(Arc::new(Shared { state: Mutex::new(state), changes: watch::Sender::default() }));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime for the agent");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().unwrap();
        let server = Server::builder()
            .add_service(AgentServiceServer::new(script.clone()))
            .add_service(OperationServiceServer::new(script.clone()))
            .add_service(SessionServiceServer::new(script.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        runtime.spawn(server);
        Self { address, script, runtime: Some(runtime) }
    }

    /// As settings name it.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of starts from now on.
    pub(crate) fn on_start(&self, start: Start) {
        self.script.change(|state| state.start = start);
    }

    /// Whether it answers nothing from now on.
    pub(crate) fn be_away(&self, is_away: bool) {
        self.script.change(|state| state.is_away = is_away);
    }

    /// The starts that it was asked for; waits for the first.
    pub(crate) fn starts(&self) -> Vec<StartRequest> {
        self.wait("a start", |state| Some(state.starts.clone()).filter(|starts| !starts.is_empty()))
    }

    /// What the last start asks for.
    pub(crate) fn apply(&self) -> Apply {
        match self.starts().pop().and_then(|start| start.operation) {
            Some(Operation::Apply(apply)) => apply,
            None => panic!("a start of nothing"),
        }
    }

    /// The sources of the last start, as texts.
    pub(crate) fn sources(&self) -> BTreeMap<String, String> {
        let last = self.starts().pop().expect("a start");
        self.wait("the sources", |state| {
            let text = |hash: &String| Some(String::from_utf8_lossy(state.sources.get(hash)?).into_owned());
            last.sources.iter().map(|source| Some((source.path.clone(), text(&source.sha256)?))).collect()
        })
    }

    /// Waits until a session runs.
    pub(crate) fn runs(&self, session: &str) {
        self.wait("the run", |state| state.sessions.get(session).map(|_| ()));
    }

    /// The sessions that it was asked to cancel; waits for the first.
    pub(crate) fn cancels(&self) -> Vec<String> {
        self.wait("a cancel", |state| Some(state.cancels.clone()).filter(|cancels| !cancels.is_empty()))
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, found: impl Fn(&State) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut changes = self.script.0.changes.subscribe();
        let runtime = self.runtime.as_ref().expect("it runs");
        loop {
            if let Some(found) = found(&self.script.0.state.lock().unwrap()) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            let changed = runtime.block_on(async { tokio::time::timeout(left, changes.changed()).await });
            assert!(changed.is_ok(), "{what} did not come");
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::ZERO);
        }
    }
}

/// A line of its log.
pub(crate) fn line(text: &str) -> Body {
    Body::Line(Line { level: Level::Info.into(), text: text.to_owned(), ..Line::default() })
}

/// A failure at these words of a file.
pub(crate) fn finding(file: &str, text: &str, words: &str, message: &str) -> Body {
    let start = text.find(words).expect("the words stand in the text");
    let place = Place {
        file: file.to_owned(),
        start_byte: start as u64,
        end_byte: (start + words.len()) as u64,
        sha256: sha256(text.as_bytes()),
        ..Place::default()
    };
    Body::Finding(Finding {
        place: Some(place),
        code: "scripted".to_owned(),
        message: message.to_owned(),
        ..Finding::default()
    })
}

/// The end.
pub(crate) fn ended(status: SessionStatus) -> Body {
    Body::Ended(Ended { status: status.into(), ..Ended::default() })
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

impl Script {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.0.state.lock().unwrap());
        self.0.changes.send_replace(());
        result
    }

    /// The state, for an agent that is there.
    fn here<T>(&self, ask: impl FnOnce(&mut State) -> Result<T, Status>) -> Result<Response<T>, Status> {
        self.change(|state| if state.is_away { Err(lost()) } else { ask(state).map(Response::new) })
    }
}

impl State {
    fn run(&mut self, request: &StartRequest) -> Session {
        if let Some(told) = self.sessions.get(&request.session_id) {
            return told.session.clone();
        }
        let Some(Operation::Apply(apply)) = &request.operation else { panic!("a start of nothing") };
        let session = Session {
            session_id: request.session_id.clone(),
            epoch: 1,
            status: SessionStatus::Running.into(),
            created_unix_nano: 1,
            meta: Some(Meta {
                command: "apply".to_owned(),
                release: apply.release.clone(),
                namespace: apply.namespace.clone(),
                cluster: "scripted".to_owned(),
                workspace: request.workspace.clone(),
                ..Meta::default()
            }),
            ..Session::default()
        };
        let mut told = Told { session, frames: Vec::new() };
        told.tell(Body::Started(Started {
            release: apply.release.clone(),
            namespace: apply.namespace.clone(),
            cluster: "scripted".to_owned(),
            chart: apply.chart.clone(),
            config_path: apply.config_path.clone(),
            ..Started::default()
        }));
        self.plot.iter().cloned().for_each(|body| told.tell(body));
        let session = told.session.clone();
        self.sessions.insert(request.session_id.clone(), told);
        session
    }
}

impl Told {
    fn tell(&mut self, body: Body) {
        if let Body::Ended(ended) = &body {
            self.session.status = ended.status;
            self.session.completed_unix_nano = 2;
        }
        let seq = self.frames.len() as u64 + 1;
        self.session.head = seq;
        self.frames.push(Frame {
            epoch: 1,
            seq,
            at_unix_nano: i64::try_from(seq).unwrap(),
            payload: Some(Payload::Fact(Fact { body: Some(body) })),
            ..Frame::default()
        });
    }

    fn is_running(&self) -> bool {
        self.session.status() == SessionStatus::Running
    }
}

fn lost() -> Status {
    Status::unavailable("the agent is away")
}

fn unknown(id: &str) -> Status {
    Status::not_found(format!("no session {id}"))
}

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
            Ok(ListResponse { sessions })
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
