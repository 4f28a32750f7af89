//! What an agent lets in over the network, and what not. Needs no cluster: nothing here gets as far as helm.

use std::process::{Command, Output};

use ktl_proto::control::v1::{
    Apply, Cluster, InfoRequest, ListRequest, Source, StartRequest, UploadRequest, start_request::Operation,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tonic::Code;

use crate::agent::OwnAgent;
use crate::http;
use crate::story::{binaries, needed};

const TOKEN: &str = "a-token-of-this-test-0123456789";

fn agent_command() -> Command {
    Command::new(binaries().join("ktl-agent"))
}

/// A cluster that is known and not there.
const KUBECONFIG: &str = "clusters: [{ name: c, cluster: { server: 'https://127.0.0.1:1' } }]
users: [{ name: u, user: { token: of-nobody } }]
contexts: [{ name: nowhere, context: { cluster: c, user: u } }]
current-context: nowhere
";

/// An agent with a token, in a folder of its own.
fn guarded() -> (TempDir, OwnAgent) {
    guarded_with(&[])
}

/// The same with a helm, for what is asked only after helm was found.
fn ready_to_work() -> Option<(TempDir, OwnAgent)> {
    let helm = needed("KTL_TEST_HELM", "an agent starts nothing without helm")?;
    Some(guarded_with(&["--helm", helm.to_str().expect("a path in UTF-8")]))
}

fn guarded_with(arguments: &[&str]) -> (TempDir, OwnAgent) {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, TOKEN).unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, KUBECONFIG).unwrap();
    let cluster = format!("name=nowhere,kubeconfig={},context=nowhere", kubeconfig.display());
    let mut command = agent_command();
    command.args(["--listen", "127.0.0.1:0", "--cluster", &cluster]).args(arguments);
    command.arg("--token-file").arg(token_file);
    let agent = OwnAgent::start(&mut command, &folder.path().join("data"), TOKEN);
    (folder, agent)
}

fn refused(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("ktl-agent starts");
    assert!(!status.success(), "{status}");
    assert_eq!(stdout, b"", "no ready line");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn off_loopback_it_does_not_start_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7443"] {
        let why = refused(agent_command().args(["--listen", address, "--data"]).arg(folder.path()));
        assert!(why.contains("--token-file") && why.contains("--listen"), "{why}");
    }
}

#[test]
fn a_second_agent_on_one_folder_is_refused_and_told_the_pid() {
    let (_folder, first) = guarded();
    let why = refused(agent_command().args(["--listen", "127.0.0.1:0", "--data"]).arg(&first.data));
    assert!(why.contains(&first.agent.pid.to_string()), "{why}");
    assert!(why.contains(&first.data.display().to_string()), "{why}");
    assert_eq!(first.agent.get("/api/v1/sessions").status, 200, "the first one goes on");
}

