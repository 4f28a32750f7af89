//! The client of an agent: connects when it has to, comes back when it was away, and says which of the two it is.
//!
//! What can be asked of an agent is here; how a call is made and repeated is in `link`. Nothing here knows an editor; `ktl_proto` is spoken here and in `runs` and `cli` only.

use std::{
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ktl_proto::control::v1::{self as wire, StartResponse};
use tokio::sync::{Mutex, watch};
use tonic::Status;

use self::{
    link::{Link, agents, operations, sessions},
    local::LocalAgent,
};
use crate::{releases::Sources, settings::Remote};

mod backoff;
mod bearer;
mod connect;
mod detach;
mod error;
mod follow;
mod link;
pub(crate) mod local;
mod request;
mod upload;
mod verify;

pub(crate) use error::AgentError;
pub(crate) use follow::{Followed, Follower};
pub(crate) use ktl_proto::control::v1::StartRequest;
pub(crate) use request::{Claims, possible_roots, request, workspace_key};

/// How long a call goes on trying to reach an agent that is away.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often an agent may ask for more sources before it counts as confused.
const UPLOAD_ROUNDS: usize = 4;

/// Which agent is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one that we start for the user ourselves.
    Local(LocalAgent),
    /// One that the user configured.
    Remote(Remote),
}

/// What is known of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AgentState {
    /// Nobody asked yet.
    Idle,
    /// It answers.
    Connected {
        /// Where browsers reach it, without a path; `None` for an agent that does not tell.
        http: Option<String>,
        /// What the user should know about it, such as another version.
        notice: Option<String>,
    },
    /// It does not answer; the next attempt is due in `retry`.
    Disconnected {
        /// Why, in words for a person.
        why: String,
        /// When it is tried again.
        retry: Duration,
    },
}

struct Inner {
    target: Target,
    link: Mutex<Option<Link>>,
    /// Where browsers reach it, as far as the last connection told; an agent that is away is still there.
    http: std::sync::Mutex<Option<String>>,
    state: watch::Sender<AgentState>,
    patience: Duration,
}

/// The agent, wherever it runs. Cloning is cheap and shares the connection.
#[derive(Clone)]
pub(crate) struct Agent {
    inner: Arc<Inner>,
}

impl Agent {
    /// A client that connects with the first call.
    pub(crate) fn new(target: Target) -> Self {
        Self::with_patience(target, PATIENCE)
    }

    /// With another patience than the usual one.
    pub(crate) fn with_patience(target: Target, patience: Duration) -> Self {
        let (state, _) = watch::channel(AgentState::Idle);
        let http = std::sync::Mutex::default();
        Self { inner: Arc::new(Inner { target, link: Mutex::new(None), http, state, patience }) }
    }

    /// The connection as it changes.
    pub(crate) fn state(&self) -> watch::Receiver<AgentState> {
        self.inner.state.subscribe()
    }

