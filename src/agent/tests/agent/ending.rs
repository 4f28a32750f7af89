//! An agent that ends, or does not, while it has work.

use std::time::{Duration, Instant};

use ktl_proto::control::v1::{NoteKind, Status, fact::Body};
use rustix::process::{Pid, Signal, kill_process};

use crate::story::{Story, bodies, body, end, gated, never};

/// Nothing is said twice, nothing is left out, and the end is a good one.
#[tokio::test]
async fn a_sigterm_in_mid_apply_ends_the_agent_in_time_and_the_next_one_goes_on() {
    let Some(mut story) = Story::begin("sigterm") else { return };
    story.start_gated("term-1").await;
    let shim = story.shim("term-1");
    // Somebody watches, as always.
    let mut watched = story.agent().sessions().await;
    let request = ktl_proto::control::v1::FollowRequest { session_id: "term-1".into(), ..Default::default() };
    let mut watched = watched.follow(request).await.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());

    let mut agent = story.agent.take().unwrap();
    let asked = Instant::now();
    kill_process(Pid::from_child(&agent.child), Signal::TERM).unwrap();
    let status = tokio::task::spawn_blocking(move || agent.child.wait().unwrap()).await.unwrap();
    let took = asked.elapsed();
    assert!(status.success() && took < Duration::from_secs(8), "{status} after {took:?}, its grace is 10 s");
    assert!(shim.is_alive(), "helm works on under its shim");

    story.start_agent();
    story.open_gate();
    let frames = story.follow("term-1", never).await;
    let numbers: Vec<u64> = frames.iter().map(|frame| frame.seq).collect();
    assert_eq!(numbers, (1..=frames.len() as u64).collect::<Vec<_>>(), "no gap");
    assert!(frames.iter().all(|frame| frame.epoch == frames[0].epoch), "one history");
    assert!(matches!(body(&frames[0]), Some(Body::Started(_))));
    let ended = end(&frames);
    assert_eq!((ended.status(), ended.left_behind.unwrap().revision), (Status::Done, 1), "helm ran once");
    let notes: Vec<_> = bodies(&frames).filter(|body| matches!(body, Body::Note(_))).collect();
    assert!(matches!(notes[..], [Body::Note(note)] if note.kind() == NoteKind::Adopted), "{notes:?}");
    assert!(!shim.is_alive());
}

#[tokio::test]
async fn an_idle_agent_stays_while_something_runs_or_waits_and_ends_after_it() {
    let Some(mut story) = Story::begin("idle") else { return };
    drop(story.agent.take());
    story.args.extend(["--idle-exit".to_owned(), "1".to_owned()]);
    story.start_agent();
    story.start_gated("idle-1").await;
    story.start("idle-2", gated).await;
    // Nobody is connected any more, for longer than it would wait without work.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(story.agent.as_mut().unwrap().child.try_wait().unwrap().is_none(), "it left its work");
    story.open_gate();
    // The one that waited is at its gate now, or past it: the release has its pod already.
    let began = Instant::now();
    let agent = story.agent.as_mut().unwrap();
    while agent.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_mins(1), "it is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(agent.child.wait().unwrap().success());
    story.start_agent();
    for id in ["idle-1", "idle-2"] {
        let frames = story.follow(id, never).await;
        assert_eq!(end(&frames).status(), Status::Done, "{id}");
        let adopted = bodies(&frames).any(|body| matches!(body, Body::Note(_)));
        assert!(!adopted, "{id} had ended before the agent did");
    }
}
