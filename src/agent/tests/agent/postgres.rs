//! Agents on one PostgreSQL: what one does the other shows, also that it has died; and the server may go away.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use ktl_fixtures::postgres::{Postgres, Stop};
use ktl_proto::control::v1::{FollowRequest, Status, follow_event::Event};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    crash::{Acknowledged, publisher, text},
    support::{Agent, Data, frame, publish, recorded},
};

/// How long an agent that says nothing is taken for alive, how often is looked, and what a busy machine takes.
const LOST_WITHIN: Duration = Duration::from_secs(15 + 3 + 10);

#[tokio::test]
async fn what_one_agent_runs_is_followed_on_another_and_is_lost_when_the_first_one_dies() {
    let Some(server) = Postgres::shared() else { return };
    let (url, here, there) = (server.database(), Data::new(), Data::new());
    let first = Agent::start_with(&here, &["--store", &url]);
    let second = Agent::start_with(&there, &["--store", &url]);
    let mut mirror = first.mirror().await;
    publish(&mut mirror, vec![frame("s", "one")]).await.unwrap();
    // Operations need a cluster; what is tried here is what becomes of a session that only its agent may write.
    server.sql(&url, "UPDATE sessions SET owner = 1 WHERE id = 's'");

    let request = FollowRequest { session_id: "s".into(), ..FollowRequest::default() };
    let mut events = second.sessions().await.follow(request).await.unwrap().into_inner();
    let mut next = async || {
        let event = timeout(LOST_WITHIN, events.message()).await.expect("nothing came").unwrap();
        event.expect("the stream ended").event.unwrap()
    };
    assert!(matches!(next().await, Event::Frame(frame) if text(&frame) == "one"));
    assert!(matches!(next().await, Event::CaughtUp(_)));
    publish(&mut mirror, vec![frame("s", "two")]).await.unwrap();
    assert!(matches!(next().await, Event::Frame(frame) if text(&frame) == "two"));
    let refused = publish(&mut second.mirror().await, vec![frame("s", "three")]).await;
    assert!(refused.is_err(), "an operation was written by an agent that does not run it: {refused:?}");

    first.kill();
    let killed = Instant::now();
    let end = loop {
        match next().await {
            Event::End(end) => break end,
            Event::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    };
    let took = killed.elapsed();
    assert_eq!((end.status(), end.message.as_str()), (Status::Lost, "lost after sequence 2"));
    assert!(took < LOST_WITHIN, "{took:?}");
    println!("an agent that was killed was known to be gone after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_in_mid_load_loses_nothing_acknowledged_and_stores_nothing_twice() {
    let Some(server) = Postgres::start() else { return };
    let (url, data) = (server.database(), Data::new());
    let agent = Agent::start_with(&data, &["--store", &url]);
    let acknowledged = Acknowledged::default();
    let mut publishers = JoinSet::new();
    for n in 0..4 {
        publishers.spawn(publisher(agent.port, format!("s{n}"), 0, Arc::clone(&acknowledged)));
    }
    let count = || acknowledged.lock().unwrap().len();
    for how in [Stop::Immediate, Stop::Fast, Stop::Immediate] {
        let before = count();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(count() > before, "nothing was acknowledged before the server was stopped");
        server.stop(how);
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.resume();
    }
    let before = count();
    let waited = Instant::now();
    while count() < before + 100 {
        assert!(waited.elapsed() < Duration::from_secs(15), "publishing did not go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    publishers.abort_all();
    while publishers.join_next().await.is_some() {}
    let mut missing = acknowledged.lock().unwrap().clone();
    let total = missing.len();
    for n in 0..4 {
        let session = format!("s{n}");
        let (mut expected, mut texts) = (1, BTreeSet::new());
        for event in recorded(&agent, &session).await {
            let Some(Event::Frame(frame)) = event.event else { continue };
            assert_eq!(frame.seq, expected, "a hole in {session}");
            expected += 1;
            assert!(texts.insert(text(&frame)), "{session} {} was stored twice: {}", frame.seq, text(&frame));
            if let Some(said) = missing.remove(&(session.clone(), frame.seq)) {
                assert_eq!(text(&frame), said, "{session} {} says something else now", frame.seq);
            }
        }
    }
    assert!(missing.is_empty(), "{} of {total} acknowledged frames are gone", missing.len());
    println!("{total} acknowledged frames through three stops of the server, all there, none twice");
}
