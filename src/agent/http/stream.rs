//! Several sessions as one stream of events, so that a browser with many pages needs one connection.
//!
//! The `id:` of a frame is where the reader is in all of them, `SESSION=epoch:seq` with commas between: what a browser
//! sends back when it reconnects says everything. Sessions that it names and that are not asked for are passed over.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::{Response, sse::Event},
};
use futures::{Stream, StreamExt as _, stream};

use super::{
    Refusal, Web,
    asked::Asked,
    events::{answer, described, last_event_id, named, no_cursor},
    pace,
};
use crate::{
    auth::Expires,
    journal::{Followed, Journal},
    session::{Cursor, InvalidCursor, Seq, SessionId},
    store::StoreError,
};

/// The most sessions of one stream. The id of a frame names all of them and has to fit into a header that proxies take.
pub(super) const MOST: usize = 32;

type Cursors = BTreeMap<SessionId, Cursor>;

/// `GET /api/v1/stream?session=A&session=B`
pub(super) async fn events(
    State(web): State<Web>,
    asked: Asked,
    expires: Option<Extension<Expires>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asked = asked.only(&["session", "last_event_id", "heartbeat_ms"])?;
    let sessions = asked.sessions(MOST)?;
    let mut cursors = match last_event_id(&headers, asked.one("last_event_id")?)? {
        None => Cursors::new(),
        Some(text) => parse(text)?,
    };
    cursors.retain(|id, _| sessions.contains(id));
    let heartbeat = pace::heartbeat(asked.one("heartbeat_ms")?)?;
    for id in &sessions {
        web.journal.require(id).await?;
    }
    let followed = sessions.into_iter().map(|id| {
        let after = cursors.get(&id).copied().unwrap_or(Cursor::START);
        let follow = follow(web.journal.clone(), id.clone(), after, heartbeat);
        follow.map(move |item| (id.clone(), item)).boxed()
    });
    let events = stream::select_all(followed).map(move |(id, item)| event(&id, item, &mut cursors));
    Ok(answer(&web, events, expires.map(|Extension(expires)| expires)))
}

/// A session to its end, across every resync: the reader has one connection and cannot ask for one session again.
fn follow(
    journal: Journal,
    id: SessionId,
    after: Cursor,
    heartbeat: std::time::Duration,
) -> impl Stream<Item = Result<Followed, StoreError>> + Send {
    let start = move |after| journal.follow(&id, after, heartbeat).boxed();
    stream::unfold((start(after), start), |(mut followed, start)| async move {
        let item = followed.next().await?;
        if let Ok(Followed::Resync { epoch, first, .. }) = &item {
            followed = start(Cursor { epoch: *epoch, seq: Seq(first.0.saturating_sub(1)) });
        }
        Some((item, (followed, start)))
    })
}

fn event(id: &SessionId, item: Result<Followed, StoreError>, cursors: &mut Cursors) -> Event {
    let about = |name: &str, json: &str| {
        // An id needs no escapes, and the message is JSON already.
        named(name, &format!("{{\"session_id\":\"{id}\",\"{name}\":{json}}}"))
    };
    match item {
        Err(error) => {
            let words = serde_json::Value::String(error.to_string());
            about("error", &words.to_string())
        }
        Ok(Followed::Frame(frame)) => {
            cursors.insert(id.clone(), frame.cursor());
            let (name, json) = described(Followed::Frame(frame));
            about(name, &json).id(write(cursors))
        }
        Ok(other) => {
            let (name, json) = described(other);
            about(name, &json)
        }
    }
}

fn write(cursors: &Cursors) -> String {
    cursors.iter().map(|(id, cursor)| format!("{id}={cursor}")).collect::<Vec<_>>().join(",")
}

fn parse(text: &str) -> Result<Cursors, Refusal> {
    let pair = |part: &str| {
        let (id, cursor) = part
            .split_once('=')
            .ok_or_else(|| no_cursor(&format!("{:?} is not SESSION=epoch:seq", super::asked::shown(part))))?;
        let cursor = cursor.parse().map_err(|error: InvalidCursor| no_cursor(&error.to_string()))?;
        Ok((SessionId::parse(id.trim()).map_err(|error| no_cursor(&error.to_string()))?, cursor))
    };
    text.split(',').map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_reader_is_survives_the_way_to_it_and_back() {
        let text = "a=7:1,b:c@d=8:20";
        assert_eq!(write(&parse(text).unwrap()), text);
        for broken in ["a", "a=", "a=x", "=7:1", "a=7:1,,b=7:1", "a b=7:1"] {
            assert!(parse(broken).unwrap_err().error.starts_with("last_event_id: "), "{broken}");
        }
    }
}
