//! Sessions as JSON, and their frames as lines of JSON.

use axum::{
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, future::ready};

use super::{Refusal, Web, to_json};
use crate::{
    grpc::convert,
    journal::Followed,
    session::{Cursor, SessionId, Status},
    shutdown::whole_or,
    store::{InvalidToken, MAX_LIST, PageToken, SessionQuery, StoreError},
};

/// `GET /api/v1/sessions`
pub(super) async fn list(
    State(web): State<Web>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let page = web.journal.list(&query(parameters)?).await?;
    Ok(json(to_json("ktl.control.v1.ListResponse", &convert::listed(page, &web.base))))
}

/// `GET /api/v1/sessions/{id}`
pub(super) async fn detail(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let session = web.journal.require(&SessionId::parse(&id)?).await?;
    Ok(json(to_json("ktl.control.v1.Session", &convert::session(session, &web.base))))
}

/// `GET /api/v1/sessions/{id}/export`: every frame that is there now, one on each line.
pub(super) async fn export(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id = SessionId::parse(&id)?;
    web.journal.require(&id).await?;
    let stopping = || StoreError::Busy("the agent is stopping: export again in a moment".to_owned());
    let frames = whole_or(web.journal.recorded(&id, Cursor::START), web.stop.clone(), stopping);
    let lines = frames.filter_map(|item| {
        ready(match item {
            Ok(Followed::Frame(frame)) => Some(Ok(line(frame))),
            Ok(_) => None,
            // The head of the answer is long gone: a body that breaks off is how HTTP says it is not whole.
            Err(error) => Some(Err(error)),
        })
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.ndjson\"", file_name(&id))),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn line(frame: crate::frame::Frame) -> Bytes {
    let mut line = to_json("ktl.control.v1.Frame", &convert::frame(frame));
    line.push('\n');
    line.into()
}

/// An id is safe in a header, but a colon is not in every file system.
fn file_name(id: &SessionId) -> String {
    id.as_str().replace(':', "_")
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The filters of a list. One that is not understood is refused: an unfiltered list would look like an answer.
fn query(parameters: Vec<(String, String)>) -> Result<SessionQuery, Refusal> {
    let mut query = SessionQuery::default();
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => query.limit = limit(&value)?,
            "status" => query.status.push(status(&value)?),
            "command" => query.meta.command = value,
            "requester" => query.meta.requester = value,
            "release" => query.meta.release = value,
            "namespace" => query.meta.namespace = value,
            "cluster" => query.meta.cluster = value,
            "context" => query.meta.context = value,
            "chart" => query.meta.chart = value,
            "workspace" => query.meta.workspace = value,
            "agent" => query.meta.agent = value,
            "remote" => query.meta.repository.remote = value,
            "commit" => query.meta.repository.commit = value,
            "branch" => query.meta.repository.branch = value,
            "text" => query.text = value,
            "pinned" => query.pinned = Some(flag(&value)?),
            "page_token" => query.after = Some(page_token(&value)?),
            "tag" => {
                let (key, value) = value.split_once('=').unwrap_or((&value, ""));
                query.tags.insert(key.to_owned(), value.to_owned());
            }
            other => {
                let known = "limit, status, command, requester, release, namespace, cluster, context, chart, \
                             workspace, agent, remote, commit, branch, text, pinned, page_token, tag=k=v";
                return Err(Refusal::bad(format!("no parameter {other:?}"), format!("there are: {known}")));
            }
        }
    }
    Ok(query)
}

fn limit(value: &str) -> Result<usize, Refusal> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIST).contains(limit));
    limit.ok_or_else(|| Refusal::bad(format!("limit {value:?} is no number"), format!("use 1 to {MAX_LIST}")))
}

fn status(value: &str) -> Result<Status, Refusal> {
    let found = Status::ALL.into_iter().find(|status| status.word() == value.to_ascii_lowercase());
    let words = Status::ALL.map(Status::word).join(", ");
    found.ok_or_else(|| Refusal::bad(format!("no status {value:?}"), format!("there are: {words}")))
}

fn flag(value: &str) -> Result<bool, Refusal> {
    value.parse().map_err(|_| Refusal::bad(format!("pinned {value:?} is no answer"), "use true or false"))
}

fn page_token(value: &str) -> Result<PageToken, Refusal> {
    value.parse().map_err(|error: InvalidToken| {
        Refusal::bad(error.to_string(), "use next_page_token of the page before")
    })
}
