//! kill -9 in the middle of publishing: what was acknowledged is there, and no number is used twice.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use ktl_proto::control::v1::{Frame, follow_event::Event, frame::Payload};
use tokio::task::JoinSet;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use crate::support::{Agent, Data, frame, recorded};

const PUBLISHERS: usize = 8;

/// The text behind each acknowledged number, by session.
pub(crate) type Acknowledged = Arc<Mutex<BTreeMap<(String, u64), String>>>;

/// Publishes to a session of its own until the agent is gone. Acknowledgements come in the order of the frames.
pub(crate) async fn publisher(agent_port: u16, name: String, round: usize, acknowledged: Acknowledged) {
    let agent = format!("http://127.0.0.1:{agent_port}");
    let channel = tonic::transport::Channel::from_shared(agent).unwrap().connect().await.unwrap();
    let mut client = ktl_proto::api::v1::mirror_service_client::MirrorServiceClient::with_interceptor(
        channel,
        crate::support::WithToken,
    );
    let (sender, frames) = tokio::sync::mpsc::channel(64);
    let session = name.clone();
    let feed = tokio::spawn(async move {
        for n in 0.. {
            if sender.send(frame(&session, &format!("{session} {round} {n}"))).await.is_err() {
                return;
            }
        }
    });
    let Ok(acks) = client.publish(ReceiverStream::new(frames)).await else { return };
    let mut acks = acks.into_inner();
    let mut n = 0;
    while let Some(Ok(ack)) = acks.next().await {
        let before =
            acknowledged.lock().unwrap().insert((name.clone(), ack.sequence), format!("{name} {round} {n}"));
        assert_eq!(before, None, "number {} of {name} was given twice", ack.sequence);
        n += 1;
    }
    feed.abort();
}

pub(crate) fn text(frame: &Frame) -> String {
    let Some(Payload::Published(published)) = &frame.payload else { panic!("not published: {frame:?}") };
    let Some(ktl_proto::api::v1::mirror_frame::Payload::Deploy(event)) = &published.payload else {
        panic!("not a deploy event: {published:?}")
    };
    let json: serde_json::Value = serde_json::from_str(&event.json).unwrap();
    json["text"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_frames_survive_kill_9_and_no_number_comes_back() {
    let data = Data::new();
    let acknowledged = Acknowledged::default();
    for round in 0..3 {
        let agent = Agent::start(&data);
        let mut publishers = JoinSet::new();
        for n in 0..PUBLISHERS {
            publishers.spawn(publisher(agent.port, format!("s{n}"), round, Arc::clone(&acknowledged)));
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        agent.kill();
        publishers.join_all().await;
    }
    let agent = Agent::start(&data);
    let mut missing = acknowledged.lock().unwrap().clone();
    let total = missing.len();
    assert!(total > 100, "only {total} frames were acknowledged: nothing was tried");
    for n in 0..PUBLISHERS {
        let session = format!("s{n}");
        let mut expected = 1;
        for event in recorded(&agent, &session).await {
            let Some(Event::Frame(frame)) = event.event else { continue };
            assert_eq!(frame.seq, expected, "a hole in {session}");
            expected += 1;
            if let Some(said) = missing.remove(&(session.clone(), frame.seq)) {
                assert_eq!(text(&frame), said, "{session} {} says something else now", frame.seq);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "{} of {total} acknowledged frames are gone, such as {:?}",
        missing.len(),
        missing.first_key_value()
    );
    println!("{total} acknowledged frames, all there");
}
