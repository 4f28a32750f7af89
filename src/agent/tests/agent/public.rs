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
