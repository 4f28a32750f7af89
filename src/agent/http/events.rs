//! A session as server-sent events: replay and live are one stream.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse as _, Response, Sse, sse::Event},
};
use futures::{Stream, StreamExt as _, stream};
use ktl_proto::control::v1 as wire;

use super::{
    Refusal, Web,
    asked::{Asked, Named, shown},
    pace, to_json,
};
use crate::{
    auth::Expires,
    grpc::convert,
    journal::Followed,
    session::{Cursor, InvalidCursor},
    store::StoreError,
};

/// `GET /api/v1/sessions/{id}/events`
pub(super) async fn events(
    State(web): State<Web>,
    Named(id): Named,
    asked: Asked,
    expires: Option<Extension<Expires>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asked = asked.only(&["last_event_id", "heartbeat_ms"])?;
    let after = match last_event_id(&headers, asked.one("last_event_id")?)? {
        None => Cursor::START,
        Some(text) => text.parse().map_err(|error: InvalidCursor| no_cursor(&error.to_string()))?,
    };
    let heartbeat = pace::heartbeat(asked.one("heartbeat_ms")?)?;
    web.journal.require(&id).await?;
    let followed = web.journal.follow(&id, after, heartbeat);
    let events = followed.map(|item| item.map_or_else(|error| failed(&error), event));
    Ok(answer(&web, events, expires.map(|Extension(expires)| expires)))
}

/// The answer that carries events: what to do when it breaks off comes first, and why it ends last.
pub(super) fn answer(
    web: &Web,
    events: impl Stream<Item = Event> + Send + 'static,
    expires: Option<Expires>,
) -> Response {
    let first = Event::default().retry(Duration::from_millis(pace::retry_spread()));
    let events = pace::until_expired(events, expires);
    let events = stream::iter([first]).chain(pace::until_stop(events, web.stop.clone()));
    // nginx collects an answer unless it is told not to, and what keeps answers must not keep this one.
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no"), (header::CACHE_CONTROL, "no-store")];
    (headers, Sse::new(events.map(Ok::<_, Infallible>))).into_response()
}

/// Only frames carry an id: what is said about the stream must not move a reader's cursor.
pub(super) fn event(followed: Followed) -> Event {
    let id = if let Followed::Frame(frame) = &followed { Some(frame.cursor().to_string()) } else { None };
    let (name, json) = described(followed);
    let event = named(name, &json);
    id.map_or(event.clone(), |id| event.id(id))
}

/// The name of an event and its message.
pub(super) fn described(followed: Followed) -> (&'static str, String) {
    match followed {
        Followed::Frame(frame) => ("frame", to_json("ktl.control.v1.Frame", &convert::frame(frame))),
        Followed::CaughtUp { head } => {
            ("caught_up", to_json("ktl.control.v1.CaughtUp", &wire::CaughtUp { head: head.0 }))
        }
        Followed::Heartbeat { head } => {
            ("heartbeat", to_json("ktl.control.v1.Heartbeat", &wire::Heartbeat { head: head.0 }))
        }
        Followed::Gap { from, to, reason } => {
            let gap = wire::Gap { from: from.0, to: to.0, reason: reason.into() };
            ("gap", to_json("ktl.control.v1.Gap", &gap))
        }
        Followed::Resync { epoch, first, head } => {
            let resync = wire::Resync { epoch: epoch.0, first: first.0, head: head.0 };
            ("resync", to_json("ktl.control.v1.Resync", &resync))
        }
        Followed::End { status, exit_code, message } => {
            let status = crate::frame::wire_status(status).into();
            ("end", to_json("ktl.control.v1.End", &wire::End { status, exit_code, message }))
        }
    }
}

/// Protobuf JSON escapes line breaks, so `data` is one line and cannot start another field. A heartbeat is a comment
/// too, for what only looks whether there are bytes.
pub(super) fn named(name: &str, json: &str) -> Event {
    let event = if name == "heartbeat" { Event::default().comment("alive") } else { Event::default() };
    event.event(name).data(json)
}

/// The store has failed under us: the reader is told, and its retry will find out more.
pub(super) fn failed(error: &StoreError) -> Event {
    Event::default().event("error").data(one_line(&error.to_string()))
}

pub(super) fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Where a reader was. The header is what a browser sends when it comes back; it knows more than the address it first
/// asked for.
pub(super) fn last_event_id<'a>(
    headers: &'a HeaderMap,
    parameter: Option<&'a str>,
) -> Result<Option<&'a str>, Refusal> {
    let header = match headers.get("last-event-id").map(|value| value.to_str()) {
        None => None,
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return Err(no_cursor("last-event-id is no text")),
    };
    Ok(header.or(parameter).filter(|text| !text.is_empty()))
}

/// The refusal of a cursor.
pub(super) fn no_cursor(error: &str) -> Refusal {
    let next = "send the id of the last event as it came, or leave it out to start at the beginning";
    Refusal::bad(format!("last_event_id: {}", shown_error(error)), next)
}

fn shown_error(error: &str) -> String {
    if error.len() > 300 { shown(error) } else { error.to_owned() }
}