    /// Which agent this is.
    pub(crate) fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Whether this is the agent that we start ourselves.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.inner.target, Target::Local(_))
    }

    /// The page of a session, once the agent has told its address; without any code or token.
    pub(crate) fn url(&self, session: &str) -> Option<String> {
        let http = self.inner.http.lock().unwrap_or_else(PoisonError::into_inner);
        http.as_deref().map(|http| session_url(http, session))
    }

    /// What the user should know before anything is sent.
    pub(crate) fn caution(&self) -> Option<String> {
        match &self.inner.target {
            Target::Remote(remote) => connect::caution(remote),
            Target::Local(_) => None,
        }
    }

    /// What the user should know about the connection.
    pub(crate) fn notice(&self) -> Option<String> {
        match &*self.inner.state.borrow() {
            AgentState::Connected { notice, .. } => notice.clone(),
            _ => None,
        }
    }

    /// Connects if needed, so that the agent's address is known.
    pub(crate) async fn reach(&self) -> Result<(), AgentError> {
        self.patiently(|| async { self.link().await.map(|_| ()) }).await
    }

    /// Starts the operation, or joins the one of the same id. Sources that the agent lacks are sent.
    ///
    /// [`AgentError::Unanswered`] when the operation may run all the same; after any other error it does not.
    pub(crate) async fn start(
        &self,
        request: StartRequest,
        sources: &Sources,
    ) -> Result<StartResponse, AgentError> {
        for _ in 0..UPLOAD_ROUNDS {
            let sent = AtomicBool::new(false);
            let answer = self
                .call("start", |link| {
                    sent.store(true, Ordering::Relaxed);
                    let request = request.clone();
                    async move { operations(link).start(request).await }
                })
                .await
                .map_err(|error| match error {
                    AgentError::Refused(_) => error,
                    _ if sent.load(Ordering::Relaxed) => AgentError::Unanswered(Box::new(error)),
                    _ => error,
                })?;
            if answer.missing.is_empty() {
                return Ok(answer);
            }
            self.upload(&answer.missing, sources).await?;
        }
        Err(AgentError::Refused(Box::new(Status::internal(
            "the agent keeps asking for sources that were sent; its memory for them may be full",
        ))))
    }

    /// Asks a running session to stop; its frames say how it went.
    pub(crate) async fn cancel(&self, session: &str) -> Result<wire::Session, AgentError> {
        let answer = self
            .call("cancel", |link| {
                let request = wire::CancelRequest { session_id: session.to_owned() };
                async move { operations(link).cancel(request).await }
            })
            .await?;
        Ok(answer.session.unwrap_or_default())
    }

    /// One session.
    pub(crate) async fn session(&self, session: &str) -> Result<wire::Session, AgentError> {
        self.call("get", |link| {
            let request = wire::GetRequest { session_id: session.to_owned() };
            async move { sessions(link).get(request).await }
        })
        .await
    }

    /// The sessions whose sources were below `root`, the last seen first.
    pub(crate) async fn sessions_of(
        &self,
        root: &Path,
        limit: u32,
    ) -> Result<Vec<wire::Session>, AgentError> {
        let meta = wire::Meta { workspace: workspace_key(root), ..wire::Meta::default() };
        self.list(wire::ListRequest { limit, meta: Some(meta), ..wire::ListRequest::default() }).await
    }

    /// Sessions, the last seen first.
    pub(crate) async fn list(&self, request: wire::ListRequest) -> Result<Vec<wire::Session>, AgentError> {
        let answer = self
            .call("list", |link| {
                let request = request.clone();
                async move { sessions(link).list(request).await }
            })
            .await?;
        Ok(answer.sessions)
    }

    /// The masked copy of a source, as it was when the session ran.
    pub(crate) async fn source(
        &self,
        session: &str,
        path: &str,
    ) -> Result<wire::ReadSourceResponse, AgentError> {
        self.call("read source", |link| {
            let request = wire::ReadSourceRequest { session_id: session.to_owned(), path: path.to_owned() };
            async move { sessions(link).read_source(request).await }
        })
        .await
    }

    /// A link into the browser that works once, for 60 s. It may be shown to the user who asked, and is never stored or
    /// logged.
    pub(crate) async fn mint(&self, session: &str) -> Result<String, AgentError> {
        let answer = self
            .call("mint code", |link| {
                let request = wire::MintCodeRequest { session_id: session.to_owned() };
                async move { agents(link).mint_code(request).await }
            })
            .await?;
        Ok(answer.url)
    }

    /// Follows a session from its first frame, over any number of connections.
    pub(crate) fn follow(&self, session: &str) -> Follower {
        Follower::new(self.clone(), session)
    }
}

impl Target {
    /// For messages.
    fn address(&self) -> String {
        match self {
            Self::Local(_) => "this machine".to_owned(),
            Self::Remote(remote) => remote.address.clone(),
        }
    }
}

/// The page of a session at the agent whose HTTP address is `http`.
pub(crate) fn session_url(http: &str, session: &str) -> String {
    format!("{}/s/{session}", http.trim_end_matches('/'))
}

#[cfg(test)]
mod answers;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_url_has_one_slash_between() {
        assert_eq!(session_url("http://127.0.0.1:1/", "a"), "http://127.0.0.1:1/s/a");
        assert_eq!(session_url("http://127.0.0.1:1", "a"), "http://127.0.0.1:1/s/a");
    }
}