#[tokio::test]
async fn only_the_right_token_gets_in() {
    let (_folder, own) = guarded();
    let agent = &own.agent;
    assert!(agent.sessions().await.list(ListRequest::default()).await.is_ok());
    assert_eq!(agent.get("/api/v1/sessions").status, 200);
    for token in ["", "wrong", &TOKEN[1..], &format!("{TOKEN}x")] {
        let stranger = crate::agent::Agent { token: token.to_owned(), ..agent.clone() };
        let status = stranger.sessions().await.list(ListRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{token:?}: {status:?}");
        let status = stranger.about().await.info(InfoRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{token:?}: {status:?}");
        for path in ["/api/v1/sessions", "/api/v1/sessions/x/events", "/api/v1/sessions/x/export"] {
            let response = stranger.get(path);
            assert_eq!(response.status, 401, "{token:?} {path}: {response:?}");
            assert!(response.json()["next"].is_string(), "{response:?}");
        }
        let in_url = format!("/api/v1/sessions?token={TOKEN}&access_token={TOKEN}");
        assert_eq!(http::request("GET", &agent.address, &in_url, &[], "").status, 401, "no token in a URL");
    }
}

#[test]
fn a_host_that_is_not_ours_is_refused_before_anything_else() {
    let (_folder, own) = guarded();
    let bearer = format!("Bearer {TOKEN}");
    let port = own.agent.address.rsplit(':').next().unwrap();
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1:1", "127.0.0.1.evil.example", ""]
    {
        for path in ["/api/v1/sessions", "/", "/s/x", "/healthz"] {
            let headers = [("Host", host), ("Authorization", bearer.as_str())];
            let response = http::request("GET", &own.agent.address, path, &headers, "");
            assert_eq!(response.status, 421, "{host:?} {path}: {response:?}");
        }
    }
}

#[test]
fn no_answer_allows_another_origin() {
    let (_folder, own) = guarded();
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/api/v1/sessions", "/", "/s/x"] {
        let headers = [("Origin", "https://evil.example"), ("Authorization", bearer.as_str())];
        let response = http::request("GET", &own.agent.address, path, &headers, "");
        assert_eq!(response.header("access-control-allow-origin"), None, "{response:?}");
    }
    let body = json!({ "session_id": "x", "code": "y" }).to_string();
    let headers = [("Origin", "https://evil.example"), ("Content-Type", "application/json")];
    let response = http::request("POST", &own.agent.address, "/api/v1/auth/code", &headers, &body);
    assert_eq!(response.status, 403, "{response:?}");
}

#[tokio::test]
async fn paths_that_leave_the_sources_are_refused_by_name() {
    let (_folder, own) = guarded();
    let paths = ["../outside.yaml", "a/../../outside.yaml", "/etc/passwd", "", "a\\..\\b", "a\0b"];
    for path in paths {
        let status = start(&own, vec![source(path, b"x")]).await.expect_err(path);
        assert_eq!(status.code(), Code::InvalidArgument, "{path:?}: {status:?}");
        assert!(!status.message().is_empty() && status.message().contains("source"), "{status:?}");
    }
    for chart in ["../web", "/etc"] {
        let mut request = request(vec![source("web/Chart.yaml", b"name: web\n")]);
        let Some(Operation::Apply(apply)) = &mut request.operation else { unreachable!() };
        apply.chart = chart.to_owned();
        let status = own.agent.operations().await.start(request).await.expect_err(chart);
        assert_eq!(status.code(), Code::InvalidArgument, "{chart:?}: {status:?}");
        assert!(status.message().contains("chart"), "{status:?}");
    }
}

#[tokio::test]
async fn sources_have_limits_that_name_themselves() {
    let (_folder, own) = guarded();
    let many = (0..20_001).map(|number| source(&format!("f{number}"), b"")).collect();
    let status = start(&own, many).await.unwrap_err();
    assert_limit(&status);
    let deep = vec!["d"; 200].join("/");
    assert_limit(&start(&own, vec![source(&deep, b"x")]).await.unwrap_err());
    let large = Source { path: "large".to_owned(), sha256: "0".repeat(64), size: 1 << 40 };
    assert_limit(&start(&own, vec![large]).await.unwrap_err());
}

#[track_caller]
fn assert_limit(status: &tonic::Status) {
    assert!(matches!(status.code(), Code::ResourceExhausted | Code::InvalidArgument), "{status:?}");
    let words = status.message();
    assert!(words.chars().any(|c| c.is_ascii_digit()), "the limit names itself: {words}");
}

#[tokio::test]
async fn only_missing_sources_are_asked_for_and_their_content_must_fit() {
    let Some((_folder, own)) = ready_to_work() else { return };
    let sources = || vec![source("web/Chart.yaml", b"name: web\n"), source("web/values.yaml", b"a: 1\n")];
    let missing = start(&own, sources()).await.unwrap();
    assert_eq!(missing.len(), 2);
    upload(&own, "0".repeat(64), b"something else")
        .await
        .expect_err("content that is not what its hash says");
    upload(&own, hash(b"a: 1\n"), b"a: 1\n").await.unwrap();
    assert_eq!(start(&own, sources()).await.unwrap(), [hash(b"name: web\n")]);
}

async fn upload(own: &OwnAgent, sha256: String, data: &[u8]) -> Result<(), tonic::Status> {
    let piece = UploadRequest { sha256, data: data.to_vec() };
    own.agent.operations().await.upload(futures::stream::iter([piece])).await.map(drop)
}

/// Starts an apply of these sources; the hashes that the agent lacks.
async fn start(own: &OwnAgent, sources: Vec<Source>) -> Result<Vec<String>, tonic::Status> {
    let response = own.agent.operations().await.start(request(sources)).await?;
    Ok(response.into_inner().missing)
}

fn request(sources: Vec<Source>) -> StartRequest {
    let apply = Apply {
        release: "web".to_owned(),
        namespace: "nowhere".to_owned(),
        chart: "web".to_owned(),
        ..Apply::default()
    };
    let cluster = Cluster { name: "nowhere".to_owned(), ..Cluster::default() };
    StartRequest {
        operation: Some(Operation::Apply(apply)),
        sources,
        cluster: Some(cluster),
        ..StartRequest::default()
    }
}

fn source(path: &str, content: &[u8]) -> Source {
    Source { path: path.to_owned(), sha256: hash(content), size: content.len() as u64 }
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .fold(String::new(), |all, byte| all + &byte)
}
