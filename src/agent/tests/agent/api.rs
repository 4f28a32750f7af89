//! The services and the JSON, from outside.

use ktl_proto::api::v1::{
    MirrorExportRequest, MirrorGetSessionRequest, MirrorListSessionsRequest, MirrorSubscribeRequest,
    agent_info_service_client::AgentInfoServiceClient,
};
use ktl_proto::control::v1::{Cursor, FollowRequest, InfoRequest, follow_event::Event};
use tonic::Code;

use crate::support::{Agent, Data, frame, publish, recorded};

#[tokio::test]
async fn a_published_session_is_the_same_over_every_door() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    let frames = vec![frame("s", "one"), frame("", "nobody"), frame(" s ", "two")];
    let acks = publish(&mut mirror, frames).await.unwrap();
    assert_eq!(acks.iter().map(|ack| ack.sequence).collect::<Vec<_>>(), [1, 2]);

    let session =
        mirror.get_session(MirrorGetSessionRequest { session_id: "s".into() }).await.unwrap().into_inner();
    assert_eq!((session.last_sequence, session.meta), (2, None));
    let export = MirrorExportRequest { session_id: "s".into(), from_sequence: 2, ..Default::default() };
    let chunk = mirror.export(export).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&chunk.data).unwrap();
    assert_eq!(
        (line["sequence"].as_str(), line["deploy"]["json"].as_str()),
        (Some("2"), Some("{\"text\":\"two\"}"))
    );

    let listed = agent.get("/api/v1/sessions?status=running&limit=5").await.json();
    assert_eq!(listed["sessions"][0]["session_id"], "s");
    assert_eq!(listed["sessions"][0]["status"], "STATUS_RUNNING");
    let detail = agent.get("/api/v1/sessions/s").await.json();
    assert_eq!(detail["url"], format!("http://127.0.0.1:{}/s/s", agent.port));
    let lines = agent.get("/api/v1/sessions/s/export").await.body;
    assert_eq!(lines.lines().count(), 3, "two frames and what says that it is whole: {lines}");
    assert_eq!(recorded(&agent, "s").await.len(), 3, "two frames and caught_up");
}

#[tokio::test]
async fn a_subscription_starts_where_it_is_told_and_goes_on() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    // A tail may be there before its session is.
    let early = MirrorSubscribeRequest { session_id: "s".into(), ..Default::default() };
    let mut early = mirror.subscribe(early).await.unwrap().into_inner();
    publish(&mut mirror, vec![frame("s", "one"), frame("s", "two")]).await.unwrap();
    let from = MirrorSubscribeRequest { session_id: "s".into(), replay: true, from_sequence: 2 };
    let mut from = mirror.subscribe(from).await.unwrap().into_inner();
    let new = MirrorSubscribeRequest { session_id: "s".into(), ..Default::default() };
    let mut new = mirror.subscribe(new).await.unwrap().into_inner();
    publish(&mut mirror, vec![frame("s", "three")]).await.unwrap();
    for (stream, expected) in [(&mut early, vec![1, 2, 3]), (&mut from, vec![2, 3]), (&mut new, vec![3])] {
        for sequence in expected {
            assert_eq!(stream.message().await.unwrap().unwrap().sequence, sequence);
        }
    }
}

