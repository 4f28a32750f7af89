//! Reading over HTTP: streams that resume, exports that say whether they are whole, questions that mean nothing.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::support::{Agent, Data, TOKEN, frame, publish};

/// What one connection of the stream of several sessions brought: frames by session, and where it was last.
#[derive(Default)]
struct Seen {
    frames: BTreeMap<String, Vec<u64>>,
    ends: Vec<String>,
    last: String,
}

impl Seen {
    /// Takes whole events only: one that the cut left half is not there.
    fn take(&mut self, text: &str) {
        for event in text.split("\n\n").filter(|event| event.contains("data: ")) {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let data: Value = serde_json::from_str(field("data: ").unwrap()).unwrap();
            let session = data["session_id"].as_str().unwrap().to_owned();
            match field("event: ").unwrap() {
                "frame" => {
                    let seq = data["frame"]["seq"].as_str().unwrap().parse().unwrap();
                    self.frames.entry(session).or_default().push(seq);
                    field("id: ").unwrap().clone_into(&mut self.last);
                }
                "end" => self.ends.push(session),
                _ => assert!(field("id: ").is_none(), "only frames move a cursor: {event}"),
            }
        }
    }

    fn count(&self) -> usize {
        self.frames.values().map(Vec::len).sum()
    }
}

/// Reads whole events until there were so many frames, then lets go of the connection.
async fn read(agent: &Agent, path: &str, seen: &mut Seen, frames: usize) {
    let last = seen.last.clone();
    let headers = [("last-event-id", last.as_str())];
    let mut stream = agent.stream(path, if last.is_empty() { &[] } else { &headers }).await;
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    let reading = async {
        while seen.count() < frames {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream ended early: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            if let Some(end) = text.rfind("\n\n") {
                let rest = text.split_off(end + 2);
                seen.take(&text);
                text = rest;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), reading).await.unwrap();
}

#[tokio::test]
async fn twenty_sessions_over_one_connection_lose_and_repeat_nothing_across_a_cut() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    let names: Vec<String> = (0..20).map(|n| format!("s:{n}@x")).collect();
    let mut more = async |text: &str| {
        let frames = (0..10).flat_map(|_| names.iter().map(|name| frame(name, text)));
        publish(&mut mirror, frames.collect()).await.unwrap();
    };
    more("before").await;
    let asked: Vec<String> = names.iter().map(|name| format!("session={name}")).collect();
    let path = format!("/api/v1/stream?{}", asked.join("&"));
    let mut seen = Seen::default();
    // Cut in the middle of the replay, after it, and while more comes.
    read(&agent, &path, &mut seen, 73).await;
    read(&agent, &path, &mut seen, 200).await;
    more("between").await;
    read(&agent, &path, &mut seen, 317).await;
    let ((), ()) = tokio::join!(more("during"), read(&agent, &path, &mut seen, 600));
    assert_eq!(seen.frames.len(), 20);
    for (session, frames) in &seen.frames {
        assert_eq!(*frames, (1..=30).collect::<Vec<_>>(), "{session}");
    }
}

#[tokio::test]
async fn an_export_says_whether_it_is_whole_and_goes_on_where_it_broke_off() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let frames = (1..=5).map(|n| frame("s", &n.to_string())).collect();
    publish(&mut agent.mirror().await, frames).await.unwrap();
    let export = async |query: &str| agent.get(&format!("/api/v1/sessions/s/export{query}")).await;
    let whole = export("").await;
    let lines: Vec<Value> = whole.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let epoch = lines[0]["epoch"].as_str().unwrap();
    let last = &lines[5]["export"];
    assert_eq!((last["complete"].as_bool(), last["frames"].as_str()), (Some(true), Some("5")), "{last}");
    assert_eq!((last["from"].as_str(), last["to"].as_str()), (Some("1"), Some("5")));
    assert_eq!((whole.header("accept-ranges"), whole.header("etag")), (Some("none"), None), "it still runs");

    let rest = export(&format!("?from={epoch}:4")).await;
    let expected: Vec<&str> = whole.body.lines().skip(3).take(2).collect();
    assert_eq!(rest.body.lines().take(2).collect::<Vec<_>>(), expected);
    assert!(rest.body.contains("\"from\":\"4\"") && rest.body.contains("\"frames\":\"2\""), "{}", rest.body);
    let foreign = export("?from=7:4").await;
    assert!(
        foreign.status == 409 && foreign.body.contains(&format!("{epoch}:1 to {epoch}:5")),
        "{foreign:?}"
    );
    assert_eq!(export(&format!("?from={epoch}:9")).await.status, 409, "a frame from the future");
}

