//! Which agent is used, which is replaced, and which is never asked.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};

use ktl_proto::control::v1::{
    InfoRequest, InfoResponse, MintCodeRequest, MintCodeResponse,
    agent_service_server::{AgentService, AgentServiceServer},
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

use super::record::Record;
use super::start::fresh_token;
use super::*;

fn in_folder(folder: &Path, program: &str) -> LocalAgent {
    LocalAgent { state_dir: folder.join("ktl"), program: Some(program.into()) }
}

#[test]
fn every_agent_has_a_token_of_its_own_that_only_the_user_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let first = fresh_token(&path).unwrap();
    assert_ne!(first.reveal(), fresh_token(&path).unwrap().reveal());
    assert_eq!(first.reveal().len(), 64);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn an_agent_that_ends_at_once_is_an_error_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("broken-agent");
    fs::write(&program, "#!/bin/sh\necho 'the data folder is on fire' >&2\nexit 3\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let agent = in_folder(folder.path(), program.to_str().unwrap());
    let error = ensure(&agent).await.err().unwrap().to_string();
    assert!(error.contains("the data folder is on fire"), "{error}");
    assert!(error.contains("agent.log"), "{error}");
}

#[tokio::test]
async fn the_pid_of_an_agent_that_is_gone_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let agent = in_folder(folder.path(), "/nonexistent/ktl-agent");
    create_private(&agent.data_dir()).unwrap();
    // Our own pid: alive, and not an agent that holds the lock.
    fs::write(agent.lock_file(), std::process::id().to_string()).unwrap();
    assert!(settle(&agent).await.unwrap().is_none());
    let held = fs::File::open(agent.lock_file()).unwrap();
    held.lock().unwrap();
    assert!(agent.is_held());
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let agent = in_folder(folder.path(), "/nonexistent/ktl-agent");
    let error = ensure(&agent).await.err().unwrap().to_string();
    assert!(error.contains("/nonexistent/ktl-agent"), "{error}");
}

#[tokio::test]
async fn an_old_record_of_an_agent_that_is_gone_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let agent = in_folder(folder.path(), "/nonexistent/ktl-agent");
    create_private(&agent.state_dir).unwrap();
    fresh_token(&agent.token_file()).unwrap();
    // Somebody listens where the agent was, and must not be asked.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let record = Record {
        pid: 1,
        grpc: format!("http://{}", listener.local_addr().unwrap()),
        http: String::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        token_file: agent.token_file(),
    };
    record.write(&agent.record_file()).unwrap();
    let asked = tokio::select! {
        found = find(&agent) => { assert!(found.is_none()); false }
        _ = listener.accept() => true,
    };
    assert!(!asked, "a stranger on the agent's old port was asked");
}

/// An agent that answers `Info` and nothing else.
struct Answers(InfoResponse);

#[tonic::async_trait]
impl AgentService for Answers {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn mint_code(&self, _: Request<MintCodeRequest>) -> Result<Response<MintCodeResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// An agent of this version that runs so many operations; its process is one that only sleeps.
async fn running(folder: &Path, version: &str, operations: u32) -> (LocalAgent, Child) {
    let agent = in_folder(folder, "/nonexistent/ktl-agent");
    create_private(&agent.data_dir()).unwrap();
    fresh_token(&agent.token_file()).unwrap();
    let process = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(agent.lock_file(), process.id().to_string()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc = format!("http://{}", listener.local_addr().unwrap());
    let info = InfoResponse {
        version: version.to_owned(),
        pid: process.id(),
        running: operations,
        ..InfoResponse::default()
    };
    let ready = format!("{{\"ready\":{{\"grpc\":\"{grpc}\",\"http\":\"{grpc}\"}}}}\n");
    fs::write(agent.ready_file(), ready).unwrap();
    let server = tonic::transport::Server::builder().add_service(AgentServiceServer::new(Answers(info)));
    crate::task::spawn("agent", async move {
        server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
    });
    (agent, process)
}

#[tokio::test]
async fn an_agent_of_our_version_is_used_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (agent, mut process) = running(folder.path(), env!("CARGO_PKG_VERSION"), 0).await;
    let found = ensure(&agent).await.unwrap();
    assert_eq!(found.notice, None);
    assert_eq!(Record::read(&agent.record_file()).unwrap().grpc, found.remote.address);
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn an_agent_of_another_version_is_used_while_it_works_and_the_user_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (agent, mut process) = running(folder.path(), "0.0.9", 2).await;
    let notice = ensure(&agent).await.unwrap().notice.unwrap();
    assert!(notice.contains("0.0.9") && notice.contains("2 running"), "{notice}");
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn an_idle_agent_of_another_version_is_ended_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (agent, process) = running(folder.path(), "0.0.9", 0).await;
    spawn::reap(process);
    // There is no program to start in its place, so the start is where this ends.
    let error = ensure(&agent).await.err().unwrap().to_string();
    assert!(error.contains("/nonexistent/ktl-agent"), "{error}");
    assert_eq!(agent.holder(), None, "the old one was asked to end");
}
