//! The agent's side of a story: where it listens, what it keeps, and its processes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ktl_proto::control::v1::agent_service_client::AgentServiceClient;
use ktl_proto::control::v1::operation_service_client::OperationServiceClient;
use ktl_proto::control::v1::session_service_client::SessionServiceClient;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::http::{self, Response};

/// How long an agent may take to do what a test waits for, on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running agent as a client with its token sees it.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    /// `http://127.0.0.1:PORT`, for both protocols.
    pub(crate) address: String,
    /// The bearer token; empty for an agent without one.
    pub(crate) token: String,
    /// Its process.
    pub(crate) pid: u32,
}

/// Puts the token on calls.
pub(crate) type Bearer = fn(Request<()>) -> Result<Request<()>, Status>;

impl Agent {
    /// The agent that an editor started below this state folder (`$XDG_STATE_HOME/ktl`).
    pub(crate) fn of_state(state: &Path) -> Option<Self> {
        let record: Value = serde_json::from_str(&fs::read_to_string(state.join("agent.json")).ok()?).ok()?;
        let token = fs::read_to_string(state.join("token")).ok()?;
        Some(Self {
            address: record["grpc"].as_str()?.to_owned(),
            token: token.trim().to_owned(),
            pid: u32::try_from(record["pid"].as_u64()?).ok()?,
        })
    }

    /// Asks with the token.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Response {
        let bearer = format!("Bearer {}", self.token);
        http::request("GET", &self.address, path, &[("Authorization", &bearer)], "")
    }

    /// A session as the API tells it.
    #[track_caller]
    pub(crate) fn session(&self, id: &str) -> Value {
        let response = self.get(&format!("/api/v1/sessions/{id}"));
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }

    /// Waits until a session has ended; the session.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str) -> Value {
        wait_for(&format!("the end of session {id}"), || {
            Some(self.session(id)).filter(|session| session["status"] != "STATUS_RUNNING")
        })
    }

    /// All frames of a session, after a check that they are numbered 1..n without a gap.
    #[track_caller]
    pub(crate) fn export(&self, id: &str) -> Vec<Value> {
        let response = self.get(&format!("/api/v1/sessions/{id}/export"));
        assert_eq!(response.status, 200, "{response:?}");
        let mut frames: Vec<Value> = response
            .body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
            .collect();
        let last = frames.pop().unwrap_or_default();
        assert_eq!(
            last["export"]["complete"], true,
            "the export of session {id} is cut off or has gaps: {last}"
        );
        assert_numbered(&frames);
        frames
    }

    /// The sessions service over gRPC.
    pub(crate) async fn sessions(
        &self,
    ) -> SessionServiceClient<InterceptedService<Channel, impl tonic::service::Interceptor + use<>>> {
        SessionServiceClient::with_interceptor(self.channel().await, bearer(&self.token))
    }

    /// The operations service over gRPC.
    pub(crate) async fn operations(
        &self,
    ) -> OperationServiceClient<InterceptedService<Channel, impl tonic::service::Interceptor + use<>>> {
        OperationServiceClient::with_interceptor(self.channel().await, bearer(&self.token))
    }

    /// The agent's own service over gRPC.
    pub(crate) async fn about(
        &self,
    ) -> AgentServiceClient<InterceptedService<Channel, impl tonic::service::Interceptor + use<>>> {
        AgentServiceClient::with_interceptor(self.channel().await, bearer(&self.token))
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.address.clone()).expect("an address");
        endpoint.connect().await.unwrap_or_else(|error| panic!("{}: {error}", self.address))
    }
}

fn bearer(token: &str) -> impl tonic::service::Interceptor + use<> {
    let header =
        (!token.is_empty()).then(|| format!("Bearer {token}").parse().expect("a token is visible ASCII"));
    move |mut request: Request<()>| {
        if let Some(header) = &header {
            request
                .metadata_mut()
                .insert("authorization", tonic::metadata::AsciiMetadataValue::clone(header));
        }
        Ok(request)
    }
}

/// Fails unless the frames are numbered 1..n in one epoch.
#[track_caller]
pub(crate) fn assert_numbered(frames: &[Value]) {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
    let numbers: Vec<_> = frames.iter().map(|frame| number(&frame["seq"])).collect();
    let expected: Vec<_> = (1..=frames.len() as u64).map(Some).collect();
    assert_eq!(numbers, expected, "a frame is missing or doubled");
    assert!(frames.iter().all(|frame| frame["epoch"] == frames[0]["epoch"]), "the history changed");
}

/// An agent that the test started itself; ended with the test.
pub(crate) struct OwnAgent {
    child: Child,
    /// How clients reach it.
    pub(crate) agent: Agent,
    /// Its data.
    pub(crate) data: PathBuf,
}

impl OwnAgent {
    /// Starts an agent and waits for its ready line.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, data: &Path, token: &str) -> Self {
        let log = fs::File::create(data.with_extension("log")).expect("a log file");
        let mut child = command
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = fs::read_to_string(data.with_extension("log")).unwrap_or_default();
            panic!("no ready line: {error} in {line:?}; its log:\n{log}")
        });
        let address = ready["ready"]["grpc"].as_str().expect("an address").to_owned();
        let agent = Agent { address, token: token.to_owned(), pid: child.id() };
        Self { child, agent, data: data.to_owned() }
    }
}

impl Drop for OwnAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes whose command line contains the words, by pid, with their command lines.
pub(crate) fn processes_naming(words: &str) -> Vec<(u32, String)> {
    let Ok(listing) = fs::read_dir("/proc") else { return Vec::new() };
    let named = listing.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        (pid != std::process::id() && command.contains(words)).then_some((pid, command))
    });
    named.collect()
}

/// Ends a process without asking it.
pub(crate) fn kill(pid: u32) {
    send(pid, Signal::KILL);
}

/// Sends a signal; a process that is gone already is no failure.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = kill_process(pid.expect("a pid"), signal);
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come");
        thread::sleep(Duration::from_millis(50));
    }
}
