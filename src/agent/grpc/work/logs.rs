//! `ktl.api.v1.LogService`: checked and recorded; its work comes later.

use ktl_proto::api::v1::{self as api, log_service_server::LogService};
use regex::Regex;
use tonic::{Request, Response, Status};

use super::{Recording, Services, Streamed};
use crate::session::{Meta, Tags};

pub(in crate::grpc) struct Logs(pub(in crate::grpc) Services);

#[tonic::async_trait]
impl LogService for Logs {
    type StreamLogsStream = Streamed<api::LogLine>;

    async fn stream_logs(
        &self,
        request: Request<api::LogRequest>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        let request = request.into_inner();
        check(&request)?;
        let namespace = match request.namespaces.as_slice() {
            [only] if !request.all_namespaces => only.trim().to_owned(),
            _ => String::new(),
        };
        let meta = Meta {
            requester: request.requester.trim().to_owned(),
            context: request.kube_context.trim().to_owned(),
            namespace,
            ..Meta::default()
        };
        let tags = Tags::from([("logs.pod_query".to_owned(), request.pod_query.trim().to_owned())]);
        let recording = Recording::begin(&self.0, &request.session_id, meta, tags).await?;
        let first = |id: &_| api::LogLine {
            raw: format!("session {id}"),
            rendered: format!("session {id}"),
            source: "session".to_owned(),
            ..api::LogLine::default()
        };
        recording.not_yet("stream logs", first).await
    }
}

/// Only the missing query has a code of its own; the rest are errors of Go without one.
fn check(request: &api::LogRequest) -> Result<(), Status> {
    if request.pod_query.is_empty() {
        return Err(Status::invalid_argument("pod_query is required"));
    }
    let query = request.pod_query.split_once('/').map_or(request.pod_query.as_str(), |(_, query)| query);
    let lists = [
        ("pod", std::slice::from_ref(&request.pod_query)),
        ("container", &request.containers),
        ("exclude-container", &request.exclude_containers),
        ("exclude-pod", &request.exclude_pods),
        ("search", &request.highlight_terms),
    ];
    for (name, patterns) in lists {
        for pattern in patterns {
            let pattern = if name == "pod" && !query.is_empty() { query } else { pattern };
            if let Err(error) = Regex::new(pattern) {
                return Err(Status::unknown(format!("invalid {name} regex {pattern:?}: {error}")));
            }
        }
    }
    if request.tail_lines < -1 {
        return Err(Status::unknown("--tail cannot be less than -1"));
    }
    if request.all_namespaces && !request.namespaces.is_empty() {
        return Err(Status::unknown("cannot combine --all-namespaces with explicit --namespace"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_mistake_has_the_code_and_the_words_of_the_public_agent() {
        let query = |query: &str| api::LogRequest { pod_query: query.into(), ..api::LogRequest::default() };
        assert!(check(&query("web-.*")).is_ok() && check(&query("shop/web")).is_ok());
        let all = api::LogRequest { all_namespaces: true, namespaces: vec!["shop".into()], ..query("x") };
        for (request, code, words) in [
            (query(""), Code::InvalidArgument, "pod_query is required"),
            (query("("), Code::Unknown, "invalid pod regex \"(\""),
            (query("shop/("), Code::Unknown, "invalid pod regex \"(\""),
            (api::LogRequest { tail_lines: -2, ..query("x") }, Code::Unknown, "--tail cannot be"),
            (all, Code::Unknown, "cannot combine --all-namespaces"),
        ] {
            let status = check(&request).unwrap_err();
            assert!(status.code() == code && status.message().starts_with(words), "{status}");
        }
    }
}
