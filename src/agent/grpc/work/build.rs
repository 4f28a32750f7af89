//! `ktl.api.v1.BuildService`: checked and recorded; its work comes later.

use ktl_proto::api::v1::{self as api, build_service_server::BuildService};
use tonic::{Request, Response, Status};

use super::{Recording, Services, Streamed, refuse_fields};
use crate::session::{Meta, SessionId, Tags, Timestamp};

pub(in crate::grpc) struct Builds(pub(in crate::grpc) Services);

#[tonic::async_trait]
impl BuildService for Builds {
    type RunBuildStream = Streamed<api::BuildEvent>;

    async fn run_build(
        &self,
        request: Request<api::RunBuildRequest>,
    ) -> Result<Response<Self::RunBuildStream>, Status> {
        let api::RunBuildRequest { options, session_id, requester } = request.into_inner();
        let options = options.unwrap_or_default();
        check(&options)?;
        let tags = [("build.context_dir", &options.context_dir), ("build.dockerfile", &options.dockerfile)];
        let tags = tags.into_iter().map(|(key, value)| (key.to_owned(), value.trim().to_owned()));
        let tags: Tags = tags.filter(|(_, value)| !value.is_empty()).collect();
        let meta = Meta { requester: requester.trim().to_owned(), ..Meta::default() };
        let recording = Recording::begin(&self.0, &session_id, meta, tags).await?;
        recording.not_yet("build images", first).await
    }
}

fn first(id: &SessionId) -> api::BuildEvent {
    let line = api::LogLine {
        raw: format!("session {id}"),
        rendered: format!("session {id}"),
        source: "session".to_owned(),
        ..api::LogLine::default()
    };
    let body = Some(api::build_event::Body::Log(line));
    api::BuildEvent { timestamp_unix_nano: Timestamp::now().0, body }
}

fn check(options: &api::BuildOptions) -> Result<(), Status> {
    refuse_fields(&[
        ("options.sandbox_config", !options.sandbox_config.is_empty()),
        ("options.sandbox_bin", !options.sandbox_bin.is_empty()),
        ("options.sandbox_binds", !options.sandbox_binds.is_empty()),
        ("options.sandbox_workdir", !options.sandbox_workdir.is_empty()),
        ("options.sandbox_logs", options.sandbox_logs),
        ("options.log_file", !options.log_file.is_empty()),
        ("options.auth_file", !options.auth_file.is_empty()),
    ])?;
    if options.interactive {
        return Err(Status::unknown("--interactive requires a TTY, and an agent has none: build without it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_does_not_name_what_is_on_the_agents_machine() {
        let with = |change: fn(&mut api::BuildOptions)| {
            let mut options = api::BuildOptions { context_dir: ".".into(), ..api::BuildOptions::default() };
            change(&mut options);
            check(&options)
        };
        assert!(with(|_| {}).is_ok());
        let changes: [fn(&mut api::BuildOptions); 4] = [
            |options| options.sandbox_bin = "/bin/sh".into(),
            |options| options.sandbox_binds = vec!["/:/".into()],
            |options| options.log_file = "/etc/passwd".into(),
            |options| options.auth_file = "/x".into(),
        ];
        for change in changes {
            assert_eq!(with(change).unwrap_err().code(), tonic::Code::PermissionDenied);
        }
    }
}
