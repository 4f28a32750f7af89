//! An agent out of a script: it speaks `ktl.control.v1` on a real socket, keeps what it was asked, and tells of a run
//! whatever the test wants. What a real one cannot be made to do on demand, such as losing an answer, this one does.

mod script;
mod services;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ktl_proto::control::v1::agent_service_server::AgentServiceServer;
use ktl_proto::control::v1::fact::Body;
use ktl_proto::control::v1::operation_service_server::OperationServiceServer;
use ktl_proto::control::v1::session_service_server::SessionServiceServer;
use ktl_proto::control::v1::start_request::Operation;
use ktl_proto::control::v1::{
    Apply, Ended, Finding, Level, Line, Place, StartRequest, Status as SessionStatus,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use self::script::{Script, Shared, State};
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
