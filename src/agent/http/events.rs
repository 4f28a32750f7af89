//! A session as server-sent events: replay and live are one stream.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName},
    response::{IntoResponse as _, Response, Sse, sse::Event},
};
use futures::{StreamExt as _, stream};
use ktl_proto::control::v1 as wire;
use serde::Deserialize;

use super::{Refusal, Web, pace, to_json};
use crate::{
    grpc::convert,
    journal::Followed,
    session::{Cursor, SessionId},
    store::StoreError,
};

#[derive(Deserialize)]
pub(super) struct Parameters {
    last_event_id: Option<String>,
    /// 0 means 15 s; bounds are 1 s and 5 min.
    #[serde(default)]
    heartbeat_ms: u64,
}

/// `GET /api/v1/sessions/{id}/events`
pub(super) async fn events(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id = SessionId::parse(&id)?;
    let after = cursor(&headers, parameters.last_event_id.as_deref())?;
    web.journal.require(&id).await?;
    let followed = web.journal.follow(&id, after, pace::heartbeat(parameters.heartbeat_ms));
    let events = followed.map(|item| item.map_or_else(|error| failed(&error), event));
    let first = stream::iter([Event::default().retry(Duration::from_millis(pace::retry_spread()))]);
    let events = first.chain(pace::until_stop(events, web.stop.clone())).map(Ok::<_, Infallible>);
    // nginx collects an answer unless it is told not to.
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, Sse::new(events)).into_response())
}

/// Only frames carry an id: what is said about the stream must not move a reader's cursor.
pub(super) fn event(followed: Followed) -> Event {
    match followed {
        Followed::Frame(frame) => {
            let id = frame.cursor().to_string();
            named("frame", &to_json("ktl.control.v1.Frame", &convert::frame(frame))).id(id)
        }
        Followed::CaughtUp { head } => {
            named("caught_up", &to_json("ktl.control.v1.CaughtUp", &wire::CaughtUp { head: head.0 }))
        }
        Followed::Heartbeat { head } => {
            named("heartbeat", &to_json("ktl.control.v1.Heartbeat", &wire::Heartbeat { head: head.0 }))
        }
        Followed::Gap { from, to, reason } => {
            let gap = wire::Gap { from: from.0, to: to.0, reason: reason.into() };
            named("gap", &to_json("ktl.control.v1.Gap", &gap))
        }
        Followed::Resync { epoch, first, head } => {
            let resync = wire::Resync { epoch: epoch.0, first: first.0, head: head.0 };
            named("resync", &to_json("ktl.control.v1.Resync", &resync))
        }
        Followed::End { status, exit_code, message } => {
            let status = crate::frame::wire_status(status).into();
            named("end", &to_json("ktl.control.v1.End", &wire::End { status, exit_code, message }))
        }
    }
}

/// Protobuf JSON escapes line breaks, so `data` is one line and cannot start another field.
fn named(name: &str, json: &str) -> Event {
    Event::default().event(name).data(json)
}

/// The store has failed under us: the reader is told, and its retry will find out more.
pub(super) fn failed(error: &StoreError) -> Event {
    Event::default().event("error").data(one_line(&error.to_string()))
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn cursor(headers: &HeaderMap, parameter: Option<&str>) -> Result<Cursor, Refusal> {
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    // The header is what a browser sends when it comes back; it knows more than the address it first asked for.
    let Some(text) = header.or(parameter).filter(|text| !text.is_empty()) else { return Ok(Cursor::START) };
    let next = "send the id of the last event as it came, or leave it out to start at the beginning";
    text.parse().map_err(|error: crate::session::InvalidCursor| Refusal::bad(error.to_string(), next))
}
