//! The public API, to the letter: what a Go agent answered, asked of ours, and every wanted difference by its name.

mod ask;
mod differences;
mod mask;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use self::{ask::ask, differences::DIFFERENCES};

/// What the token of the recorded calls was.
const TOKEN: &str = "s3";

/// One call and its answer, as they were recorded.
#[derive(Deserialize)]
struct Call {
    name: String,
    request: Value,
    answer: Value,
}

/// An agent that was started as the public one is.
struct PublicAgent {
    child: Child,
    grpc: String,
    http: String,
    _home: tempfile::TempDir,
}

impl PublicAgent {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ktl-agent"))
            .args(["-listen", "127.0.0.1:0", "-http-listen=127.0.0.1:0", "-token", TOKEN])
            .args(["-mirror-prune-interval", "1s", "-mirror-max-sessions=100", "-mirror-max-frames", "50"])
            .arg("-mirror-store")
            .arg(home.path().join("m.sqlite"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = |door: &str| ready["ready"][door].as_str().unwrap().to_owned();
        let (grpc, http) = (url("grpc"), url("http"));
        assert_ne!(grpc, http, "both doors have a port of their own");
        Self { child, grpc, http, _home: home }
    }
}

impl Drop for PublicAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PublicAgent {
    /// A real Go agent, as the calls were recorded.
    fn start_go(program: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (grpc, http) = (free(), free());
        let child = Command::new(program)
            .args(["-listen", &grpc, "-http-listen", &http, "-token", TOKEN, "-mirror-max-frames", "50"])
            .arg("-mirror-store")
            .arg(home.path().join("m.sqlite"))
            .envs([("KTL_SANDBOX_DISABLE", "1"), ("HOME", home.path().to_str().unwrap())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if [&grpc, &http].iter().all(|address| std::net::TcpStream::connect(address).is_ok()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let url = |address: String| format!("http://{address}");
        Self { child, grpc: url(grpc), http: url(http), _home: home }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn calls() -> Vec<Call> {
    let lines = fs::read_to_string(root().join("fixtures/public-api/calls.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_recorded_call_is_answered_as_the_go_agent_answered_it() {
    let agent = PublicAgent::start();
    let (mut wrong, mut used) = (String::new(), BTreeSet::new());
    let calls = calls();
    assert_eq!(calls.len(), 73);
    for call in calls {
        let mut found = ask(&agent, &call).await;
        let mut expected = call.answer;
        mask::mask(&mut found);
        for difference in DIFFERENCES.iter().filter(|difference| call.name.starts_with(difference.calls)) {
            if (difference.settle)(&mut expected, &mut found) {
                used.insert(difference.name);
            }
        }
        if found != expected {
            write!(wrong, "{}\n  Go:   {expected}\n  ours: {found}\n", call.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "not as the Go agent, and not in the table of wanted differences:\n{wrong}");
    let all: BTreeSet<_> = DIFFERENCES.iter().map(|difference| difference.name).collect();
    assert_eq!(used, all, "a difference that no call shows");
}

/// The recording is true, and what plays it is fair: a Go agent has no difference at all.
#[tokio::test]
#[ignore = "needs KTL_GO_BIN"]
async fn a_go_agent_answers_as_it_was_recorded() {
    let agent = PublicAgent::start_go(&crate::go::go_program("ktl-agent"));
    let (mut wrong, mut group) = (String::new(), String::new());
    for call in calls() {
        let next = call.name.split('/').next().unwrap().to_owned();
        if next != group {
            // It answers before it stores.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            group = next;
        }
        let mut found = ask(&agent, &call).await;
        mask::mask(&mut found);
        let events = found.get_mut("events").and_then(Value::as_array_mut);
        if let (Some(events), Some(recorded)) = (events, call.answer["events"].as_array()) {
            // The recording stopped after these.
            events.truncate(recorded.len());
        }
        if found != call.answer {
            write!(wrong, "{}\n  recorded: {}\n  now:      {found}\n", call.name, call.answer).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_difference_is_explained_to_people() {
    let readme = fs::read_to_string(root().join("src/agent/README.md")).unwrap();
    for difference in DIFFERENCES {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {} |", difference.name)));
        let reason = row.and_then(|row| row.split('|').nth(4)).map(str::trim);
        assert!(
            reason.is_some_and(|reason| reason.len() > 20),
            "{:?} has no row with a reason",
            difference.name
        );
    }
}