#[tokio::test]
async fn an_event_stream_has_the_rhythm_that_was_asked_for_and_no_proxy_may_keep_it() {
    let data = Data::new();
    let agent = Agent::start(&data);
    publish(&mut agent.mirror().await, vec![frame("s", "a\r\ndata: forged\rid: 9")]).await.unwrap();
    let path = "/api/v1/sessions/s/events?heartbeat_ms=1000";
    let seen = agent.events(path, &[], "event: heartbeat\ndata: {\"head\":\"1\"}").await;
    let head = seen.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    for header in ["cache-control: no-store", "x-accel-buffering: no", "content-type: text/event-stream"] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    assert!(seen.contains(": alive\n"), "a heartbeat is bytes for what does not read events: {seen}");
    let ids: Vec<&str> = seen.lines().filter(|line| line.starts_with("id:")).collect();
    assert!(ids.len() == 1 && ids[0].ends_with(":1"), "{ids:?}");
    assert!(!seen.lines().any(|line| line.starts_with("data: forged")), "{seen}");
}

#[tokio::test]
async fn every_question_that_means_nothing_is_answered_with_its_parameter_and_what_to_do() {
    let data = Data::new();
    let agent = Agent::start(&data);
    publish(&mut agent.mirror().await, vec![frame("s", "one")]).await.unwrap();
    let long = "x".repeat(10_000);
    let many: Vec<String> = (0..33).map(|n| format!("session=s{n}")).collect();
    for (path, status, words) in [
        ("sessions/s/events?last_event_id=x".to_owned(), 400, "last_event_id: cursor \\\"x\\\""),
        ("sessions/s/events?heartbeat_ms=0".into(), 400, "use 1000 to 300000"),
        ("sessions/s/events?heartbeat=1s".into(), 400, "there are: last_event_id, heartbeat_ms"),
        ("sessions/s/events?last_event_id=%zz".into(), 400, "parameter \\\"last_event_id\\\" has a %"),
        ("sessions/s/export?from=0".into(), 400, "from: frames are numbered from 1"),
        ("sessions/s/export?limit=3".into(), 400, "there are: from"),
        ("sessions/s?x=1".into(), 400, "takes none"),
        (format!("sessions/{long}"), 400, "the limit is 128"),
        ("sessions/%ff".into(), 400, "UTF-8"),
        ("sessions/a%0d%0ab".into(), 400, "character 2"),
        ("sessions?limit=1001".into(), 400, "limit \\\"1001\\\" is no number from 1 to 1000"),
        ("sessions?limit=ten".into(), 400, "use 1 to 1000"),
        ("sessions?page_token=x".into(), 400, "page_token"),
        ("sessions?text=%e4".into(), 400, "parameter \\\"text\\\" is no UTF-8"),
        ("stream".into(), 400, "?session=A&session=B"),
        ("stream?session=s&session=s".into(), 400, "named twice"),
        (format!("stream?{}", many.join("&")), 400, "33 sessions are named, the limit is 32"),
        ("stream?session=nope".into(), 404, "session nope is not known"),
        ("stream?session=s&last_event_id=s".into(), 400, "is not SESSION=epoch:seq"),
    ] {
        let answer = agent.get(&format!("/api/v1/{path}")).await;
        let path = path.get(..60).unwrap_or(&path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.body.contains(words), "{path}: {words} is not in {}", answer.body);
        assert!(answer.json()["next"].as_str().is_some_and(|next| !next.is_empty()), "{path}: {answer:?}");
        assert!(answer.body.len() < 700, "what came does not come back in an answer of its length: {path}");
    }
    let headers = [("x-ktl-token", TOKEN), ("last-event-id", "s=1:1,,")];
    assert_eq!(agent.http("GET /api/v1/stream?session=s", &headers, "").await.status, 400);
}
