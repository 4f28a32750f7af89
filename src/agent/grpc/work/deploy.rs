//! `ktl.api.v1.DeployService`: apply, and destroy, which is checked and recorded; its work comes later.

use ktl_proto::api::v1::{self as api, deploy_service_server::DeployService};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{Recording, Services, Streamed, apply};
use crate::{
    grpc::principal,
    op::Operations,
    session::{Meta, SessionId, Tags, Timestamp},
    sources::local::Allowed,
};

/// The service over the operations of this agent.
pub struct Deploys {
    pub(super) services: Services,
    pub(super) operations: Operations,
    pub(super) allowed: Allowed,
}

impl Deploys {
    /// Applies what lies in the allowed folders.
    pub fn new(services: Services, operations: Operations, allowed: Allowed) -> Self {
        Self { services, operations, allowed }
    }
}

#[tonic::async_trait]
impl DeployService for Deploys {
    type ApplyStream = Streamed<api::DeployEvent>;
    type DestroyStream = Streamed<api::DeployEvent>;

    async fn apply(
        &self,
        request: Request<api::DeployApplyRequest>,
    ) -> Result<Response<Self::ApplyStream>, Status> {
        let principal = principal(request.extensions());
        let api::DeployApplyRequest { options, session_id, requester } = request.into_inner();
        let Some(options) = options else { return Err(Status::unknown("deploy options are required")) };
        apply::apply(self, options, &session_id, requester.trim(), principal).await
    }

    async fn destroy(
        &self,
        request: Request<api::DeployDestroyRequest>,
    ) -> Result<Response<Self::DestroyStream>, Status> {
        let api::DeployDestroyRequest { options, session_id, requester } = request.into_inner();
        let Some(options) = options else { return Err(Status::unknown("destroy options are required")) };
        let meta = Meta {
            requester: requester.trim().to_owned(),
            context: options.kube_context.trim().to_owned(),
            namespace: options.namespace.trim().to_owned(),
            release: options.release.trim().to_owned(),
            ..Meta::default()
        };
        let recording = Recording::begin(&self.services, &session_id, meta, Tags::new()).await?;
        if options.release.trim().is_empty() {
            let status = Status::unknown("uninstall: Release name is invalid: \"\"");
            let said = status.message().to_owned();
            return recording.refuse(status, said, first).await;
        }
        recording.not_yet("destroy releases", first).await
    }
}

/// Clients of the public API pass over kinds that they do not know.
pub(super) fn first(id: &SessionId) -> api::DeployEvent {
    let event = json!({ "kind": "session", "ts": Timestamp::now().rfc3339(), "session_id": id.as_str() });
    api::DeployEvent { json: event.to_string() }
}
