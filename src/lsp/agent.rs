//! The client of an agent: connects when it has to, comes back when it was away, and says which of the two it is.
//!
//! Every unary call has a deadline and may be repeated safely, so a lost connection costs time and never a second
//! operation. Nothing here knows an editor; `ktl_proto` is spoken here and in `runs` and `cli` only.

use std::{
    future::Future,
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ktl_proto::control::v1::{self as wire, StartResponse};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout},
};
use tonic::{Code, Response, Status, service::interceptor::InterceptedService, transport::Channel};

use self::{
    backoff::Backoff,
    bearer::Bearer,
    local::{LocalAgent, LocalError},
};
use crate::{releases::Sources, settings::Remote};

mod backoff;
mod bearer;
mod connect;
mod detach;
mod follow;
pub(crate) mod local;
mod request;
mod upload;
mod verify;

pub(crate) use follow::{Followed, Follower};
pub(crate) use ktl_proto::control::v1::StartRequest;
pub(crate) use request::{Claims, possible_roots, request, workspace_key};

/// How long one question to the agent may take; a start hashes and keeps every source first.
const CALL_DEADLINE: Duration = Duration::from_secs(20);
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

/// Why a call to the agent failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The settings cannot work: a token in clear, an unreadable certificate.
    #[error("{0}")]
    Settings(String),
    /// Our own agent could not be started.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Nobody answers there.
    #[error(
        "the agent at {address} cannot be reached: {why}; check the address, or remove it to use a local agent"
    )]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the connection said.
        why: String,
    },
    /// Somebody is there who may not be the agent: nothing was sent.
    #[error(
        "the certificate of the agent at {address} is not trusted: {why}; name the authority that signed it with \
         agent.tls.ca, or the name that it is for with agent.tls.serverName"
    )]
    Untrusted {
        /// Who was asked.
        address: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// It is there and took too long.
    #[error("the agent did not answer `{call}` within {seconds} s; try again, or look at its log")]
    Deadline {
        /// The call, in words.
        call: &'static str,
        /// The deadline that passed.
        seconds: u64,
    },
    /// The request went out and no answer came, so the operation may run.
    #[error(
        "no answer to the start came, so it may be running: {0}; \
         the same start under the same session id joins it, or is the first"
    )]
    Unanswered(Box<AgentError>),
    /// It answered with a refusal.
    #[error("{}", refusal(.0))]
    Refused(Box<Status>),
}

/// A connection that answered once.
#[derive(Clone)]
struct Link {
    channel: InterceptedService<Channel, Bearer>,
    number: u64,
    /// What it told when it was made.
    http: Option<String>,
    notice: Option<String>,
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

    /// One unary call: repeated while the agent is away and our patience lasts, never longer than its deadline.
    async fn call<T, F, Fut>(&self, name: &'static str, ask: F) -> Result<T, AgentError>
    where
        F: Fn(Link) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.patiently(|| self.attempt(name, CALL_DEADLINE, &ask)).await
    }

