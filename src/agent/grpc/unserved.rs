//! Work of the public API that this version does not do. Each call says so, and what to use.

use futures::stream::Empty;
use ktl_proto::api::v1::{
    self as api, build_service_server::BuildService, deploy_service_server::DeployService,
    log_service_server::LogService, verify_service_server::VerifyService,
};
use tonic::{Request, Response, Status};

pub(super) struct Unserved;

fn unserved<T>(what: &str) -> Result<T, Status> {
    let instead = "this version applies through ktl.control.v1 (ktl-lsp apply) and records what is published";
    Err(Status::unimplemented(format!("this agent does not {what} yet: {instead}")))
}

#[tonic::async_trait]
impl LogService for Unserved {
    type StreamLogsStream = Empty<Result<api::LogLine, Status>>;

    async fn stream_logs(
        &self,
        request: Request<api::LogRequest>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        let request = request.into_inner();
        if request.pod_query.is_empty() && request.label_selector.is_empty() {
            return Err(Status::invalid_argument("pod_query is required"));
        }
        unserved("stream logs")
    }
}

#[tonic::async_trait]
impl BuildService for Unserved {
    type RunBuildStream = Empty<Result<api::BuildEvent, Status>>;

    async fn run_build(
        &self,
        _: Request<api::RunBuildRequest>,
    ) -> Result<Response<Self::RunBuildStream>, Status> {
        unserved("build images")
    }
}

#[tonic::async_trait]
impl DeployService for Unserved {
    type ApplyStream = Empty<Result<api::DeployEvent, Status>>;
    type DestroyStream = Empty<Result<api::DeployEvent, Status>>;

    async fn apply(
        &self,
        request: Request<api::DeployApplyRequest>,
    ) -> Result<Response<Self::ApplyStream>, Status> {
        if request.into_inner().options.is_none() {
            return Err(Status::unknown("deploy options are required"));
        }
        unserved("apply from paths on its own disk")
    }

    async fn destroy(
        &self,
        _: Request<api::DeployDestroyRequest>,
    ) -> Result<Response<Self::DestroyStream>, Status> {
        unserved("destroy releases")
    }
}

#[tonic::async_trait]
impl VerifyService for Unserved {
    type VerifyStream = Empty<Result<api::VerifyEvent, Status>>;

    async fn verify(
        &self,
        request: Request<api::VerifyRequest>,
    ) -> Result<Response<Self::VerifyStream>, Status> {
        if request.into_inner().target.is_none() {
            return Err(Status::invalid_argument("target is required"));
        }
        unserved("verify")
    }
}
