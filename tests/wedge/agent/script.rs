//! What the scripted agent does and what it was asked, and the sessions that came of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use ktl_proto::control::v1::fact::Body;
use ktl_proto::control::v1::frame::Payload;
use ktl_proto::control::v1::start_request::Operation;
use ktl_proto::control::v1::{Fact, Frame, Meta, Session, StartRequest, Started, Status as SessionStatus};
use tokio::sync::watch;
use tonic::{Response, Status};

use super::Start;

/// What the agent does, and what it was asked.
#[derive(Clone)]
pub(super) struct Script(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) changes: watch::Sender<()>,
}

pub(super) struct State {
    pub(super) start: Start,
    pub(super) is_away: bool,
    /// What every run tells, after its `Started`.
    pub(super) plot: Vec<Body>,
    pub(super) starts: Vec<StartRequest>,
    pub(super) cancels: Vec<String>,
    /// By hash.
    pub(super) sources: HashMap<String, Vec<u8>>,
    pub(super) sessions: BTreeMap<String, Told>,
}

/// A session, and what it told so far.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) session: Session,
    pub(super) frames: Vec<Frame>,
}

impl Script {
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.0.state.lock().unwrap());
        self.0.changes.send_replace(());
        result
    }

    /// The state, for an agent that is there.
    pub(super) fn here<T>(
        &self,
        ask: impl FnOnce(&mut State) -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        self.change(|state| if state.is_away { Err(lost()) } else { ask(state).map(Response::new) })
    }
}

impl State {
    pub(super) fn run(&mut self, request: &StartRequest) -> Session {
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
    pub(super) fn tell(&mut self, body: Body) {
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

    pub(super) fn is_running(&self) -> bool {
        self.session.status() == SessionStatus::Running
    }
}

pub(super) fn lost() -> Status {
    Status::unavailable("the agent is away")
}