    /// One attempt at a call. A link that gave no answer in time is not used again.
    async fn attempt<T, F, Fut>(
        &self,
        name: &'static str,
        deadline: Duration,
        ask: &F,
    ) -> Result<T, AgentError>
    where
        F: Fn(Link) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let link = self.link().await?;
        match timeout(deadline, ask(link.clone())).await {
            Ok(Ok(response)) => {
                self.here(&link);
                Ok(response.into_inner())
            }
            Ok(Err(status)) => Err(self.refused(link.number, status).await),
            Err(_) => {
                self.drop_link(link.number).await;
                Err(AgentError::Deadline { call: name, seconds: deadline.as_secs() })
            }
        }
    }

    async fn patiently<T, F, Fut>(&self, attempt: F) -> Result<T, AgentError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, AgentError>>,
    {
        let end = Instant::now() + self.inner.patience;
        let mut backoff = Backoff::default();
        loop {
            match attempt().await {
                Err(error) if error.may_pass() => {
                    let delay = backoff.next();
                    self.away(&error, delay);
                    if Instant::now() + delay > end {
                        return Err(error);
                    }
                    tokio::time::sleep(delay).await;
                }
                answer => return answer,
            }
        }
    }

    /// The connection, made if there is none. Callers that come together share one attempt.
    async fn link(&self) -> Result<Link, AgentError> {
        let mut slot = self.inner.link.lock().await;
        if let Some(link) = &*slot {
            return Ok(link.clone());
        }
        let connected = connect::connect(&self.inner.target).await?;
        let link = Link {
            channel: connected.channel,
            number: next_number(),
            http: connected.http,
            notice: connected.notice,
        };
        *slot = Some(link.clone());
        self.here(&link);
        Ok(link)
    }

    /// It answered over `link`, whatever was the matter before.
    fn here(&self, link: &Link) {
        self.inner.http.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&link.http);
        let state = AgentState::Connected { http: link.http.clone(), notice: link.notice.clone() };
        self.inner.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// Turns a status into an error; one that means a broken connection drops it, so that the next call makes a new one.
    async fn refused(&self, number: u64, status: Status) -> AgentError {
        if !broken(&status) {
            return AgentError::Refused(Box::new(status));
        }
        self.drop_link(number).await;
        AgentError::Unreachable { address: self.inner.target.address(), why: reason(&status) }
    }

    /// The next call makes a new link, unless somebody did already.
    async fn drop_link(&self, number: u64) {
        let mut slot = self.inner.link.lock().await;
        if slot.as_ref().is_some_and(|link| link.number == number) {
            *slot = None;
        }
    }

    fn away(&self, error: &AgentError, retry: Duration) {
        let why = match error {
            AgentError::Unreachable { why, .. } => why.clone(),
            other => other.to_string(),
        };
        self.inner.state.send_replace(AgentState::Disconnected { why, retry });
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

impl AgentError {
    /// Whether trying again later can help without the user doing something.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether asking again later is of no use, because it was answered or cannot even be asked.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Settings(_))
    }

    /// Whether the agent says that it knows no such session.
    pub(crate) fn is_unknown_session(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }
}

/// The page of a session at the agent whose HTTP address is `http`.
pub(crate) fn session_url(http: &str, session: &str) -> String {
    format!("{}/s/{session}", http.trim_end_matches('/'))
}

type Authorized = InterceptedService<Channel, Bearer>;

fn operations(link: Link) -> wire::operation_service_client::OperationServiceClient<Authorized> {
    wire::operation_service_client::OperationServiceClient::new(link.channel)
}

fn sessions(link: Link) -> wire::session_service_client::SessionServiceClient<Authorized> {
    // A frame may carry a whole published event; sources are read in one piece.
    wire::session_service_client::SessionServiceClient::new(link.channel)
        .max_decoding_message_size(64 * 1024 * 1024)
}

fn agents(link: Link) -> wire::agent_service_client::AgentServiceClient<Authorized> {
    wire::agent_service_client::AgentServiceClient::new(link.channel)
}

/// Numbers tell a link that broke from its successor.
fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Whether the status was made by a broken connection. A status that an agent sent has no source; one that the
/// transport made has.
fn broken(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// The innermost cause: tonic's own words ("transport error") say nothing.
fn reason(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if std::ptr::addr_eq(cause, status) { status.message().to_owned() } else { cause.to_string() }
}

fn refusal(status: &Status) -> String {
    match status.code() {
        Code::Unauthenticated => format!(
            "the agent does not accept the token: {}; set KTL_REMOTE_TOKEN, or agent.tokenEnv or agent.tokenFile in .ktl.yaml",
            status.message()
        ),
        Code::Unimplemented => {
            "this agent does not speak ktl.control.v1, so nothing can be started on it from here; use a current ktl-agent"
                .to_owned()
        }
        _ => status.message().to_owned(),
    }
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

    #[test]
    fn an_answer_of_the_agent_is_no_broken_connection() {
        assert!(!broken(&Status::not_found("no session x")));
        assert!(broken(&Status::unavailable("shutting down")));
        assert!(broken(&Status::from_error(Box::new(std::io::Error::other("reset")))));
    }

    #[test]
    fn the_reason_is_the_innermost_cause() {
        let status = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert!(reason(&status).contains("connection reset"), "{}", reason(&status));
    }

    #[tokio::test]
    async fn an_agent_that_is_away_is_an_error_that_names_its_address() {
        let agent = Agent::new(Target::Remote(Remote::plain("http://127.0.0.1:1")));
        let error = agent.link().await.err().unwrap();
        assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
        assert!(error.may_pass());
    }
}
