//! `ktl.api.v1.VerifyService`: checked and recorded; its work comes later.

use ktl_proto::api::v1::{self as api, verify_request::Target, verify_service_server::VerifyService};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{Recording, Services, Streamed, as_go_prints};
use crate::session::{Meta, SessionId, Tags, Timestamp};

pub(in crate::grpc) struct Verifies(pub(in crate::grpc) Services);

#[tonic::async_trait]
impl VerifyService for Verifies {
    type VerifyStream = Streamed<api::VerifyEvent>;

    async fn verify(
        &self,
        request: Request<api::VerifyRequest>,
    ) -> Result<Response<Self::VerifyStream>, Status> {
        let request = request.into_inner();
        // The public agent records a call before it looks at the target, so a wrong one is on record too.
        let recording = Recording::begin(&self.0, &request.session_id, meta(&request), Tags::new()).await?;
        match check(request.target.as_ref()) {
            Ok(()) => recording.not_yet("verify", first).await,
            Err(status) => {
                let said = as_go_prints(&status);
                recording.refuse(status, said, first).await
            }
        }
    }
}

fn first(id: &SessionId) -> api::VerifyEvent {
    let body = Some(api::verify_event::Body::Json(json!({ "session_id": id.as_str() }).to_string()));
    api::VerifyEvent { timestamp_unix_nano: Timestamp::now().0, body }
}

fn meta(request: &api::VerifyRequest) -> Meta {
    let text = |text: &str| text.trim().to_owned();
    let requester = text(&request.requester);
    match &request.target {
        Some(Target::Chart(chart)) => Meta {
            requester,
            context: text(&chart.kube_context),
            namespace: text(&chart.namespace),
            release: text(&chart.release),
            chart: text(&chart.chart),
            ..Meta::default()
        },
        Some(Target::Namespace(namespace)) => Meta {
            requester,
            context: text(&namespace.kube_context),
            namespace: text(&namespace.namespace),
            ..Meta::default()
        },
        None => Meta { requester, ..Meta::default() },
    }
}

fn check(target: Option<&Target>) -> Result<(), Status> {
    match target {
        None => Err(Status::invalid_argument("target is required")),
        Some(Target::Chart(chart)) if chart.chart.trim().is_empty() || chart.release.trim().is_empty() => {
            Err(Status::invalid_argument("chart and release are required"))
        }
        Some(Target::Namespace(namespace)) if namespace.namespace.trim().is_empty() => {
            Err(Status::invalid_argument("namespace is required"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_whole_or_refused() {
        let chart = |chart: &str, release: &str| {
            let options = api::VerifyChartOptions {
                chart: chart.into(),
                release: release.into(),
                ..Default::default()
            };
            Some(Target::Chart(options))
        };
        let namespace = |namespace: &str| {
            let options = api::VerifyNamespaceOptions { namespace: namespace.into(), ..Default::default() };
            Some(Target::Namespace(options))
        };
        for (target, words) in [
            (None, "target is required"),
            (chart("web", " "), "chart and release are required"),
            (chart("", "web"), "chart and release are required"),
            (namespace(" "), "namespace is required"),
        ] {
            assert_eq!(check(target.as_ref()).unwrap_err().message(), words);
        }
        assert!(check(chart("web", "web").as_ref()).is_ok() && check(namespace("shop").as_ref()).is_ok());
    }
}