#[tokio::test]
async fn a_follower_resumes_and_a_foreign_cursor_is_told_where_to_start() {
    let data = Data::new();
    let agent = Agent::start(&data);
    publish(&mut agent.mirror().await, vec![frame("s", "one"), frame("s", "two")]).await.unwrap();
    let Some(Event::Frame(first)) = recorded(&agent, "s").await.remove(0).event else { panic!("no frame") };
    let follow = async |epoch, seq| {
        let request =
            FollowRequest { session_id: "s".into(), after: Some(Cursor { epoch, seq }), heartbeat_ms: 1000 };
        let mut events = agent.sessions().await.follow(request).await.unwrap().into_inner();
        events.message().await.unwrap().unwrap().event.unwrap()
    };
    assert!(matches!(follow(first.epoch, 1).await, Event::Frame(frame) if frame.seq == 2));
    assert!(
        matches!(follow(first.epoch, 9).await, Event::Resync(resync) if resync.first == 1 && resync.head == 2)
    );
    assert!(matches!(follow(first.epoch - 1, 1).await, Event::Resync(_)));
    let id = format!("{}:1", first.epoch);
    let events =
        agent.events("/api/v1/sessions/s/events", &[("last-event-id", &id)], "event: caught_up").await;
    assert!(events.contains(&format!("id: {}:2\n", first.epoch)) && !events.contains(":1\n"), "{events}");
    let retry = events.lines().find_map(|line| line.strip_prefix("retry: ")).unwrap();
    assert!((1000..1500).contains(&retry.parse::<u32>().unwrap()), "{events}");
    let by_query = format!("/api/v1/sessions/s/events?last_event_id={id}");
    assert!(agent.events(&by_query, &[], "event: caught_up").await.contains(":2\n"));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_answered_with_what_would_be_right() {
    let data = Data::new();
    let agent = Agent::start(&data);
    for (path, status, words) in [
        ("/api/v1/sessions/nope", 404, "session nope is not known"),
        ("/api/v1/sessions/nope/events", 404, "is not known"),
        ("/api/v1/sessions/nope/export", 404, "is not known"),
        ("/api/v1/sessions/a%20b", 400, "character 2"),
        ("/api/v1/sessions?limit=0", 400, "use 1 to 1000"),
        ("/api/v1/sessions?status=broken", 400, "there are: running, done"),
        ("/api/v1/sessions?relase=web", 400, "no parameter"),
        ("/api/v1/nothing", 404, "/api/v1/sessions"),
    ] {
        let answer = agent.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.body.contains(words) && answer.json()["next"].is_string(), "{path}: {}", answer.body);
        assert!(answer.header("access-control-allow-origin").is_none());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    publish(&mut agent.mirror().await, vec![frame("s", "one")]).await.unwrap();
    let answer = agent
        .http(
            "GET /api/v1/sessions/s/events",
            &[("x-ktl-token", crate::support::TOKEN), ("last-event-id", "x")],
            "",
        )
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn calls_are_refused_in_the_words_that_public_clients_know() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    let get = |id: &str| MirrorGetSessionRequest { session_id: id.into() };
    let unknown = mirror.get_session(get("nope")).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "session not found"));
    let empty = mirror.get_session(get("")).await.unwrap_err();
    assert_eq!((empty.code(), empty.message()), (Code::InvalidArgument, "session_id is required"));
    let long = mirror.get_session(get(&"x".repeat(10_000))).await.unwrap_err();
    assert!(long.code() == Code::InvalidArgument && long.message().contains("the limit is 128"), "{long}");
    let mut stranger = AgentInfoServiceClient::new(agent.channel().await);
    let refused = stranger.get_info(ktl_proto::api::v1::AgentInfoRequest {}).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unauthenticated, "missing authentication token"));
    let large =
        publish(&mut mirror, vec![frame("s", "small"), frame("s", &"x".repeat(4 << 20))]).await.unwrap_err();
    assert!(large.message().contains("the limit is 4194304"), "{large}");
    let listed = mirror.list_sessions(MirrorListSessionsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.sessions.len(), 1, "the agent goes on after a refused frame");
}

#[tokio::test]
async fn an_agent_says_where_it_is() {
    let data = Data::new();
    let agent = Agent::start_with(&data, &["--public-url", "https://ktl.example.com/"]);
    let info = agent.agent().await.info(InfoRequest {}).await.unwrap().into_inner();
    assert_eq!((info.http_url.as_str(), info.pid), ("https://ktl.example.com", agent.child.id()));
    assert_eq!(agent.http("GET /healthz", &[("host", "ktl.example.com")], "").await.body, "ok\n");
    assert_eq!(agent.http("GET /healthz", &[("host", "other.example.com")], "").await.status, 421);
}
