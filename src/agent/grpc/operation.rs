//! `ktl.control.v1.OperationService`: start work, send it its sources, cancel it.

mod decode;

use std::{collections::HashMap, sync::Arc};

use futures::StreamExt as _;
use ktl_proto::control::v1::{self as wire, operation_service_server::OperationService};
use tonic::{Request, Response, Status, Streaming};

use super::{Work, convert, principal, status::session_id};
use crate::op::{OpError, Operations, StartOutcome};

/// The service over the operations of this agent.
pub struct Operate {
    operations: Operations,
    base: Arc<str>,
}

impl Operate {
    /// Serves these operations; `base` is where browsers reach this agent.
    pub fn new(operations: Operations, base: Arc<str>) -> Self {
        Self { operations, base }
    }
}

#[tonic::async_trait]
impl OperationService for Operate {
    async fn start(
        &self,
        request: Request<wire::StartRequest>,
    ) -> Result<Response<wire::StartResponse>, Status> {
        let principal = principal(request.extensions());
        let request = decode::start(request.into_inner())?;
        let (missing, session, joined) = match self.operations.start(request, &principal).await? {
            StartOutcome::Started(session) => (Vec::new(), Some(session), false),
            StartOutcome::Joined(session) => (Vec::new(), Some(session), true),
            StartOutcome::Missing(missing) => (missing, None, false),
        };
        let missing = missing.into_iter().map(Into::into).collect();
        let session = session.map(|session| convert::session(session, &self.base));
        Ok(Response::new(wire::StartResponse { missing, session, joined }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<wire::UploadRequest>>,
    ) -> Result<Response<wire::UploadResponse>, Status> {
        let mut pieces = request.into_inner();
        let mut assembly = self.operations.upload();
        while let Some(piece) = pieces.next().await {
            let wire::UploadRequest { sha256, data } = piece?;
            assembly.push(&sha256, &data).map_err(OpError::from)?;
        }
        let stored = assembly.finish().map_err(OpError::from)?;
        Ok(Response::new(wire::UploadResponse { stored }))
    }

    async fn cancel(
        &self,
        request: Request<wire::CancelRequest>,
    ) -> Result<Response<wire::CancelResponse>, Status> {
        let principal = principal(request.extensions());
        let id = session_id(&request.into_inner().session_id)?;
        let session = self.operations.cancel(&id, &principal).await?;
        Ok(Response::new(wire::CancelResponse { session: Some(convert::session(session, &self.base)) }))
    }
}

impl Work for Operations {
    fn running(&self) -> usize {
        Self::running(self)
    }

    fn helm_versions(&self) -> HashMap<String, String> {
        self.known_helm().map(|helm| ("helm".to_owned(), helm.version.text.clone())).into_iter().collect()
    }
}
