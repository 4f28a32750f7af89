//! `ktl.api.v1.AgentInfoService`: what was built.

use ktl_proto::api::v1::{AgentInfo, AgentInfoRequest, agent_info_service_server::AgentInfoService};
use tonic::{Request, Response, Status};

pub(super) struct Info;

#[tonic::async_trait]
impl AgentInfoService for Info {
    async fn get_info(&self, _: Request<AgentInfoRequest>) -> Result<Response<AgentInfo>, Status> {
        Ok(Response::new(AgentInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            // What a build does not record is left empty rather than guessed.
            git_commit: option_env!("KTL_GIT_COMMIT").unwrap_or_default().into(),
            git_tree_state: option_env!("KTL_GIT_TREE_STATE").unwrap_or_default().into(),
            build_date: option_env!("KTL_BUILD_DATE").unwrap_or_default().into(),
            go_version: concat!("rust ", env!("CARGO_PKG_RUST_VERSION")).into(),
            platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        }))
    }
}
