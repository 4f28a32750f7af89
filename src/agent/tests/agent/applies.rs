//! The public `Apply`: what lies in allowed folders, told in the public agent's events, cancelled by leaving.

use std::{fs, time::Duration};

use ktl_proto::api::v1::{
    DeployApplyOptions, DeployApplyRequest, DeployEvent, MirrorGetSessionRequest, MirrorSession,
    MirrorSessionMeta, MirrorSessionState, MirrorSetSessionMetaRequest,
    deploy_service_client::DeployServiceClient,
};
use serde_json::Value;
use tempfile::TempDir;
use tonic::{Code, Status, Streaming};

use crate::story::{CHART, Story};
use crate::support::{Agent, Data, WithToken};

/// The chart on the agent's disk.
fn chart_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in CHART {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn request(story: &Story, folder: &TempDir, id: &str) -> DeployApplyRequest {
    let options = DeployApplyOptions {
        release: "web".into(),
        chart: folder.path().join("web").to_str().unwrap().into(),
        namespace: story.namespace.clone(),
        timeout_seconds: 60,
        wait: true,
        create_namespace: true,
        ..DeployApplyOptions::default()
    };
    DeployApplyRequest { options: Some(options), session_id: id.into(), requester: "ann@host".into() }
}

async fn apply(agent: &Agent, request: DeployApplyRequest) -> Streaming<DeployEvent> {
    let mut client = DeployServiceClient::with_interceptor(agent.channel().await, WithToken);
    client.apply(request).await.unwrap().into_inner()
}

/// Everything that is said, and how it ended.
async fn read(mut stream: Streaming<DeployEvent>) -> (Vec<Value>, Result<(), Status>) {
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(90), stream.message())
            .await
            .expect("it goes on for ever")
        {
            Ok(Some(event)) => events.push(serde_json::from_str(&event.json).unwrap()),
            Ok(None) => return (events, Ok(())),
            Err(status) => return (events, Err(status)),
        }
    }
}

async fn session(agent: &Agent, id: &str) -> MirrorSession {
    let request = MirrorGetSessionRequest { session_id: id.into() };
    agent.mirror().await.get_session(request).await.unwrap().into_inner()
}

/// An agent before a cluster that opens charts in `folder`.
fn begin(name: &str, folder: &TempDir) -> Option<Story> {
    let mut story = Story::begin(name)?;
    story.args.extend(["--allow-path".to_owned(), folder.path().to_str().unwrap().to_owned()]);
    story.restart_agent();
    Some(story)
}

fn states(events: &[Value]) -> Vec<String> {
    let phases = events.iter().map(|event| &event["phase"]).filter(|phase| phase.is_object());
    phases.map(|phase| format!("{} {}", phase["name"], phase["state"]).replace('"', "")).collect()
}

#[tokio::test]
async fn files_that_nobody_allowed_are_not_opened_and_the_try_is_on_record() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let options = DeployApplyOptions { release: "web".into(), chart: "./any".into(), ..Default::default() };
    let request =
        DeployApplyRequest { options: Some(options), session_id: "p1".into(), ..Default::default() };
    let (events, status) = read(apply(&agent, request).await).await;
    let status = status.unwrap_err();
    assert_eq!((events.len(), status.code()), (0, Code::PermissionDenied));
    assert!(
        status.message().contains("options.chart") && status.message().contains("--allow-path"),
        "{status}"
    );
    let ended = session(&agent, "p1").await.status.unwrap();
    assert_eq!((ended.state(), ended.error_message.as_str()), (MirrorSessionState::Error, status.message()));
}

#[tokio::test]
async fn an_apply_is_told_as_the_public_agent_tells_it() {
    let folder = chart_folder();
    let Some(story) = begin("public", &folder) else { return };
    let agent = story.agent();
    let meta =
        MirrorSessionMeta { command: "ktl apply".into(), args: vec!["--x".into()], ..Default::default() };
    let before =
        MirrorSetSessionMetaRequest { session_id: "a1".into(), meta: Some(meta), ..Default::default() };
    agent.mirror().await.set_session_meta(before).await.unwrap();
    let request = request(&story, &folder, "a1");
    let (events, ended) = read(apply(agent, request.clone()).await).await;
    ended.unwrap();
    let expected = [
        "render running",
        "render succeeded",
        "diff skipped",
        "wait running",
        "upgrade running",
        "upgrade skipped",
        "install running",
        "install succeeded",
        "wait succeeded",
        "post-hooks running",
        "post-hooks succeeded",
    ];
    assert_eq!(states(&events)[6..], expected);
    let summary = &events.last().unwrap()["summary"];
    assert_eq!((&summary["status"], &summary["version"]), (&"deployed".into(), &"0.1.0".into()));
    assert!(!format!("{events:?}").contains("t0p-s3cret-word"), "a secret got out");

    let found = session(agent, "a1").await;
    let (status, meta) = (found.status.unwrap(), found.meta.unwrap());
    assert_eq!((status.state(), status.exit_code), (MirrorSessionState::Done, 0));
    let options = request.options.clone().unwrap();
    assert_eq!((meta.command.as_str(), meta.chart), ("ktl apply", options.chart.clone()));
    assert_eq!((meta.requester.as_str(), meta.release.as_str()), ("ann@host", "web"));

    let options = DeployApplyOptions { dry_run: true, set_values: vec!["delay=1".into()], ..options };
    let dry = DeployApplyRequest { options: Some(options), session_id: String::new(), ..request };
    let (events, ended) = read(apply(agent, dry).await).await;
    ended.unwrap();
    let id = events[0]["session_id"].as_str().unwrap();
    assert_eq!(events.last().unwrap()["summary"]["status"], "pending-upgrade");
    assert_eq!(session(agent, id).await.status.unwrap().state(), MirrorSessionState::Done);
    let frames = story.follow(id, |_| false).await;
    assert_eq!(crate::story::end(&frames).left_behind.unwrap().revision, 1, "a dry run changed something");
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_apply_along() {
    let folder = chart_folder();
    let Some(story) = begin("leave", &folder) else { return };
    let mut request = request(&story, &folder, "a2");
    request.options.as_mut().unwrap().set_values = vec!["gated=true".into()];
    let mut stream = apply(story.agent(), request).await;
    while let Some(event) = stream.message().await.unwrap() {
        let event: Value = serde_json::from_str(&event.json).unwrap();
        if event["phase"]["name"] == "install" && event["phase"]["state"] == "running" {
            break;
        }
    }
    drop(stream);
    story.follow("a2", |_| false).await;
    let status = session(story.agent(), "a2").await.status.unwrap();
    assert_eq!((status.state(), status.exit_code), (MirrorSessionState::Done, 130), "{status:?}");
}
