//! The live tail of the public gateway: `frame`, `ping` and `dropped`, with ours (`caught_up`, `gap`, `resync`, `end`,
//! `bye`) as extra events beside them.

use std::{convert::Infallible, time::Duration};

use axum::{
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse as _, Response, Sse, sse::Event},
};
use futures::{Stream, StreamExt as _, future::ready, stream};
use serde_json::json;
use tokio::time::{Instant, interval_at};
use tokio_stream::wrappers::IntervalStream;

use super::{Parameters, Refusal, Web, find, nothing_here};
use crate::{
    grpc::convert,
    http::{events, pace, to_json},
    journal::Followed,
    session::{Cursor, Epoch, Seq, Session, SessionId, Timestamp},
};

/// Where a tail begins.
struct Start {
    after: Cursor,
    /// Frames before this number are not sent.
    from: u64,
}

/// `GET /api/v1/mirror/sessions/{id}/tail`
pub(super) async fn tail(
    web: &Web,
    id: &str,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let id = SessionId::parse(id)?;
    let Some(session) = find(web, &id).await? else { return Ok(nothing_here()) };
    let Start { after, from } = start(&session, parameters, headers);
    let tail = web.journal.tail(&id, after, Duration::MAX);
    let told = tail.map(move |item| match item {
        Ok(followed) => told(followed, &id, session.epoch, from),
        Err(error) => vec![events::failed(&error)],
    });
    let retry =
        Event::default().retry(Duration::from_millis(pace::retry(parameters.first(&["retry_ms", "retry"]))));
    let heartbeat =
        pace::public_heartbeat(parameters.first(&["heartbeat_ms"]), parameters.first(&["heartbeat"]));
    let events = with_pings(told.flat_map(stream::iter), heartbeat);
    let events =
        stream::iter([retry]).chain(pace::until_stop(events, web.stop.clone())).map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Sse::new(events)).into_response())
}

/// A cursor of ours, or a bare number, wins over `from_sequence` and asks for what was before. Anything else is passed
/// over.
fn start(session: &Session, parameters: &Parameters, headers: &HeaderMap) -> Start {
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::trim);
    let last = header.filter(|text| !text.is_empty()).or_else(|| parameters.first(&["last_event_id"]));
    let last = last.and_then(|text| text.parse::<Cursor>().ok());
    if let Some(after) = last.filter(|cursor| cursor.seq > Seq::ZERO || cursor.epoch > Epoch(0)) {
        return Start { after, from: 0 };
    }
    let from = parameters.first_sequence();
    let is_replay = !parameters
        .first(&["replay"])
        .is_some_and(|text| ["0", "false", "no", "off"].contains(&text.to_ascii_lowercase().as_str()));
    let seq = if is_replay { Seq(from - 1).min(session.head) } else { session.head };
    Start { after: Cursor { epoch: session.epoch, seq }, from }
}

/// Every piece of news as its events. Only what moves a reader's cursor has an id.
fn told(followed: Followed, id: &SessionId, epoch: Epoch, from: u64) -> Vec<Event> {
    match followed {
        Followed::Frame(frame) if frame.seq.0 < from => Vec::new(),
        Followed::Frame(frame) => {
            let event = Event::default().id(frame.cursor().to_string()).event("frame");
            vec![event.data(to_json("ktl.api.v1.MirrorFrame", &convert::mirror_frame(frame, id)))]
        }
        Followed::Gap { to, .. } if to.0 < from => Vec::new(),
        Followed::Gap { from: first, to, reason } => {
            let first = Seq(first.0.max(from));
            let gap = events::event(Followed::Gap { from: first, to, reason });
            let dropped = json!({
                "session_id": id.as_str(), "from_sequence": first.0, "to_sequence": to.0,
                "missing": to.0 + 1 - first.0, "reason": "not_available", "at_unix_nano": Timestamp::now().0,
            });
            let cursor = Cursor { epoch, seq: to };
            vec![gap, Event::default().id(cursor.to_string()).event("dropped").data(dropped.to_string())]
        }
        other => vec![events::event(other)],
    }
}

/// A ping at every beat, whether anything happened or not. The end of the news is the end.
fn with_pings(
    news: impl Stream<Item = Event> + Send + 'static,
    heartbeat: Option<Duration>,
) -> impl Stream<Item = Event> + Send {
    let pings = match heartbeat {
        Some(every) => {
            IntervalStream::new(interval_at(Instant::now() + every, every)).map(|_| Some(ping())).boxed()
        }
        None => stream::pending().boxed(),
    };
    let news = news.map(Some).chain(stream::iter([None]));
    stream::select(news, pings).take_while(|event| ready(event.is_some())).filter_map(ready)
}

fn ping() -> Event {
    Event::default().event("ping").data(Timestamp::now().0.to_string())
}
