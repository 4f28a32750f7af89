//! Applies over the wire: against a real cluster with the real helm where there is one, refusals everywhere.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use ktl_proto::control::v1::{
    Apply, CancelRequest, Fact, FollowRequest, Frame, NoteKind, ObjectStatus, PhaseName, ReadSourceRequest,
    SetKind, SetValue, Source, StartRequest, StartResponse, Status, UploadRequest, fact::Body,
    follow_event::Event, frame::Payload, start_request::Operation,
};
use sha2::{Digest as _, Sha256};
use tonic::Code;

use crate::support::{Agent, Data};

const CHART: [(&str, &str); 3] = [
    ("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n"),
    ("web/values.yaml", "image: ktl.test/web:1\ndelay: 0\npassword: t0p-s3cret-word\n"),
    (
        "web/templates/all.yaml",
        "apiVersion: v1
kind: Secret
metadata: { name: {{ .Release.Name }} }
stringData: { password: {{ .Values.password }} }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: {{ .Release.Name }} }
spec:
  selector: { matchLabels: { app: {{ .Release.Name }} } }
  template:
    metadata: { labels: { app: {{ .Release.Name }} } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: {{ .Values.image }}
        readinessProbe: { initialDelaySeconds: {{ .Values.delay }}, periodSeconds: 1, httpGet: { path: /, port: 80 } }
",
    ),
];

/// A pull that is refused at once and never leaves the machine.
const NO_IMAGE: &str = "image=127.0.0.1:1/none:1";

/// An agent with a real helm and a real cluster; a namespace of its own goes with it.
struct Story {
    data: Data,
    agent: Option<Agent>,
    args: Vec<String>,
    kubeconfig: String,
    namespace: String,
}

impl Story {
    fn begin(name: &str) -> Option<Self> {
        let (Ok(kubeconfig), Ok(helm)) = (env::var("KTL_TEST_KUBECONFIG"), env::var("KTL_TEST_HELM")) else {
            assert_ne!(
                env::var("CI").as_deref(),
                Ok("true"),
                "KTL_TEST_KUBECONFIG and KTL_TEST_HELM are needed"
            );
            eprintln!("skipped: no KTL_TEST_KUBECONFIG and KTL_TEST_HELM");
            return None;
        };
        let cluster = format!("name=test,kubeconfig={kubeconfig}");
        let args = ["--helm", &helm, "--cluster", &cluster].map(str::to_owned).to_vec();
        let namespace = format!("op-{name}-{}", std::process::id());
        let mut story = Self { data: Data::new(), agent: None, args, kubeconfig, namespace };
        story.start_agent();
        Some(story)
    }

    fn start_agent(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.agent = Some(Agent::start_with(&self.data, &args));
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    fn request(&self, id: &str, change: impl FnOnce(&mut Apply)) -> StartRequest {
        let mut request = request(id, change);
        let Some(Operation::Apply(apply)) = &mut request.operation else { unreachable!() };
        apply.namespace.clone_from(&self.namespace);
        request
    }

    async fn start(&self, id: &str, change: impl FnOnce(&mut Apply)) -> StartResponse {
        start(self.agent(), self.request(id, change)).await.unwrap()
    }

    /// Follows until a fact fits, or to the end.
    async fn follow(&self, id: &str, until: impl Fn(&Body) -> bool) -> Vec<Frame> {
        follow(self.agent(), id, until).await
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let delete = ["delete", "namespace", &self.namespace, "--ignore-not-found", "--wait=false"];
        let mut kubectl = std::process::Command::new("kubectl");
        let _ = kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(delete).output();
    }
}

fn request(id: &str, change: impl FnOnce(&mut Apply)) -> StartRequest {
    let (release, chart) = ("web".to_owned(), "./web".to_owned());
    let create_namespace = true;
    let mut apply = Apply { release, chart, create_namespace, timeout_seconds: 60, ..Apply::default() };
    change(&mut apply);
    let source = |(path, text): (&str, &str)| Source {
        path: path.to_owned(),
        sha256: format!("{:x}", Sha256::digest(text)),
        size: text.len() as u64,
    };
    StartRequest {
        session_id: id.to_owned(),
        operation: Some(Operation::Apply(apply)),
        sources: CHART.map(source).to_vec(),
        ..StartRequest::default()
    }
}

/// Starts as clients do: ask, send what is missing, ask again.
async fn start(agent: &Agent, request: StartRequest) -> Result<StartResponse, tonic::Status> {
    let mut client = agent.operations().await;
    let answer = client.start(request.clone()).await?.into_inner();
    if answer.missing.is_empty() {
        return Ok(answer);
    }
    let pieces = CHART.iter().flat_map(|(_, text)| {
        let sha256 = format!("{:x}", Sha256::digest(text));
        let (first, rest) = text.as_bytes().split_at(10);
        [(sha256, first), (String::new(), rest)]
    });
    let pieces: Vec<_> = pieces.map(|(sha256, data)| UploadRequest { sha256, data: data.to_vec() }).collect();
    assert_eq!(client.upload(tokio_stream::iter(pieces)).await?.into_inner().stored, 3);
    Ok(client.start(request).await?.into_inner())
}

async fn follow(agent: &Agent, id: &str, until: impl Fn(&Body) -> bool) -> Vec<Frame> {
    let request = FollowRequest { session_id: id.to_owned(), ..FollowRequest::default() };
    let mut events = agent.sessions().await.follow(request).await.unwrap().into_inner();
    let mut frames = Vec::new();
    let reading = async {
        while let Some(event) = events.message().await.unwrap() {
            let Some(Event::Frame(frame)) = event.event else { continue };
            let is_wanted = body(&frame).is_some_and(&until);
            frames.push(frame);
            if is_wanted {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(90), reading).await.expect("the session goes on for ever");
    frames
}

fn body(frame: &Frame) -> Option<&Body> {
    match &frame.payload {
        Some(Payload::Fact(Fact { body })) => body.as_ref(),
        _ => None,
    }
}

fn bodies(frames: &[Frame]) -> impl Iterator<Item = &Body> {
    frames.iter().filter_map(body)
}

fn set(expression: &str) -> Vec<SetValue> {
    vec![SetValue { kind: SetKind::Set.into(), expression: expression.to_owned() }]
}

fn is_finding(body: &Body) -> bool {
    matches!(body, Body::Finding(_))
}

fn never(_: &Body) -> bool {
    false
}

/// The end, which is the last frame.
fn end(frames: &[Frame]) -> ktl_proto::control::v1::Ended {
    match bodies(frames).last() {
        Some(Body::Ended(ended)) => ended.clone(),
        other => panic!("the last frame is {other:?}"),
    }
}

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
    story.agent.take().unwrap().kill();
    story.start_agent();
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
