//! `ktl.control.v1.AgentService`: what a client has to know of this agent, and the way into the browser.

use std::collections::HashMap;

use ktl_proto::control::v1::{self as wire, agent_service_server::AgentService};
use tonic::{Request, Response, Status};

use super::{Services, convert, status::session_id};

/// What runs in this agent.
pub trait Work: Send + Sync + 'static {
    /// Operations that run now.
    fn running(&self) -> usize;

    /// Versions of helm by the names that requests may use.
    fn helm_versions(&self) -> HashMap<String, String>;
}

pub(super) struct Agent(pub(super) Services);

#[tonic::async_trait]
impl AgentService for Agent {
    async fn info(&self, _: Request<wire::InfoRequest>) -> Result<Response<wire::InfoResponse>, Status> {
        Ok(Response::new(wire::InfoResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            http_url: self.0.base.to_string(),
            pid: std::process::id(),
            running: u32::try_from(self.0.work.running()).unwrap_or(u32::MAX),
            helm_versions: self.0.work.helm_versions(),
        }))
    }

    async fn mint_code(
        &self,
        request: Request<wire::MintCodeRequest>,
    ) -> Result<Response<wire::MintCodeResponse>, Status> {
        let asked = request.into_inner().session_id;
        // Without a session the link leads to the list of all.
        let (page, url) = if asked.is_empty() {
            (None, format!("{}/", self.0.base))
        } else {
            let id = session_id(&asked)?;
            self.0.journal.require(&id).await?;
            let url = convert::url(&self.0.base, id.as_str());
            (Some(id), url)
        };
        let minted = self.0.browsers.mint(page);
        Ok(Response::new(wire::MintCodeResponse {
            url: format!("{url}#k={}", minted.code),
            expires_unix_nano: minted.expires.0,
        }))
    }
}
