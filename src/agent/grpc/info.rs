//! `ktl.api.v1.AgentInfoService`: what was built.

use ktl_proto::api::v1::{AgentInfo, AgentInfoRequest, agent_info_service_server::AgentInfoService};
use tonic::{Request, Response, Status};

pub(super) struct Info;

#[tonic::async_trait]
impl AgentInfoService for Info {
    async fn get_info(&self, _: Request<AgentInfoRequest>) -> Result<Response<AgentInfo>, Status> {
        Ok(Response::new(AgentInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            // What a build does not record has the public agent's word for that.
            git_commit: option_env!("KTL_GIT_COMMIT").unwrap_or("unknown").into(),
            git_tree_state: option_env!("KTL_GIT_TREE_STATE").unwrap_or("unknown").into(),
            build_date: option_env!("KTL_BUILD_DATE").unwrap_or("unknown").into(),
            go_version: concat!("rust ", env!("CARGO_PKG_RUST_VERSION")).into(),
            platform: platform(std::env::consts::OS, std::env::consts::ARCH),
        }))
    }
}

/// The machine as Go names it, which is what clients compare with.
fn platform(os: &str, arch: &str) -> String {
    let os = if os == "macos" { "darwin" } else { os };
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    format!("{os}/{arch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_their_go_names() {
        assert_eq!(platform("linux", "x86_64"), "linux/amd64");
        assert_eq!(platform("macos", "aarch64"), "darwin/arm64");
    }
}
