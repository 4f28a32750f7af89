//! A code for a cookie.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::{Refusal, Web};
use crate::{
    auth::{COOKIE, Redeemed, SECURE_COOKIE},
    session::SessionId,
};

/// The body of `POST /api/v1/auth/code`. An empty session is the list of all.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    session_id: String,
    code: String,
}

pub(super) async fn redeem(
    State(web): State<Web>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<Response, Refusal> {
    let expected = "send {\"session_id\": \"…\", \"code\": \"…\"} as application/json";
    let Json(asked) = asked.map_err(|error| Refusal::bad(error.body_text(), expected))?;
    let page = match asked.session_id.as_str() {
        "" => None,
        id => Some(SessionId::parse(id)?),
    };
    match web.browsers.redeem(page.as_ref(), &asked.code) {
        Redeemed::Cookie(id) => Ok(let_in(&web, id)),
        Redeemed::Refused => Err(refused(page.as_ref())),
    }
}

/// The answer that gives a browser its cookie.
pub(super) fn let_in(web: &Web, id: String) -> Response {
    let secure = web.base.starts_with("https://");
    let cookie = Cookie::build((if secure { SECURE_COOKIE } else { COOKIE }, id))
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Strict)
        .build();
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie.to_string())]).into_response()
}

fn refused(page: Option<&SessionId>) -> Refusal {
    let attach = page.map_or_else(|| "ktl-lsp sessions list".to_owned(), |id| format!("ktl-lsp attach {id}"));
    let next = format!("go back to your editor and run ktl.openReplay, or run `{attach}` in a terminal");
    Refusal::new(StatusCode::UNAUTHORIZED, "this link was used already, or is older than 60 seconds", next)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};
    use tokio::time::{Duration, advance};
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{auth::Browsers, http::routes, journal::Journal, mask::MarkKey, store::sqlite::SqliteStore};

    async fn ask(web: &Web, page: &SessionId, code: &str) -> (StatusCode, String) {
        let body = serde_json::json!({ "session_id": page.as_str(), "code": code }).to_string();
        let request = Request::post("/api/v1/auth/code").header("content-type", "application/json");
        let answer = routes(web.clone()).oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_older_than_a_minute_is_refused_with_the_ways_in() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&home.path().join("sessions.db")).unwrap();
        let journal = Journal::new(std::sync::Arc::new(store), MarkKey::random());
        let (browsers, stop) = (Browsers::default(), CancellationToken::new());
        let (base, readiness) = ("http://127.0.0.1:1".into(), crate::http::Readiness::default());
        let web = Web { journal, browsers: browsers.clone(), base, stop, readiness };
        let page = SessionId::mint();
        let (soon, late) = (browsers.mint(Some(page.clone())).code, browsers.mint(Some(page.clone())).code);
        advance(Duration::from_secs(59)).await;
        assert_eq!(ask(&web, &page, &soon).await, (StatusCode::NO_CONTENT, String::new()));
        advance(Duration::from_secs(1)).await;
        let (status, said) = ask(&web, &page, &late).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        for words in ["older than 60 seconds", "ktl.openReplay", &format!("ktl-lsp attach {page}")] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
