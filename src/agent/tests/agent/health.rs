//! Whether the agent says truly that it lives, that it can work, and how it fares.

use crate::support::{Agent, Data, TOKEN, frame, publish};

#[tokio::test]
async fn everybody_may_ask_whether_it_lives_and_only_readers_what_it_measures() {
    let data = Data::new();
    let agent = Agent::start(&data);
    for path in ["GET /healthz", "GET /readyz"] {
        let answer = agent.http(path, &[], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"), "{path}");
    }
    assert_eq!(agent.http("GET /metrics", &[], "").await.status, 401);
    assert_eq!(agent.http("GET /metrics", &[("x-ktl-token", "guess")], "").await.status, 401);
    let answer = agent.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(
        answer.body.contains("ktl_requests_refused_total{protocol=\"http\",code=\"401\"} 2"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_scrape_shows_what_happened_and_names_nobody() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let frames = (1..=5).map(|n| frame("a-name-of-somebody", &format!("text-{n}"))).collect();
    publish(&mut agent.mirror().await, frames).await.unwrap();
    // A reader that takes nothing is behind by all that it was not sent.
    let events = agent.stream("/api/v1/sessions/a-name-of-somebody/events", &[]).await;
    let mut text = agent.get("/metrics").await.body;
    for _ in 0..100 {
        if text.contains("\nktl_followers 1\n") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        text = agent.get("/metrics").await.body;
    }
    for line in ["ktl_frames_appended_total 5", "ktl_followers 1", "ktl_sessions{state=\"running\"} 1"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let value = |name: &str| -> u64 {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap()
    };
    assert!(value("ktl_append_seconds_count") >= 1 && value("ktl_store_bytes") > 4096, "{text}");
    assert!(!text.contains("somebody") && !text.contains("text-") && !text.contains(TOKEN), "{text}");
    drop(events);
    for _ in 0..100 {
        if agent.get("/metrics").await.body.contains("\nktl_followers 0\n") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a reader that left is still counted");
}
