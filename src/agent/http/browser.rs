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
        Redeemed::Cookie(id) => {
            let secure = web.base.starts_with("https://");
            let cookie = Cookie::build((if secure { SECURE_COOKIE } else { COOKIE }, id))
                .path("/")
                .http_only(true)
                .secure(secure)
                .same_site(SameSite::Strict)
                .build();
            Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie.to_string())]).into_response())
        }
        Redeemed::Refused => Err(refused(page.as_ref())),
    }
}

fn refused(page: Option<&SessionId>) -> Refusal {
    let attach = page.map_or_else(|| "ktl-lsp sessions list".to_owned(), |id| format!("ktl-lsp attach {id}"));
    let next = format!("go back to your editor and run ktl.openReplay, or run `{attach}` in a terminal");
    Refusal::new(StatusCode::UNAUTHORIZED, "this link was used already, or is older than 60 seconds", next)
}
