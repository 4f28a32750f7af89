//! The rhythm of event streams: when a reader is told that nothing happened, when it comes back, and how it is sent
//! away when the agent stops.

use std::time::Duration;

use axum::response::sse::Event;
use futures::{Stream, StreamExt as _, future::pending, stream};
use ktl_chart::config::duration;
use serde_json::json;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Refusal, asked::number};
use crate::auth::Expires;

/// How long a silence lasts when nobody asks for another: proxies cut at 30 or 60 seconds.
const HEARTBEAT: Duration = Duration::from_secs(15);
const MIN_HEARTBEAT: Duration = Duration::from_secs(1);
const MAX_HEARTBEAT: Duration = Duration::from_mins(5);
/// When a browser tries again, in milliseconds, and what it may ask for.
const RETRY: u64 = 1000;
const MIN_RETRY: u64 = 250;
const MAX_RETRY: u64 = 60_000;
/// Over how many milliseconds all readers of an agent that stops come back.
const SPREAD: u64 = 4000;

/// Milliseconds until a reader tries again. What is no number above 0 means the default.
pub(super) fn retry(asked: Option<&str>) -> u64 {
    let asked = asked.and_then(|text| text.parse().ok()).filter(|millis: &u64| *millis > 0);
    asked.unwrap_or(RETRY).clamp(MIN_RETRY, MAX_RETRY)
}

/// The same for our own streams: up to half as long again, so that many readers do not come back at one moment.
pub(super) fn retry_spread() -> u64 {
    RETRY + some_below(RETRY / 2)
}

/// The heartbeat of a public tail: milliseconds, else milliseconds or a duration as Go writes it. `None` for none.
pub(super) fn public_heartbeat(millis: Option<&str>, text: Option<&str>) -> Option<Duration> {
    let asked = match (millis, text) {
        (Some(millis), _) => millis.parse().ok().map(Duration::from_millis),
        (None, Some(text)) => text.parse().ok().map(Duration::from_millis).or_else(|| duration::parse(text)),
        (None, None) => None,
    };
    let every = asked.unwrap_or(HEARTBEAT);
    (!every.is_zero()).then(|| every.clamp(MIN_HEARTBEAT, MAX_HEARTBEAT))
}

/// The heartbeat of our own streams in milliseconds. What is out of bounds is refused: a reader that waits for another
/// rhythm than it gets takes a live stream for a dead one.
pub(super) fn heartbeat(asked: Option<&str>) -> Result<Duration, Refusal> {
    let millis = |bound: Duration| u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    let bounds = millis(MIN_HEARTBEAT)..=millis(MAX_HEARTBEAT);
    asked.map_or(Ok(HEARTBEAT), |text| number("heartbeat_ms", text, bounds).map(Duration::from_millis))
}

/// The events until the reader may not read any more; then `expired`, which says how to get in again. What it asks next
/// is refused with a status that ends an `EventSource` for good.
pub(super) fn until_expired(
    events: impl Stream<Item = Event> + Send,
    expires: Option<Expires>,
) -> impl Stream<Item = Event> + Send {
    let over = async move {
        match expires {
            Some(Expires(at)) => sleep_until(at).await,
            None => pending().await,
        }
    };
    let is_over = move || expires.is_some_and(|Expires(at)| at <= tokio::time::Instant::now());
    let last = async move { is_over().then(expired) };
    events.take_until(over).chain(stream::once(last).filter_map(std::future::ready))
}

fn expired() -> Event {
    let error = "this browser's session has ended";
    let next = "go back to your editor and run ktl.openReplay for a fresh link";
    Event::default().event("expired").data(json!({ "error": error, "next": next }).to_string())
}

/// The events until the agent stops; then a `bye` that says when to come back, a moment of its own for each reader.
pub(super) fn until_stop(
    events: impl Stream<Item = Event> + Send,
    stop: CancellationToken,
) -> impl Stream<Item = Event> + Send {
    let stopped = stop.clone();
    let bye = async move { stopped.is_cancelled().then(bye) };
    events.take_until(stop.cancelled_owned()).chain(stream::once(bye).filter_map(std::future::ready))
}

fn bye() -> Event {
    let millis = RETRY + some_below(SPREAD);
    let data = json!({ "reason": "stopping", "retry_ms": millis }).to_string();
    Event::default().event("bye").retry(Duration::from_millis(millis)).data(data)
}

fn some_below(limit: u64) -> u64 {
    Uuid::new_v4().as_u64_pair().1 % limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_reader_gets_the_rhythm_it_asked_for_within_bounds() {
        for (asked, millis) in
            [(None, 1000), (Some("5000"), 5000), (Some("1"), 250), (Some("0"), 1000), (Some("x"), 1000)]
        {
            assert_eq!(retry(asked), millis, "{asked:?}");
        }
        assert_eq!(retry(Some("99999999")), 60_000);
        for (millis, text, expected) in [
            (None, None, Some(15_000)),
            (Some("0"), None, None),
            (Some("20"), None, Some(1000)),
            (Some("2500"), Some("9s"), Some(2500)),
            (Some("x"), Some("9s"), Some(15_000)),
            (None, Some("9s"), Some(9000)),
            (None, Some("4000"), Some(4000)),
            (None, Some("1h"), Some(300_000)),
            (None, Some("x"), Some(15_000)),
        ] {
            assert_eq!(
                public_heartbeat(millis, text),
                expected.map(Duration::from_millis),
                "{millis:?} {text:?}"
            );
        }
    }

    #[test]
    fn our_own_reader_is_told_what_it_may_ask_for() {
        assert_eq!(heartbeat(None).unwrap(), HEARTBEAT);
        assert_eq!(heartbeat(Some("1000")).unwrap(), MIN_HEARTBEAT);
        for text in ["0", "999", "300001", "15s", ""] {
            let refusal = heartbeat(Some(text)).unwrap_err();
            assert!(
                refusal.error.contains("heartbeat_ms") && refusal.next.contains("1000 to 300000"),
                "{text}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_reader_may_not_read_any_more_and_says_so() {
        let at = tokio::time::Instant::now() + Duration::from_secs(5);
        let news = || stream::iter([Event::default().data("x")]);
        let mut open = Box::pin(until_expired(news().chain(stream::pending()), Some(Expires(at))));
        assert!(open.next().await.is_some());
        assert!(open.next().await.is_some() && open.next().await.is_none());
        assert!(tokio::time::Instant::now() >= at);
        let before = Some(Expires(at + Duration::from_secs(5)));
        assert_eq!(until_expired(news(), before).count().await, 1, "the end of the news is no expiry");
        assert_eq!(until_expired(news(), None).count().await, 1);
    }

    #[tokio::test]
    async fn only_a_reader_of_an_agent_that_stops_is_sent_away() {
        let stop = CancellationToken::new();
        let news = || stream::iter([Event::default().data("x")]);
        assert_eq!(until_stop(news(), stop.clone()).count().await, 1);
        let mut open = Box::pin(until_stop(news().chain(stream::pending()), stop.clone()));
        assert!(open.next().await.is_some());
        stop.cancel();
        assert!(open.next().await.is_some() && open.next().await.is_none());
    }
}
