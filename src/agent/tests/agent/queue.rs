//! The line before a release: who waits can be stopped, gives up in time, and is found again by the next agent.

use ktl_proto::control::v1::{Apply, CancelRequest, Status, fact::Body};

use crate::story::{Story, bodies, body, end, gated, never};

async fn cancel(story: &Story, id: &str) {
    let request = CancelRequest { session_id: id.to_owned() };
    story.agent().operations().await.cancel(request).await.unwrap();
}

/// Starts an apply that has to wait, and waits until it says behind whom.
async fn queue(story: &Story, id: &str, ahead: &str, change: impl FnOnce(&mut Apply)) {
    story.start(id, change).await;
    let frames = story.follow(id, |body| matches!(body, Body::Queued(_))).await;
    let Some(Body::Queued(queued)) = body(&frames[0]) else { panic!("{:?}", frames[0]) };
    assert_eq!(queued.session_ahead, ahead);
}

/// The end of a session that never had its turn: its status and its message.
async fn ended_in_line(story: &Story, id: &str) -> (Status, String) {
    let frames = story.follow(id, never).await;
    let worked = |body: &Body| matches!(body, Body::Started(_) | Body::Phase(_) | Body::Object(_));
    assert!(!bodies(&frames).any(worked), "{id} had its turn: {frames:#?}");
    let ended = end(&frames);
    (ended.status(), ended.message)
}

#[tokio::test]
async fn who_waits_is_cancelled_at_once_or_gives_up_in_time_and_disturbs_nobody() {
    let Some(story) = Story::begin("line") else { return };
    story.start_gated("line-1").await;
    queue(&story, "line-2", "line-1", gated).await;
    queue(&story, "line-3", "line-2", |apply| apply.timeout_seconds = 2).await;
    queue(&story, "line-4", "line-3", |_| {}).await;

    cancel(&story, "line-2").await;
    let (status, message) = ended_in_line(&story, "line-2").await;
    assert_eq!(status, Status::Cancelled);
    assert!(message.contains("while it waited for its turn"), "{message}");

    let (status, message) = ended_in_line(&story, "line-3").await;
    assert_eq!(status, Status::Error);
    assert!(message.contains("2 s"), "the timeout names itself: {message}");
    assert!(message.contains("line-1"), "and who has the release, not who gave it up: {message}");

    assert!(story.shim("line-1").is_alive(), "the first one works on");
    story.open_gate();
    assert_eq!(end(&story.follow("line-1", never).await).status(), Status::Done);
    let last = end(&story.follow("line-4", never).await);
    assert_eq!((last.status(), last.left_behind.unwrap().revision), (Status::Done, 2));
}

#[tokio::test]
async fn a_cancel_reaches_what_the_next_agent_went_on_with() {
    let Some(mut story) = Story::begin("recancel") else { return };
    story.start_gated("re-1").await;
    queue(&story, "re-2", "re-1", gated).await;
    let shim = story.shim("re-1");
    story.restart_agent();
    cancel(&story, "re-2").await;
    assert_eq!(ended_in_line(&story, "re-2").await.0, Status::Cancelled);
    assert!(shim.is_alive(), "the first one works on");

    // Helm takes a moment to stop; whoever asked need not ask the third agent again.
    cancel(&story, "re-1").await;
    story.restart_agent();
    let ended = end(&story.follow("re-1", never).await);
    assert_eq!((ended.status(), ended.exit_code), (Status::Cancelled, 130), "{ended:?}");
    assert!(!shim.is_alive(), "the cancel reached helm");
    let left = ended.left_behind.unwrap();
    assert_eq!((left.release_status.as_str(), left.revision), ("failed", 1));
}
