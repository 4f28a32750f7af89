//! What operations are tried with: an agent with the real helm before a real cluster, a chart, and the calls of a client.

use std::{env, fs, path::PathBuf, process, time::Duration};

use ktl_agent::shim::Process;
use ktl_proto::control::v1::{
    Apply, Ended, Fact, FollowRequest, Frame, SetKind, SetValue, Source, StartRequest, StartResponse,
    UploadRequest, fact::Body, follow_event::Event, frame::Payload, start_request::Operation,
};
use sha2::{Digest as _, Sha256};

use crate::support::{Agent, Data};

pub(crate) const CHART: [(&str, &str); 3] = [
    ("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n"),
    ("web/values.yaml", "image: ktl.test/web:1\ndelay: 0\ngated: false\npassword: t0p-s3cret-word\n"),
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
      {{- if .Values.gated }}
      schedulingGates: [{ name: ktl.test/gate }]
      {{- end }}
      containers:
      - name: app
        image: {{ .Values.image }}
        readinessProbe: { initialDelaySeconds: {{ .Values.delay }}, periodSeconds: 1, httpGet: { path: /, port: 80 } }
",
    ),
];

/// A pull that is refused at once and never leaves the machine.
pub(crate) const NO_IMAGE: &str = "image=127.0.0.1:1/none:1";

/// An agent with a real helm and a real cluster; a namespace of its own goes with it.
pub(crate) struct Story {
    pub(crate) data: Data,
    pub(crate) agent: Option<Agent>,
    pub(crate) args: Vec<String>,
    kubeconfig: String,
    pub(crate) namespace: String,
}

impl Story {
    pub(crate) fn begin(name: &str) -> Option<Self> {
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
        let namespace = format!("op-{name}-{}", process::id());
        let mut story = Self { data: Data::new(), agent: None, args, kubeconfig, namespace };
        story.start_agent();
        Some(story)
    }

    pub(crate) fn start_agent(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.agent = Some(Agent::start_with(&self.data, &args));
    }

    /// Kills the agent, as a crash does, and starts the next one.
    pub(crate) fn restart_agent(&mut self) {
        self.agent.take().unwrap().kill();
        self.start_agent();
    }

    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    pub(crate) fn request(&self, id: &str, change: impl FnOnce(&mut Apply)) -> StartRequest {
        let mut request = request(id, change);
        let Some(Operation::Apply(apply)) = &mut request.operation else { unreachable!() };
        apply.namespace.clone_from(&self.namespace);
        request
    }

    pub(crate) async fn start(&self, id: &str, change: impl FnOnce(&mut Apply)) -> StartResponse {
        start(self.agent(), self.request(id, change)).await.unwrap()
    }

    /// Starts an apply that helm waits for until somebody opens its gate; it is at the gate when this returns.
    pub(crate) async fn start_gated(&self, id: &str) {
        self.start(id, gated).await;
        self.follow(id, |body| matches!(body, Body::Object(state) if state.owner.is_some())).await;
    }

    /// Lets the pods of gated applies start.
    pub(crate) fn open_gate(&self) {
        let of_release =
            ["--namespace", &self.namespace, "get", "pods", "--selector=app=web", "--output=name"];
        let pods = self.kubectl().args(of_release).output().expect("kubectl starts");
        for pod in String::from_utf8_lossy(&pods.stdout).lines() {
            let patch = r#"[{"op":"remove","path":"/spec/schedulingGates"}]"#;
            let mut kubectl = self.kubectl();
            kubectl.args(["--namespace", &self.namespace, "patch", pod, "--type=json", "--patch", patch]);
            let patched = kubectl.output().expect("kubectl starts");
            assert!(patched.status.success(), "{patched:?}");
        }
    }

    /// The shim of an operation's `helm upgrade`.
    pub(crate) fn shim(&self, id: &str) -> Process {
        let file = self.data.path().join("runs").join(id).join("upgrade/shim.json");
        let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_slice(&text).expect("the shim wrote who it is")
    }

    fn kubectl(&self) -> process::Command {
        let assets = env::var_os("KUBEBUILDER_ASSETS").map(|folder| PathBuf::from(folder).join("kubectl"));
        let program = assets.filter(|program| program.is_file()).unwrap_or_else(|| "kubectl".into());
        let mut kubectl = process::Command::new(program);
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig);
        kubectl
    }

    /// Follows until a fact fits, or to the end.
    pub(crate) async fn follow(&self, id: &str, until: impl Fn(&Body) -> bool) -> Vec<Frame> {
        follow(self.agent(), id, until).await
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let delete = ["delete", "namespace", &self.namespace, "--ignore-not-found", "--wait=false"];
        let _ = self.kubectl().args(delete).output();
    }
}

pub(crate) fn request(id: &str, change: impl FnOnce(&mut Apply)) -> StartRequest {
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
pub(crate) async fn start(agent: &Agent, request: StartRequest) -> Result<StartResponse, tonic::Status> {
    let mut client = agent.operations().await;
    let answer = client.start(request.clone()).await?.into_inner();
    if answer.missing.is_empty() {
        return Ok(answer);
    }
    upload(agent).await;
    Ok(client.start(request).await?.into_inner())
}

/// Sends all sources, in pieces.
pub(crate) async fn upload(agent: &Agent) {
    let pieces = CHART.iter().flat_map(|(_, text)| {
        let sha256 = format!("{:x}", Sha256::digest(text));
        let (first, rest) = text.as_bytes().split_at(10);
        [(sha256, first), (String::new(), rest)]
    });
    let pieces: Vec<_> = pieces.map(|(sha256, data)| UploadRequest { sha256, data: data.to_vec() }).collect();
    assert_eq!(
        agent.operations().await.upload(tokio_stream::iter(pieces)).await.unwrap().into_inner().stored,
        3
    );
}

pub(crate) async fn follow(agent: &Agent, id: &str, until: impl Fn(&Body) -> bool) -> Vec<Frame> {
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

pub(crate) fn body(frame: &Frame) -> Option<&Body> {
    match &frame.payload {
        Some(Payload::Fact(Fact { body })) => body.as_ref(),
        _ => None,
    }
}

pub(crate) fn bodies(frames: &[Frame]) -> impl Iterator<Item = &Body> {
    frames.iter().filter_map(body)
}

pub(crate) fn set(expression: &str) -> Vec<SetValue> {
    vec![SetValue { kind: SetKind::Set.into(), expression: expression.to_owned() }]
}

/// What makes an apply wait at its gate.
pub(crate) fn gated(apply: &mut Apply) {
    (apply.set, apply.wait) = (set("gated=true"), Some(true));
}

pub(crate) fn is_finding(body: &Body) -> bool {
    matches!(body, Body::Finding(_))
}

pub(crate) fn never(_: &Body) -> bool {
    false
}

/// The end, which is the last frame.
pub(crate) fn end(frames: &[Frame]) -> Ended {
    match bodies(frames).last() {
        Some(Body::Ended(ended)) => ended.clone(),
        other => panic!("the last frame is {other:?}"),
    }
}
