//! The work rpcs of the public API that come later: checked, recorded, and said.

use std::collections::HashMap;

use ktl_proto::api::v1::{
    self as api, MirrorGetSessionRequest, MirrorSessionMeta, MirrorSessionState, MirrorSetSessionMetaRequest,
    build_service_client::BuildServiceClient, deploy_service_client::DeployServiceClient,
    log_service_client::LogServiceClient, verify_service_client::VerifyServiceClient,
};
use serde_json::Value;
use tonic::{Code, Response, Status, Streaming};

use crate::support::{Agent, Data, WithToken};

/// The session that the initial metadata name, the messages, and the status behind them.
async fn read<T>(answer: Result<Response<Streaming<T>>, Status>) -> (String, Vec<T>, Status) {
    let answer = answer.unwrap();
    let session = answer.metadata().get("ktl-session-id").unwrap().to_str().unwrap().to_owned();
    let (mut messages, mut stream) = (Vec::new(), answer.into_inner());
    loop {
        match stream.message().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => panic!("it ended well"),
            Err(status) => return (session, messages, status),
        }
    }
}

async fn session(agent: &Agent, id: &str) -> api::MirrorSession {
    let request = MirrorGetSessionRequest { session_id: id.into() };
    agent.mirror().await.get_session(request).await.unwrap().into_inner()
}

fn logs(id: &str) -> api::LogRequest {
    api::LogRequest {
        pod_query: "web-.*".into(),
        namespaces: vec!["shop".into()],
        session_id: id.into(),
        requester: "ann@host".into(),
        ..api::LogRequest::default()
    }
}

#[tokio::test]
async fn a_call_whose_work_comes_later_is_recorded_as_the_public_agent_would() {
    let data = Data::new();
    let agent = Agent::start(&data);
    // As the Go client does before each call.
    let meta =
        MirrorSessionMeta { command: "ktl logs".into(), args: vec!["web".into()], ..Default::default() };
    let before =
        MirrorSetSessionMetaRequest { session_id: "l1".into(), meta: Some(meta), tags: HashMap::new() };
    agent.mirror().await.set_session_meta(before).await.unwrap();
    let mut client = LogServiceClient::with_interceptor(agent.channel().await, WithToken);
    let (id, messages, status) = read(client.stream_logs(logs("l1")).await).await;
    assert_eq!((id.as_str(), messages.len(), status.code()), ("l1", 0, Code::Unimplemented));
    let found = session(&agent, "l1").await;
    let ended = found.status.unwrap();
    assert_eq!((ended.state(), ended.exit_code), (MirrorSessionState::Error, 1));
    assert!(ended.error_message == status.message() && ended.completed_unix_nano > 0, "{ended:?}");
    let meta = found.meta.unwrap();
    assert_eq!(
        (meta.command.as_str(), meta.requester.as_str(), meta.namespace.as_str()),
        ("ktl logs", "ann@host", "shop")
    );
    assert_eq!(found.tags["logs.pod_query"], "web-.*");
}

#[tokio::test]
async fn a_call_without_an_id_learns_the_one_it_is_recorded_under() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let channel = agent.channel().await;
    let mut said = Vec::new();

    let mut client = LogServiceClient::with_interceptor(channel.clone(), WithToken);
    let (id, lines, status) = read(client.stream_logs(logs("")).await).await;
    said.push((id, lines[0].raw.clone(), status));

    let mut client = BuildServiceClient::with_interceptor(channel.clone(), WithToken);
    let options = api::BuildOptions { context_dir: ".".into(), ..Default::default() };
    let request = api::RunBuildRequest { options: Some(options), ..Default::default() };
    let (id, events, status) = read(client.run_build(request).await).await;
    let Some(api::build_event::Body::Log(line)) = &events[0].body else { panic!("{events:?}") };
    said.push((id, line.raw.clone(), status));

    let mut client = VerifyServiceClient::with_interceptor(channel.clone(), WithToken);
    let target = api::VerifyNamespaceOptions { namespace: "shop".into(), ..Default::default() };
    let target = Some(api::verify_request::Target::Namespace(target));
    let request = api::VerifyRequest { target, ..Default::default() };
    let (id, events, status) = read(client.verify(request).await).await;
    let Some(api::verify_event::Body::Json(json)) = &events[0].body else { panic!("{events:?}") };
    said.push((id, json.clone(), status));

    let mut client = DeployServiceClient::with_interceptor(channel, WithToken);
    let options = api::DeployDestroyOptions { release: "web".into(), ..Default::default() };
    let request = api::DeployDestroyRequest { options: Some(options), ..Default::default() };
    let (id, events, status) = read(client.destroy(request).await).await;
    let event: Value = serde_json::from_str(&events[0].json).unwrap();
    assert_eq!(event["kind"], "session");
    said.push((id, event.to_string(), status));

    for (id, first, status) in said {
        assert!(first.contains(&id), "{first} does not name {id}");
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(session(&agent, &id).await.status.unwrap().state(), MirrorSessionState::Error);
    }
}

#[tokio::test]
async fn a_call_that_is_wrong_is_refused_before_its_work() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let channel = agent.channel().await;
    let mut builds = BuildServiceClient::with_interceptor(channel.clone(), WithToken);
    let options = api::BuildOptions { log_file: "/etc/motd".into(), ..Default::default() };
    let request =
        api::RunBuildRequest { options: Some(options), session_id: "b1".into(), ..Default::default() };
    let refused = builds.run_build(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("options.log_file"), "{refused}");
    let mut deploys = DeployServiceClient::with_interceptor(channel, WithToken);
    let refused = deploys.destroy(api::DeployDestroyRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unknown, "destroy options are required"));
    let listed = agent.mirror().await.list_sessions(api::MirrorListSessionsRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().sessions, []);
}

#[tokio::test]
async fn a_browser_that_shows_the_token_gets_a_cookie_that_is_not_the_token() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let path = "/api/v1/auth/cookie";
    let stranger = agent.http(&format!("POST {path}"), &[], "").await;
    assert_eq!((stranger.status, stranger.body.as_str()), (401, "missing authentication token\n"));
    let answer = agent.http(&format!("POST {path}"), &[("x-ktl-token", crate::support::TOKEN)], "").await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        answer.status == 204 && cookie.contains("httponly") && !cookie.contains(crate::support::TOKEN),
        "{cookie}"
    );
    let gone = agent.http(&format!("DELETE {path}"), &[], "").await;
    assert!(gone.status == 204 && gone.header("set-cookie").unwrap().contains("max-age=0"), "{gone:?}");
    let wrong = agent.http(&format!("PUT {path}"), &[("x-ktl-token", crate::support::TOKEN)], "").await;
    assert_eq!((wrong.status, wrong.body.as_str()), (405, "method not allowed\n"));
}
