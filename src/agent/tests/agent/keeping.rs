//! What is kept, what goes, and copies: over the wire and on the command line.

use std::{
    path::Path,
    process::{Command, Output},
};

use ktl_proto::{
    api::v1::{MirrorSessionState, MirrorSessionStatus, MirrorSetSessionStatusRequest},
    control::v1::{
        Cursor, DeleteRequest, FollowRequest, ListRequest, PinRequest, PruneRequest, UnpinRequest,
        follow_event::Event, retention_service_client::RetentionServiceClient,
    },
};
use tonic::Code;

use crate::support::{Agent, Authorized, Data, WithToken, frame, publish, recorded};

async fn retention(agent: &Agent) -> RetentionServiceClient<Authorized> {
    RetentionServiceClient::with_interceptor(agent.channel().await, WithToken)
}

/// Sessions `s0`, `s1`, ... with one frame each, all done.
async fn finished(agent: &Agent, count: usize) {
    let mut mirror = agent.mirror().await;
    for n in 0..count {
        let session_id = format!("s{n}");
        publish(&mut mirror, vec![frame(&session_id, "one")]).await.unwrap();
        let status = MirrorSessionStatus { state: MirrorSessionState::Done.into(), ..Default::default() };
        let request = MirrorSetSessionStatusRequest { session_id, status: Some(status) };
        mirror.set_session_status(request).await.unwrap();
    }
}

fn run(args: &[&str], data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ktl-agent"));
    command.args(args).arg("--data").arg(data).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_pin_holds_against_retention_and_deletion_until_it_goes() {
    let data = Data::new();
    let agent = Agent::start_with(&data, &["--max-sessions", "1", "--prune-interval", "1h"]);
    finished(&agent, 3).await;
    let mut client = retention(&agent).await;
    let pin = |id: &str, reason: &str, until_unix_nano| PinRequest {
        session_id: id.into(),
        reason: reason.into(),
        until_unix_nano,
    };
    let pinned = client.pin(pin("s0", "incident 7", 0)).await.unwrap().into_inner();
    let held = pinned.pin.unwrap();
    assert_eq!((held.reason.as_str(), held.principal.as_str()), ("incident 7", "token"));
    for (request, words) in
        [(pin("s1", " ", 0), "a pin needs a reason"), (pin("s1", "x", 1), "until_unix_nano has passed")]
    {
        let refused = client.pin(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    let nobody = client.pin(pin("nobody", "x", 0)).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    let delete = |force| DeleteRequest { session_id: "s0".into(), force };
    let refused = client.delete(delete(false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("pinned (incident 7)"), "{}", refused.message());

    let dry = client.prune(PruneRequest { dry_run: true }).await.unwrap().into_inner();
    let ids = |sessions: Vec<ktl_proto::control::v1::Condemned>| -> Vec<String> {
        sessions.into_iter().map(|condemned| condemned.session.unwrap().session_id).collect()
    };
    assert!(dry.freed_bytes > 0 && dry.condemned[0].reason.contains("more than 1 sessions"));
    assert_eq!(ids(dry.condemned), ["s1", "s2"]);
    let pruned = client.prune(PruneRequest { dry_run: false }).await.unwrap().into_inner();
    assert_eq!(ids(pruned.condemned), ["s1", "s2"]);
    assert_eq!(agent.get("/api/v1/sessions?pinned=true").await.json()["sessions"][0]["session_id"], "s0");
    let unpinned = client.unpin(UnpinRequest { session_id: "s0".into() }).await.unwrap().into_inner();
    assert!(unpinned.pin.is_none());
    assert!(client.delete(delete(false)).await.unwrap().into_inner().deleted);
    assert!(!client.delete(delete(true)).await.unwrap().into_inner().deleted);
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let data = Data::new();
    let agent = Agent::start(&data);
    finished(&agent, 5).await;
    let mut sessions = agent.sessions().await;
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListRequest { limit: 2, page_token, text: "S".into(), ..ListRequest::default() };
        let page = sessions.list(request).await.unwrap().into_inner();
        found.extend(page.sessions.into_iter().map(|session| session.session_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["s4", "s3", "s2", "s1", "s0"]);
    let bad = ListRequest { page_token: "x".into(), ..ListRequest::default() };
    let refused = sessions.list(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("page_token: "), "{}", refused.message());
    let page = agent.get("/api/v1/sessions?limit=4").await.json();
    let next = page["next_page_token"].as_str().unwrap();
    let last = agent.get(&format!("/api/v1/sessions?limit=4&page_token={next}")).await.json();
    assert_eq!(last["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(agent.get("/api/v1/sessions?page_token=x").await.status, 400);
}

#[tokio::test]
async fn a_backup_of_a_running_agent_is_restored_into_new_epochs() {
    let (data, other) = (Data::new(), Data::new());
    let agent = Agent::start(&data);
    finished(&agent, 2).await;
    let old = match recorded(&agent, "s0").await.remove(0).event {
        Some(Event::Frame(frame)) => frame,
        event => panic!("{event:?}"),
    };
    let file = data.path().join("backup.db");
    let file = file.to_str().unwrap();
    let output = run(&["backup", file], &data.path());
    assert!(output.status.success() && said(&output).starts_with("2 sessions, "), "{}", said(&output));
    let again = run(&["backup", file], &data.path());
    assert!(!again.status.success() && said(&again).contains("is there already"), "{}", said(&again));
    let restored = run(&["restore", file], &other.path());
    assert!(restored.status.success(), "{}", said(&restored));

    let restored = Agent::start(&other);
    let after = Some(Cursor { epoch: old.epoch, seq: 1 });
    let request = FollowRequest { session_id: "s0".into(), after, heartbeat_ms: 0 };
    let mut events = restored.sessions().await.follow(request).await.unwrap().into_inner();
    let Some(Event::Resync(resync)) = events.message().await.unwrap().unwrap().event else {
        panic!("no resync")
    };
    assert!(resync.epoch > old.epoch && resync.head == 1, "{resync:?}");
    let busy = run(&["restore", file], &other.path());
    assert!(said(&busy).contains("belongs to the running ktl-agent with pid"), "{}", said(&busy));
}

#[tokio::test]
async fn the_command_prunes_a_folder_that_no_agent_has() {
    let data = Data::new();
    let agent = Agent::start(&data);
    finished(&agent, 3).await;
    let dry = run(&["prune", "--max-sessions", "1", "--dry-run"], &data.path());
    assert!(dry.status.success(), "{}", said(&dry));
    let lines = said(&dry);
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with("s0 ") && lines[1].starts_with("s1 "), "{lines:?}");
    assert!(lines[2].starts_with("2 sessions with ") && lines[2].ends_with(" bytes would go"), "{lines:?}");
    let busy = run(&["prune", "--max-sessions", "1"], &data.path());
    assert!(!busy.status.success() && said(&busy).contains("with pid"), "{}", said(&busy));
    agent.kill();
    let pruned = run(&["prune", "--max-sessions", "1"], &data.path());
    assert!(said(&pruned).lines().last().unwrap().ends_with("bytes went"), "{}", said(&pruned));
    let none = run(&["prune"], &data.path());
    assert!(!none.status.success() && said(&none).contains("name a limit"), "{}", said(&none));
    let nowhere = run(&["prune", "--max-age", "1d"], Path::new("/nowhere"));
    assert!(said(&nowhere).contains("/nowhere/sessions.db is not there"), "{}", said(&nowhere));
    let agent = Agent::start(&data);
    let left = agent.get("/api/v1/sessions").await.json();
    assert_eq!(left["sessions"].as_array().unwrap().len(), 1);
}
