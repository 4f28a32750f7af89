//! The public tail beyond its recording: what is missing, what has ended, and an agent that stops. And what else every
//! client of the public API finds on the port.

use std::{process::Command, time::Duration};

use ktl_proto::api::v1::{MirrorSessionState, MirrorSessionStatus, MirrorSetSessionStatusRequest};
use serde_json::Value;
use tonic::{Code, Request, metadata::MetadataValue};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{
    v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient},
    v1::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse},
};

use crate::support::{Agent, Data, TOKEN, frame, publish};

/// The events of a stream as `(event, id, data)`.
fn parse(text: &str) -> Vec<(String, String, String)> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    text.split("\n\n")
        .map(|block| (field(block, "event:"), field(block, "id:"), field(block, "data:")))
        .collect()
}

#[tokio::test]
async fn what_retention_took_is_told_as_public_clients_know_it() {
    let data = Data::new();
    let agent = Agent::start_with(&data, &["-mirror-max-frames", "50", "-mirror-prune-interval=1s"]);
    let frames = (0..120).map(|n| frame("big", &n.to_string())).collect();
    publish(&mut agent.mirror().await, frames).await.unwrap();
    while agent.get("/api/v1/mirror/sessions/big/export").await.body.lines().count() > 50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let events = parse(&agent.events("/api/v1/mirror/sessions/big/tail", &[], "event: frame").await);
    let (_, id, dropped) = events.iter().find(|(event, ..)| event == "dropped").unwrap();
    let dropped: Value = serde_json::from_str(dropped).unwrap();
    assert!(id.ends_with(":70"), "{id}");
    // Numbers here, texts everywhere else: so does the public agent.
    assert_eq!(
        (&dropped["from_sequence"], &dropped["to_sequence"], &dropped["missing"]),
        (&1.into(), &70.into(), &70.into())
    );
    assert_eq!((&dropped["session_id"], &dropped["reason"]), (&"big".into(), &"not_available".into()));
    let (_, _, gap) = events.iter().find(|(event, ..)| event == "gap").unwrap();
    let gap: Value = serde_json::from_str(gap).unwrap();
    assert_eq!((&gap["to"], &gap["reason"]), (&"70".into(), &"retention".into()));
    let first = events.iter().find(|(event, ..)| event == "frame").unwrap();
    assert!(first.1.ends_with(":71") && first.2.contains("\"sequence\":\"71\""), "{first:?}");
}

#[tokio::test]
async fn a_tail_tells_an_end_and_stays_until_the_agent_says_bye() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    publish(&mut mirror, vec![frame("s", "one")]).await.unwrap();
    let mut status = MirrorSessionStatus { exit_code: 3, ..Default::default() };
    status.set_state(MirrorSessionState::Error);
    let ended = MirrorSetSessionStatusRequest { session_id: "s".into(), status: Some(status) };
    mirror.set_session_status(ended).await.unwrap();
    let path = "/api/v1/mirror/sessions/s/tail?retry_ms=700&heartbeat_ms=1000";
    // It goes on after the end: pings come.
    let text = agent.events(path, &[], "event: ping").await;
    let names: Vec<String> =
        parse(&text).into_iter().map(|(event, ..)| event).filter(|name| !name.is_empty()).collect();
    assert_eq!(names, ["frame", "caught_up", "end", "ping"]);
    assert!(text.contains("retry: 700\n"), "{text}");
    let pid = agent.child.id().to_string();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    };
    let (text, ()) = tokio::join!(agent.events(path, &[], "event: bye"), stop);
    let millis: u64 = text.rsplit_once("retry: ").unwrap().1.lines().next().unwrap().parse().unwrap();
    assert!((1000..=5000).contains(&millis), "{text}");
}

#[tokio::test]
async fn health_and_reflection_are_behind_the_token_like_everything_else() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut health = HealthClient::new(agent.channel().await);
    let check = |service: &str, token: Option<&str>| {
        let mut request = Request::new(HealthCheckRequest { service: service.into() });
        if let Some(token) = token {
            request.metadata_mut().insert("x-ktl-token", MetadataValue::try_from(token).unwrap());
        }
        request
    };
    assert_eq!(health.check(check("", None)).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(health.check(check("", Some(TOKEN))).await.unwrap().into_inner().status, 1, "serving");
    assert_eq!(
        health.check(check("ktl.api.v1.LogService", Some(TOKEN))).await.unwrap_err().code(),
        Code::NotFound
    );

    let mut reflection = ServerReflectionClient::new(agent.channel().await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut request = Request::new(tokio_stream::iter([ask]));
    request
        .metadata_mut()
        .insert("authorization", MetadataValue::try_from(format!("Bearer {TOKEN}")).unwrap());
    let answer =
        reflection.server_reflection_info(request).await.unwrap().into_inner().message().await.unwrap();
    let Some(MessageResponse::ListServicesResponse(services)) = answer.unwrap().message_response else {
        panic!("no services")
    };
    let names: Vec<String> = services.service.into_iter().map(|service| service.name).collect();
    for service in ["AgentInfo", "Build", "Deploy", "Log", "Mirror", "Verify"] {
        let name = format!("ktl.api.v1.{service}Service");
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for version in ["v1", "v1alpha"] {
        let name = format!("grpc.reflection.{version}.ServerReflection");
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}
