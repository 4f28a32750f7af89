//! What calls make of an agent that loses answers, goes away, and comes back.

use std::{collections::VecDeque, sync::Mutex};

use ktl_proto::control::v1::{
    CancelRequest, CancelResponse, InfoRequest, InfoResponse, MintCodeRequest, MintCodeResponse,
    UploadRequest, UploadResponse,
    agent_service_server::{AgentService, AgentServiceServer},
    operation_service_server::{OperationService, OperationServiceServer},
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Streaming, transport::server::TcpIncoming};

use super::*;

/// Answers from lists; after their end, every call is lost.
struct Script {
    starts: Mutex<VecDeque<StartResponse>>,
    uploads: Mutex<VecDeque<Result<(), Status>>>,
}

fn lost() -> Status {
    Status::unavailable("the agent restarts")
}

#[tonic::async_trait]
impl OperationService for Script {
    async fn start(&self, _: Request<StartRequest>) -> Result<Response<StartResponse>, Status> {
        self.starts.lock().unwrap().pop_front().map(Response::new).ok_or_else(lost)
    }

    async fn upload(&self, _: Request<Streaming<UploadRequest>>) -> Result<Response<UploadResponse>, Status> {
        let answer = self.uploads.lock().unwrap().pop_front().unwrap_or_else(|| Err(lost()));
        answer.map(|()| Response::new(UploadResponse::default()))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        Ok(Response::new(CancelResponse::default()))
    }
}

#[tonic::async_trait]
impl AgentService for Script {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(InfoResponse {
            http_url: "http://pages.example".to_owned(),
            ..InfoResponse::default()
        }))
    }

    async fn mint_code(&self, _: Request<MintCodeRequest>) -> Result<Response<MintCodeResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

async fn agent(
    starts: impl IntoIterator<Item = StartResponse>,
    uploads: impl IntoIterator<Item = Result<(), Status>>,
) -> Agent {
    let script = Arc::new(Script {
        starts: Mutex::new(starts.into_iter().collect()),
        uploads: Mutex::new(uploads.into_iter().collect()),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(AgentServiceServer::from_arc(script.clone()))
        .add_service(OperationServiceServer::from_arc(script));
    crate::task::spawn("agent", async move {
        server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
    });
    Agent::with_patience(Target::Remote(Remote::plain(&address)), Duration::from_secs(1))
}

fn sources() -> Sources {
    Sources::of([("values.yaml", b"a: 1\n".to_vec())])
}

#[tokio::test]
async fn a_start_without_an_answer_may_run_and_one_that_nobody_got_does_not() {
    let agent = agent([], []).await;
    let error = agent.start(StartRequest::default(), &sources()).await.unwrap_err();
    assert!(matches!(error, AgentError::Unanswered(_)), "{error}");
    assert!(error.to_string().contains("may be running"), "{error}");

    let nobody = Target::Remote(Remote::plain("http://127.0.0.1:1"));
    let nobody = Agent::with_patience(nobody, Duration::from_millis(200));
    let error = nobody.start(StartRequest::default(), &sources()).await.unwrap_err();
    assert!(matches!(error, AgentError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_upload_that_broke_is_sent_again() {
    let missing = vec![sources().files["values.yaml"].sha256.clone()];
    let wants = StartResponse { missing, ..StartResponse::default() };
    let agent = agent([wants, StartResponse::default()], [Err(lost()), Ok(())]).await;
    agent.start(StartRequest::default(), &sources()).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_away_keeps_its_pages_and_is_back_with_its_next_answer() {
    let agent = agent([], []).await;
    agent.cancel("s").await.unwrap();
    let page = Some("http://pages.example/s/s".to_owned());
    assert_eq!(agent.url("s"), page);
    // A follower was not answered in time; the link is still there.
    let late = AgentError::Deadline { call: "follow", seconds: 20 };
    agent.away(&late, Duration::from_secs(1));
    assert_eq!(agent.url("s"), page);
    agent.cancel("s").await.unwrap();
    assert!(matches!(&*agent.state().borrow(), AgentState::Connected { .. }));
}

#[test]
fn an_unverified_certificate_is_a_caution_before_anything_is_sent() {
    let mut remote = Remote::plain("https://ktl.example:7443");
    let caution = |remote: &Remote| Agent::new(Target::Remote(remote.clone())).caution();
    assert_eq!(caution(&remote), None);
    remote.tls.verification = crate::settings::Verification::None;
    assert!(caution(&remote).unwrap().contains("https://ktl.example:7443 is not verified"));
}
