//! One connection at a time, shared by all calls, and how a call is made over it.
//!
//! Every unary call has a deadline and may be repeated safely, so a lost connection costs time and never a second
//! operation.

use std::{future::Future, sync::PoisonError, time::Duration};

use ktl_proto::control::v1::{
    agent_service_client::AgentServiceClient, operation_service_client::OperationServiceClient,
    session_service_client::SessionServiceClient,
};
use tokio::time::{Instant, timeout};
use tonic::{Response, Status, service::interceptor::InterceptedService, transport::Channel};

use super::{
    Agent, AgentError, AgentState,
    backoff::Backoff,
    bearer::Bearer,
    connect,
    error::{broken, reason},
};

/// How long one question to the agent may take; a start hashes and keeps every source first.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// A connection that answered once.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) channel: InterceptedService<Channel, Bearer>,
    pub(super) number: u64,
    /// What it told when it was made.
    http: Option<String>,
    notice: Option<String>,
}

impl Agent {
    /// One unary call: repeated while the agent is away and our patience lasts, never longer than its deadline.
    pub(super) async fn call<T, F, Fut>(&self, name: &'static str, ask: F) -> Result<T, AgentError>
    where
        F: Fn(Link) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.patiently(|| self.attempt(name, CALL_DEADLINE, &ask)).await
    }

    /// One attempt at a call. A link that gave no answer in time is not used again.
    pub(super) async fn attempt<T, F, Fut>(
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

    pub(super) async fn patiently<T, F, Fut>(&self, attempt: F) -> Result<T, AgentError>
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
    pub(super) async fn link(&self) -> Result<Link, AgentError> {
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
    pub(super) fn here(&self, link: &Link) {
        self.inner.http.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&link.http);
        let state = AgentState::Connected { http: link.http.clone(), notice: link.notice.clone() };
        self.inner.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// Turns a status into an error; one that means a broken connection drops it, so that the next call makes a new one.
    pub(super) async fn refused(&self, number: u64, status: Status) -> AgentError {
        if !broken(&status) {
            return AgentError::Refused(Box::new(status));
        }
        self.drop_link(number).await;
        AgentError::Unreachable { address: self.inner.target.address(), why: reason(&status) }
    }

    /// The next call makes a new link, unless somebody did already.
    pub(super) async fn drop_link(&self, number: u64) {
        let mut slot = self.inner.link.lock().await;
        if slot.as_ref().is_some_and(|link| link.number == number) {
            *slot = None;
        }
    }

    pub(super) fn away(&self, error: &AgentError, retry: Duration) {
        let why = match error {
            AgentError::Unreachable { why, .. } => why.clone(),
            other => other.to_string(),
        };
        self.inner.state.send_replace(AgentState::Disconnected { why, retry });
    }
}

/// A channel that puts the token on every call.
pub(super) type Authorized = InterceptedService<Channel, Bearer>;

pub(super) fn operations(link: Link) -> OperationServiceClient<Authorized> {
    OperationServiceClient::new(link.channel)
}

pub(super) fn sessions(link: Link) -> SessionServiceClient<Authorized> {
    // A frame may carry a whole published event; sources are read in one piece.
    SessionServiceClient::new(link.channel).max_decoding_message_size(64 * 1024 * 1024)
}

pub(super) fn agents(link: Link) -> AgentServiceClient<Authorized> {
    AgentServiceClient::new(link.channel)
}

/// Numbers tell a link that broke from its successor.
fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::Target, settings::Remote};

    #[tokio::test]
    async fn an_agent_that_is_away_is_an_error_that_names_its_address() {
        let agent = Agent::new(Target::Remote(Remote::plain("http://127.0.0.1:1")));
        let error = agent.link().await.err().unwrap();
        assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
        assert!(error.may_pass());
    }
}
