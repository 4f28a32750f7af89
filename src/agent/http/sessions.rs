//! Sessions as JSON: one, or those that a filter leaves.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};

use super::{
    Refusal, Web,
    asked::{Asked, Named, number, shown},
    to_json,
};
use crate::{
    grpc::convert,
    session::{Status, Timestamp},
    store::{InvalidToken, MAX_LIST, PageToken, SessionQuery},
};

/// `GET /api/v1/sessions`
pub(super) async fn list(State(web): State<Web>, asked: Asked) -> Result<Response, Refusal> {
    let page = web.journal.list(&query(asked.into_pairs())?).await?;
    Ok(json(to_json("ktl.control.v1.ListResponse", &convert::listed(page, &web.base))))
}

/// `GET /api/v1/sessions/{id}`
pub(super) async fn detail(
    State(web): State<Web>,
    Named(id): Named,
    asked: Asked,
) -> Result<Response, Refusal> {
    asked.only(&[])?;
    let session = web.journal.require(&id).await?;
    Ok(json(to_json("ktl.control.v1.Session", &convert::session(session, &web.base))))
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
            "last_seen_from" => query.last_seen.from = moment(&name, &value)?,
            "last_seen_to" => query.last_seen.to = moment(&name, &value)?,
            "created_from" => query.created.from = moment(&name, &value)?,
            "created_to" => query.created.to = moment(&name, &value)?,
            "completed_from" => query.completed.from = moment(&name, &value)?,
            "completed_to" => query.completed.to = moment(&name, &value)?,
            "page_token" => query.after = Some(page_token(&value)?),
            "tag" => {
                let (key, value) = value.split_once('=').unwrap_or((&value, ""));
                query.tags.insert(key.to_owned(), value.to_owned());
            }
            other => {
                let known = "limit, status, command, requester, release, namespace, cluster, context, chart, \
                             workspace, agent, remote, commit, branch, text, pinned, last_seen_from, last_seen_to, \
                             created_from, created_to, completed_from, completed_to, page_token, tag=k=v";
                return Err(Refusal::bad(
                    format!("no parameter {:?}", shown(other)),
                    format!("there are: {known}"),
                ));
            }
        }
    }
    Ok(query)
}

fn limit(value: &str) -> Result<usize, Refusal> {
    let limit = number("limit", value, 1..=MAX_LIST as u64)?;
    Ok(usize::try_from(limit).unwrap_or(MAX_LIST))
}

fn status(value: &str) -> Result<Status, Refusal> {
    let found = Status::ALL.into_iter().find(|status| status.word() == value.to_ascii_lowercase());
    let words = Status::ALL.map(Status::word).join(", ");
    found.ok_or_else(|| Refusal::bad(format!("no status {:?}", shown(value)), format!("there are: {words}")))
}

fn flag(value: &str) -> Result<bool, Refusal> {
    value
        .parse()
        .map_err(|_| Refusal::bad(format!("pinned {:?} is no answer", shown(value)), "use true or false"))
}

/// Nanoseconds since 1970; 0 is open.
fn moment(name: &str, value: &str) -> Result<Timestamp, Refusal> {
    let nanos = number(name, value, 0..=i64::MAX.unsigned_abs())?;
    Ok(Timestamp(i64::try_from(nanos).unwrap_or(i64::MAX)))
}

fn page_token(value: &str) -> Result<PageToken, Refusal> {
    value.parse().map_err(|error: InvalidToken| {
        Refusal::bad(format!("page_token: {error}"), "use next_page_token of the page before")
    })
}
