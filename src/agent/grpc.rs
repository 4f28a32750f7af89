//! gRPC: our own services, and the public API that the Go `ktl` speaks.
//!
//! Each method decodes, calls and encodes. What a stream shows is a follower of the journal, so a call that goes away
//! loses a follower and nothing else.

mod agent;
pub mod convert;
mod info;
mod mirror;
mod operation;
mod retention;
mod session;
mod status;
mod work;

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse as _, Response},
};
use ktl_proto::{
    api::v1::{
        agent_info_service_server::AgentInfoServiceServer, build_service_server::BuildServiceServer,
        deploy_service_server::DeployServiceServer, log_service_server::LogServiceServer,
        mirror_service_server::MirrorServiceServer, verify_service_server::VerifyServiceServer,
    },
    control::v1::{
        agent_service_server::AgentServiceServer, operation_service_server::OperationServiceServer,
        retention_service_server::RetentionServiceServer, session_service_server::SessionServiceServer,
    },
};
use tokio_util::sync::CancellationToken;
use tonic::{Extensions, Status, service::Routes};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::{agent::Work, operation::Operate, work::Deploys};
use crate::{
    auth::{Browsers, Principal},
    journal::Journal,
    publishers::Publishers,
    session::SessionId,
    shutdown::Shutdown,
    store::Retention,
};

/// The largest message that a caller may send: room for a frame of the largest size in its envelope.
pub const MAX_MESSAGE: usize = crate::store::MAX_FRAME_BYTES + 64 * 1024;

/// What the services work with. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The sessions.
    pub journal: Journal,
    /// Codes for browsers.
    pub browsers: Browsers,
    /// Who publishes now.
    pub publishers: Publishers,
    /// What is kept.
    pub retention: Arc<Retention>,
    /// What runs now.
    pub work: Arc<dyn Work>,
    /// Where browsers reach this agent, without a path.
    pub base: Arc<str>,
    /// Cancelled when the agent stops: streams end.
    pub stop: CancellationToken,
    /// Runs what outlives a call.
    pub shutdown: Shutdown,
}

impl Services {
    /// Deletes a session, unless it is in use or pinned; by force whatever it is.
    async fn delete(&self, id: &SessionId, force: bool, principal: &str) -> Result<bool, Status> {
        if !force && self.publishers.has(id) {
            let why =
                format!("session {id} has an open publish stream: close it first, or force the deletion");
            return Err(Status::failed_precondition(why));
        }
        Ok(self.journal.delete(id, force, principal).await?)
    }
}

/// Who asks, as sessions keep it; empty for an agent that lets everybody on the machine in.
fn principal(extensions: &Extensions) -> String {
    extensions.get::<Principal>().map(ToString::to_string).unwrap_or_default()
}

/// Every service, with health and both reflections. `more` are services that live elsewhere.
pub async fn routes(
    services: Services,
    more: impl FnOnce(Routes) -> Routes,
) -> Result<Router, tonic_reflection::server::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(ktl_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
    };
    macro_rules! serve {
        ($server:ident, $service:expr) => {
            $server::new($service)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(usize::MAX)
        };
    }
    let routes = Routes::new(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(serve!(SessionServiceServer, session::Sessions(services.clone())))
        .add_service(serve!(RetentionServiceServer, retention::Keeper(services.clone())))
        .add_service(serve!(AgentServiceServer, agent::Agent(services.clone())))
        .add_service(serve!(MirrorServiceServer, mirror::Mirror(services.clone())))
        .add_service(serve!(AgentInfoServiceServer, info::Info))
        .add_service(serve!(LogServiceServer, work::Logs(services.clone())))
        .add_service(serve!(BuildServiceServer, work::Builds(services.clone())))
        .add_service(serve!(VerifyServiceServer, work::Verifies(services)));
    let router = more(routes).into_axum_router().reset_fallback();
    Ok(router.layer(CatchPanicLayer::custom(panicked)))
}

/// The service that applies for public clients.
pub fn deploy_server(deploys: Deploys) -> DeployServiceServer<Deploys> {
    DeployServiceServer::new(deploys)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(usize::MAX)
}

/// The service that starts work.
pub fn operation_server(operate: Operate) -> OperationServiceServer<Operate> {
    OperationServiceServer::new(operate).max_decoding_message_size(MAX_MESSAGE)
}

/// The answer to a method that panicked, as gRPC says it: HTTP 200 and a status.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    let status =
        Status::internal("the agent failed on this call: this is a bug, report it with the agent's log");
    status.into_http::<axum::body::Body>().into_response()
}
