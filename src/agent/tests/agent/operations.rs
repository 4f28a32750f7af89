//! Applies over the wire: against a real cluster with the real helm where there is one, refusals everywhere.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ktl_proto::control::v1::{
    Apply, CancelRequest, NoteKind, ObjectStatus, PhaseName, ReadSourceRequest, StartRequest, Status,
    fact::Body,
};
use tonic::Code;

use crate::story::{CHART, NO_IMAGE, Story, bodies, body, end, is_finding, never, request, set, start};
use crate::support::{Agent, Data};

#[tokio::test]
async fn an_apply_is_told_from_its_sources_to_its_ready_pods_and_runs_once() {
    let Some(story) = Story::begin("green") else { return };
    assert!(!story.start("green-1", |_| {}).await.joined);
    let frames = story.follow("green-1", never).await;
    let numbers: Vec<u64> = frames.iter().map(|frame| frame.seq).collect();
    assert_eq!(numbers, (1..=frames.len() as u64).collect::<Vec<_>>());
    let Some(Body::Started(started)) = body(&frames[0]) else { panic!("{:?}", frames[0]) };
    assert_eq!((started.cluster.as_str(), started.namespace.as_str()), ("test", story.namespace.as_str()));
    let ended = end(&frames);
    assert_eq!((ended.status(), ended.exit_code), (Status::Done, 0), "{ended:?}");
    let left = ended.left_behind.unwrap();
    assert_eq!((left.release_status.as_str(), left.revision, left.not_ready.len()), ("deployed", 1, 0));
    let mut last: BTreeMap<String, ObjectStatus> = BTreeMap::new();
    for body in bodies(&frames) {
        if let Body::Object(state) = body {
            last.insert(state.object.as_ref().unwrap().kind.clone(), state.status());
        }
    }
    assert_eq!(last.len(), 3, "a secret, a deployment and a pod: {last:?}");
    assert!(last.values().all(|status| *status == ObjectStatus::Ready), "{last:?}");
    assert!(!format!("{frames:?}").contains("t0p-s3cret-word"), "a secret got out");

    assert!(story.start("green-1", |_| {}).await.joined, "the same request joins");
    let refused =
        start(story.agent(), story.request("green-1", |apply| apply.atomic = true)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert!(refused.message().contains("apply.atomic was false and is true"), "{refused:?}");

    let read = ReadSourceRequest { session_id: "green-1".to_owned(), path: "web/values.yaml".to_owned() };
    let source = story.agent().sessions().await.read_source(read).await.unwrap().into_inner();
    let masked = String::from_utf8(source.masked).unwrap();
    assert_eq!(masked, CHART[1].1.replace("t0p-s3cret-word", "***************"));
}

#[tokio::test]
async fn a_pull_that_fails_is_told_in_seconds_and_a_cancel_reaches_helm() {
    let Some(story) = Story::begin("pull") else { return };
    let change = |apply: &mut Apply| (apply.set, apply.wait) = (set(NO_IMAGE), Some(true));
    story.start("pull-1", change).await;
    let is_upgrade = |body: &Body| matches!(body, Body::Phase(phase) if phase.name() == PhaseName::Upgrade);
    story.follow("pull-1", is_upgrade).await;
    let began = Instant::now();
    let frames = story.follow("pull-1", is_finding).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "helm waits 60 s, the cause was told after {took:?}");
    eprintln!("the cause was told {took:?} after the upgrade began");
    let Some(Body::Finding(finding)) = bodies(&frames).last() else { panic!("no finding") };
    assert_eq!(finding.object.as_ref().unwrap().kind, "Deployment");
    assert_eq!(finding.field, "spec.template.spec.containers[0].image");
    assert_eq!(
        finding.place.as_ref().unwrap().file,
        "web/Chart.yaml",
        "without a .ktl.yaml it is the chart's name"
    );

    let asked = Instant::now();
    let cancel = CancelRequest { session_id: "pull-1".to_owned() };
    story.agent().operations().await.cancel(cancel).await.unwrap();
    let frames = story.follow("pull-1", never).await;
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let ended = end(&frames);
    assert_eq!((ended.status(), ended.exit_code), (Status::Cancelled, 130), "{ended:?}");
    let left = ended.left_behind.unwrap();
    assert_eq!((left.release_status.as_str(), left.revision), ("failed", 1));
    assert_eq!(left.not_ready.iter().map(|object| object.kind.as_str()).collect::<Vec<_>>(), ["Deployment"]);
}

