//! `/api/v1/mirror/…`: the HTTP gateway of the public API, to the letter of its clients.
//!
//! Its refusals are lines of plain text, and what it does not understand in an address it passes over; ours, beside
//! it, say more. The wanted differences are in the table of `src/agent/README.md`.

mod query;
mod tail;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Extension, Path, Query, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use axum_extra::extract::cookie::Cookie;
use futures::{StreamExt as _, future::ready};

use self::query::Parameters;
use super::{Refusal, Web, browser, error::text, to_json};
use crate::{
    auth::{COOKIE, Principal, SECURE_COOKIE},
    grpc::convert,
    journal::Followed,
    session::{Cursor, Seq, Session, SessionId},
    shutdown::whole_or,
    store::StoreError,
};

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new().route("/api/v1/auth/cookie", any(cookie)).route("/api/v1/mirror/{*rest}", any(mirror))
}

/// Whether a path belongs to the public gateway.
pub(crate) fn is_public(path: &str) -> bool {
    path.starts_with("/api/v1/mirror/") || path == "/api/v1/auth/cookie"
}

/// Everything below `/api/v1/mirror/`.
async fn mirror(
    State(web): State<Web>,
    method: Method,
    Path(rest): Path<String>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let parameters = Parameters::new(parameters);
    let below = rest.strip_prefix("sessions/").map(|rest| rest.trim_matches('/'));
    let parts: Vec<&str> = below.unwrap_or_default().split('/').collect();
    let is_known = rest == "sessions"
        || matches!(parts.as_slice(), [id] | [id, "export" | "tail"] if !id.trim().is_empty());
    match method {
        Method::OPTIONS if is_known => return StatusCode::NO_CONTENT.into_response(),
        _ if !is_known => return nothing_here(),
        Method::GET => {}
        _ => return wrong_method(),
    }
    let answer = match parts.as_slice() {
        [id, "export"] => export(&web, id, &parameters).await,
        [id, "tail"] => tail::tail(&web, id, &parameters, &headers).await,
        [id] if !id.is_empty() => detail(&web, id).await,
        _ => list(&web, &parameters).await,
    };
    answer.unwrap_or_else(Refusal::into_text)
}

async fn list(web: &Web, parameters: &Parameters) -> Result<Response, Refusal> {
    let page = web.journal.list(&parameters.sessions()).await?;
    Ok(json(to_json("ktl.api.v1.MirrorListSessionsResponse", &convert::mirror_list(page.sessions))))
}

async fn detail(web: &Web, id: &str) -> Result<Response, Refusal> {
    let session = find(web, &SessionId::parse(id)?).await?;
    let session = session.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "session not found", ""))?;
    Ok(json(to_json("ktl.api.v1.MirrorSession", &convert::mirror_session(session))))
}

/// Every frame from a number on, one on each line. A session that is not there has none.
async fn export(web: &Web, id: &str, parameters: &Parameters) -> Result<Response, Refusal> {
    let id = SessionId::parse(id)?;
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8")];
    let Some(session) = find(web, &id).await? else { return Ok((headers, "").into_response()) };
    let from = parameters.first_sequence();
    let before = Seq(from - 1).min(session.head);
    let recorded = web.journal.recorded(&id, Cursor { epoch: session.epoch, seq: before });
    let stopping = || StoreError::Busy("the agent is stopping: export again in a moment".to_owned());
    let lines = whole_or(recorded, web.stop.clone(), stopping).filter_map(move |item| {
        ready(match item {
            Ok(Followed::Frame(frame)) if frame.seq.0 >= from => {
                let mut line = to_json("ktl.api.v1.MirrorFrame", &convert::mirror_frame(frame, &id));
                line.push('\n');
                Some(Ok(Bytes::from(line)))
            }
            Ok(_) => None,
            // The head of the answer is long gone: a body that breaks off is how HTTP says it is not whole.
            Err(error) => Some(Err(error)),
        })
    });
    Ok((headers, Body::from_stream(lines)).into_response())
}

async fn find(web: &Web, id: &SessionId) -> Result<Option<Session>, Refusal> {
    Ok(web.journal.session(id).await?)
}

/// `POST /api/v1/auth/cookie`: a browser that has the token gets a cookie for its `EventSource`. The cookie is a
/// random name for that browser, and never the token. `DELETE` takes it away.
async fn cookie(State(web): State<Web>, method: Method, principal: Option<Extension<Principal>>) -> Response {
    let is_secure = web.base.starts_with("https://");
    match method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        Method::POST => match principal {
            // Without a token everybody is in already.
            Some(Extension(Principal::Token)) => browser::let_in(&web, web.browsers.admit()),
            _ => StatusCode::NO_CONTENT.into_response(),
        },
        Method::DELETE => {
            let name = if is_secure { SECURE_COOKIE } else { COOKIE };
            let mut gone = Cookie::build((name, "")).path("/").http_only(true).secure(is_secure).build();
            gone.make_removal();
            (StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone.to_string())]).into_response()
        }
        _ => wrong_method(),
    }
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

fn nothing_here() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

fn wrong_method() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
}
