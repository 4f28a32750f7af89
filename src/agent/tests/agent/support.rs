//! An agent in a process of its own, and the small clients that talk to it.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use ktl_proto::{
    api::v1::{
        DeployEvent, MirrorAck, MirrorFrame, mirror_frame::Payload,
        mirror_service_client::MirrorServiceClient,
    },
    control::v1::{
        FollowEvent, FollowRequest, agent_service_client::AgentServiceClient,
        operation_service_client::OperationServiceClient, session_service_client::SessionServiceClient,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

pub(crate) const TOKEN: &str = "a-token-for-tests";

/// A folder that agents can be started on, one after the other.
pub(crate) struct Data(TempDir);

impl Data {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.0.path().join("data")
    }

    /// Everything in every file, as it lies on the disk.
    pub(crate) fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        bytes_below(&self.path())
    }

    /// Where its agents log.
    pub(crate) fn log(&self) -> std::path::PathBuf {
        self.0.path().join("agent.log")
    }

    fn token_file(&self) -> std::path::PathBuf {
        let path = self.0.path().join("token");
        fs::write(&path, format!("{TOKEN}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn bytes_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                return bytes_below(&path);
            }
            // A file that was removed just now holds nothing.
            fs::read(&path).map(|bytes| (path.display().to_string(), bytes)).into_iter().collect()
        })
        .collect()
}

pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ktl-agent"));
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(data);
    command
}

/// A running agent. It is killed when it is dropped.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Agent {
    /// Starts an agent that wants [`TOKEN`] and waits for its ready line.
    pub(crate) fn start(data: &Data) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Data, args: &[&str]) -> Self {
        let token = data.token_file();
        let mut child = command(&data.path())
            .arg("--token-file")
            .arg(token)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(fs::OpenOptions::new().create(true).append(true).open(data.log()).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = ready["ready"]["http"].as_str().unwrap();
        assert_eq!(ready["ready"]["grpc"].as_str(), Some(url));
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port }
    }

    /// As a power switch would: no signal handler runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn channel(&self) -> Channel {
        let url = format!("http://127.0.0.1:{}", self.port);
        Channel::from_shared(url).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn mirror(&self) -> MirrorServiceClient<Authorized> {
        MirrorServiceClient::with_interceptor(self.channel().await, WithToken)
    }

    pub(crate) async fn sessions(&self) -> SessionServiceClient<Authorized> {
        SessionServiceClient::with_interceptor(self.channel().await, WithToken)
    }

    pub(crate) async fn operations(&self) -> OperationServiceClient<Authorized> {
        OperationServiceClient::with_interceptor(self.channel().await, WithToken)
    }

    pub(crate) async fn agent(&self) -> AgentServiceClient<Authorized> {
        AgentServiceClient::with_interceptor(self.channel().await, WithToken)
    }

    /// One HTTP request on a connection of its own; the answer when the agent closes it.
    pub(crate) async fn http(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.send(request, headers, body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Answer::parse(&answer)
    }

    /// Sends a request with the token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.http(&format!("GET {path}"), &[("x-ktl-token", TOKEN)], "").await
    }

    /// Reads an event stream until `until` has come.
    pub(crate) async fn events(&self, path: &str, headers: &[(&str, &str)], until: &str) -> String {
        let headers = [headers, &[("x-ktl-token", TOKEN)]].concat();
        let mut stream = self.send(&format!("GET {path}"), &headers, "").await;
        let mut seen = String::new();
        let mut buffer = [0; 4096];
        let reading = async {
            while !seen.contains(until) {
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "the stream ended without {until:?}: {seen}");
                seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap();
        seen
    }

    /// An open event stream that nobody reads.
    pub(crate) async fn stream(&self, path: &str, headers: &[(&str, &str)]) -> TcpStream {
        let headers = [headers, &[("x-ktl-token", TOKEN)]].concat();
        self.send(&format!("GET {path}"), &headers, "").await
    }

    async fn send(&self, request: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut text =
            format!("{request} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            write!(text, "host: 127.0.0.1:{}\r\n", self.port).unwrap();
        }
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        stream
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(answer: &[u8]) -> Self {
        let (head, body) = split(answer, b"\r\n\r\n").unwrap();
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let head = head.to_ascii_lowercase();
        let body = String::from_utf8_lossy(&unchunked(&head, body)).into_owned();
        Self { status, head, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = text.windows(at.len()).position(|part| part == at)?;
    Some((&text[..place], &text[place + at.len()..]))
}

fn unchunked(head: &str, body: &[u8]) -> Vec<u8> {
    if !head.contains("transfer-encoding: chunked") {
        return body.to_vec();
    }
    let (mut whole, mut rest) = (Vec::new(), body);
    while let Some((size, after)) = split(rest, b"\r\n") {
        let size = usize::from_str_radix(str::from_utf8(size).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.extend(&after[..size]);
        rest = &after[size + 2..];
    }
    whole
}

pub(crate) type Authorized = InterceptedService<Channel, WithToken>;

#[derive(Clone)]
pub(crate) struct WithToken;

impl Interceptor for WithToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = MetadataValue::from_static("Bearer a-token-for-tests");
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
}

pub(crate) fn frame(session: &str, text: &str) -> MirrorFrame {
    MirrorFrame {
        session_id: session.into(),
        producer: "test".into(),
        payload: Some(Payload::Deploy(DeployEvent { json: serde_json::json!({ "text": text }).to_string() })),
        ..MirrorFrame::default()
    }
}

/// Publishes and returns the acknowledgements.
pub(crate) async fn publish(
    client: &mut MirrorServiceClient<Authorized>,
    frames: Vec<MirrorFrame>,
) -> Result<Vec<MirrorAck>, Status> {
    let mut acks = client.publish(tokio_stream::iter(frames)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(ack) = acks.message().await? {
        all.push(ack);
    }
    Ok(all)
}

/// What is there of a session now, up to and with `caught_up`.
pub(crate) async fn recorded(agent: &Agent, session: &str) -> Vec<FollowEvent> {
    use ktl_proto::control::v1::follow_event::Event;
    let request = FollowRequest { session_id: session.into(), ..FollowRequest::default() };
    let mut events = agent.sessions().await.follow(request).await.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        let caught_up = matches!(event.event, Some(Event::CaughtUp(_)));
        all.push(event);
        if caught_up {
            break;
        }
    }
    all
}