#[tokio::test]
async fn failing_fast_ends_before_the_timeout_with_the_cause() {
    let Some(story) = Story::begin("fast") else { return };
    let change = |apply: &mut Apply| {
        (apply.set, apply.wait, apply.fail_fast, apply.timeout_seconds) =
            (set(NO_IMAGE), Some(true), true, 300);
    };
    story.start("fast-1", change).await;
    let ended = end(&story.follow("fast-1", never).await);
    assert_eq!(ended.status(), Status::Error);
    assert!(ended.message.contains("ImagePull"), "{}", ended.message);
}

#[tokio::test]
async fn an_agent_that_is_killed_is_followed_by_one_that_goes_on() {
    let Some(mut story) = Story::begin("adopt") else { return };
    let slow = |apply: &mut Apply| (apply.set, apply.wait) = (set("delay=8"), Some(true));
    story.start("adopt-1", slow).await;
    story.start("adopt-2", slow).await;
    let is_pod = |body: &Body| matches!(body, Body::Object(state) if state.owner.is_some());
    let before = story.follow("adopt-1", is_pod).await;
    story.restart_agent();
    let frames = story.follow("adopt-1", never).await;
    assert_eq!(frames[..before.len()], before, "what was told stays told");
    let ended = end(&frames);
    assert_eq!(ended.status(), Status::Done, "{ended:?}");
    let notes: Vec<_> = bodies(&frames).filter(|body| matches!(body, Body::Note(_))).collect();
    assert!(matches!(notes[..], [Body::Note(note)] if note.kind() == NoteKind::Adopted), "{notes:?}");
    let mut told = BTreeMap::<String, usize>::new();
    for body in bodies(&frames) {
        *told.entry(format!("{body:?}")).or_default() += 1;
    }
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "told twice: {twice:#?}");

    let second = story.follow("adopt-2", never).await;
    assert!(matches!(body(&second[0]), Some(Body::Queued(queued)) if queued.session_ahead == "adopt-1"));
    let ended = end(&second);
    assert_eq!((ended.status(), ended.left_behind.unwrap().revision), (Status::Done, 2));
}

#[tokio::test]
async fn who_does_not_want_to_wait_is_told_who_holds_the_release() {
    let Some(story) = Story::begin("busy") else { return };
    story.start("busy-1", |apply| (apply.set, apply.wait) = (set("delay=5"), Some(true))).await;
    let refused =
        start(story.agent(), story.request("busy-2", |apply| apply.queue = Some(false))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("session busy-1"), "{refused:?}");
    assert_eq!(end(&story.follow("busy-1", never).await).status(), Status::Done);
}

#[tokio::test]
async fn a_request_that_cannot_be_run_is_refused_with_its_field() {
    let data = Data::new();
    let agent = Agent::start_with(&data, &["--helm", "/nonexistent/helm"]);
    let refused = |request| async { start(&agent, request).await.unwrap_err() };
    for (request, code, words) in [
        (StartRequest::default(), Code::InvalidArgument, "operation: is missing"),
        (request("", |apply| apply.release = "Web".into()), Code::InvalidArgument, "apply.release"),
        (request("", |apply| apply.chart = "../x".into()), Code::InvalidArgument, "apply.chart"),
        (request("a b", |_| {}), Code::InvalidArgument, "session_id"),
        (request("", |_| {}), Code::FailedPrecondition, "--helm"),
    ] {
        let status = refused(request).await;
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(words), "{status:?}");
    }
    let unknown = CancelRequest { session_id: "nobody".to_owned() };
    let status = agent.operations().await.cancel(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}
