//! The frames of a session as lines of JSON, written while they are read.
//!
//! The last line says whether that was all: `{"export": {…}}`. A body without it was cut off. It is a line and not a
//! trailer, because files, browsers and most proxies keep no trailers. Byte ranges are not served: the length is only
//! known once every frame was written. `from` begins at any frame instead.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};

use super::{
    Refusal, Web,
    asked::{Asked, Named},
    to_json,
};
use crate::{
    grpc::convert,
    journal::Followed,
    session::{Cursor, InvalidCursor, Seq, Session, SessionId},
    shutdown::whole_or,
    store::StoreError,
};

/// `GET /api/v1/sessions/{id}/export`: every frame that is there now, one on each line.
pub(super) async fn export(
    State(web): State<Web>,
    Named(id): Named,
    asked: Asked,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asked = asked.only(&["from"])?;
    let from = asked.one("from")?.map(first).transpose()?;
    let session = web.journal.require(&id).await?;
    let tag = tag(&session);
    let is_known = |tag: &str| {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        known.flat_map(|line| line.split(',')).any(|known| known.trim() == tag)
    };
    if let Some(tag) = tag.as_deref().filter(|tag| is_known(tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.to_owned())]).into_response());
    }
    let after = from.unwrap_or(Cursor::START);
    let stopping = || StoreError::Busy("the agent is stopping: export again in a moment".to_owned());
    let mut items = whole_or(web.journal.recorded(&id, after), web.stop.clone(), stopping);
    // What can be refused is refused before the head of the answer is gone.
    let begun = items.next().await.transpose()?;
    if let Some(Followed::Resync { epoch, first, head }) = begun {
        let error =
            format!("from: session {id} has no frame {}:{} in its history", after.epoch.0, after.seq.0 + 1);
        let next = format!(
            "its frames are {0}:{1} to {0}:{2}; leave from out to export them all",
            epoch.0, first.0, head.0
        );
        return Err(Refusal::new(StatusCode::CONFLICT, error, next));
    }
    let lines = lines(stream::iter(begun.map(Ok)).chain(items), Tally::new(&session, after.seq.next()));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.ndjson\"", file_name(&id))),
        (header::ACCEPT_RANGES, "none".to_owned()),
    ];
    let tag = tag.map(|tag| [(header::ETAG, tag)]);
    Ok((headers, tag, Body::from_stream(lines)).into_response())
}

/// The cursor before the first frame that is wanted.
fn first(text: &str) -> Result<Cursor, Refusal> {
    let next = "send epoch:seq of the first frame that you want, as its line would have them";
    let cursor: Cursor =
        text.parse().map_err(|error: InvalidCursor| Refusal::bad(format!("from: {error}"), next))?;
    match cursor.seq.0.checked_sub(1) {
        Some(before) => Ok(Cursor { seq: Seq(before), ..cursor }),
        None => Err(Refusal::bad("from: frames are numbered from 1", next)),
    }
}

/// What tells two exports apart. Only of a session that has ended: while it runs, the answer is longer than its head.
fn tag(session: &Session) -> Option<String> {
    let Session { epoch, first, head, status, .. } = session;
    status.is_terminal().then(|| format!("\"1-{}-{}-{}-{}\"", epoch.0, first.0, head.0, status.word()))
}

/// What the last line says.
struct Tally {
    id: SessionId,
    epoch: u64,
    first: u64,
    next: u64,
    frames: u64,
    gaps: Vec<Value>,
    status: &'static str,
}

impl Tally {
    fn new(session: &Session, first: Seq) -> Self {
        let (id, epoch, status) = (session.id.clone(), session.epoch.0, session.status.word());
        Self { id, epoch, first: first.0, next: first.0, frames: 0, gaps: Vec::new(), status }
    }

    /// The line of an item; what is no frame only changes what the last line says.
    fn line(&mut self, followed: Followed) -> Option<Bytes> {
        match followed {
            Followed::Frame(frame) => {
                (self.epoch, self.next) = (frame.epoch.0, frame.seq.0 + 1);
                self.frames += 1;
                let mut line = to_json("ktl.control.v1.Frame", &convert::frame(frame));
                line.push('\n');
                return Some(line.into());
            }
            Followed::Gap { from, to, reason } => {
                self.next = to.0 + 1;
                self.gaps
                    .push(json!({ "from": from.0.to_string(), "to": to.0.to_string(), "reason": reason }));
            }
            _ => {}
        }
        None
    }

    fn last(&self) -> Bytes {
        let Self { id, epoch, first, next, frames, gaps, status } = self;
        let line = json!({ "export": {
            "session_id": id.as_str(),
            "complete": gaps.is_empty(),
            "epoch": epoch.to_string(),
            "from": first.to_string(),
            "to": (next - 1).to_string(),
            "frames": frames.to_string(),
            "gaps": gaps,
            "status": status,
        }});
        format!("{line}\n").into()
    }
}

/// The lines, and the last one when nothing failed. An error breaks the body off, which is how HTTP says it too.
fn lines(
    items: impl Stream<Item = Result<Followed, StoreError>> + Send + 'static,
    tally: Tally,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    stream::unfold(Some((Box::pin(items), tally)), |state| async move {
        let (mut items, mut tally) = state?;
        loop {
            match items.next().await {
                Some(Ok(followed)) => {
                    if let Some(line) = tally.line(followed) {
                        return Some((Ok(line), Some((items, tally))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => return Some((Ok(tally.last()), None)),
            }
        }
    })
}

/// An id is safe in a header, but a colon is not in every file system.
fn file_name(id: &SessionId) -> String {
    id.as_str().replace(':', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_is_the_first_frame_that_is_wanted() {
        assert_eq!(first("7:3").unwrap().to_string(), "7:2");
        assert_eq!(first("1").unwrap().to_string(), "0:0");
        for (text, words) in
            [("7:0", "numbered from 1"), ("x", "neither"), ("", "neither"), ("7:-1", "neither")]
        {
            let refusal = first(text).unwrap_err();
            assert!(
                refusal.error.starts_with("from: ") && refusal.error.contains(words),
                "{text}: {refusal:?}"
            );
        }
    }
}
