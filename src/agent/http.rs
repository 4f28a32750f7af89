//! HTTP for browsers and scripts: sessions as JSON, their frames as lines and as events, and the page.
//!
//! Errors are JSON, `{"error", "next"}`: what went wrong and what to do; those of the public gateway below
//! `/api/v1/mirror/` are its clients' plain text. Which other page may read is decided at the door.

mod asked;
mod browser;
mod error;
mod events;
mod export;
mod health;
mod json;
mod mirror;
mod openapi;
mod pace;
mod page;
mod sessions;
mod stream;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use tokio_util::sync::CancellationToken;
use tower_http::{set_header::SetResponseHeaderLayer, timeout::RequestBodyTimeoutLayer};

use self::page::Page;
pub use self::{
    error::Refusal,
    health::{Readiness, count_refusals},
};
pub(crate) use self::{json::to_json, mirror::is_public};
use crate::{auth::Browsers, journal::Journal};

/// How long the body of a request may pause: anybody can begin one.
const BODY: Duration = Duration::from_secs(10);

/// What the routes work with. Cheap to clone.
#[derive(Clone)]
pub struct Web {
    /// The sessions.
    pub journal: Journal,
    /// Codes and cookies.
    pub browsers: Browsers,
    /// Where browsers reach this agent, without a path.
    pub base: Arc<str>,
    /// Cancelled when the agent stops: streams end.
    pub stop: CancellationToken,
    /// Whether the store takes writes.
    pub readiness: Readiness,
}

/// All routes below `/`, but for gRPC and what is found nowhere.
pub fn routes(web: Web) -> Router {
    let page = Page::embedded();
    let state = web;
    let own = table().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    own.method_not_allowed_fallback(wrong_method)
        .merge(mirror::routes())
        .with_state(state)
        .merge(page.routes())
}

/// Our own routes. Each of them is in the `OpenAPI` document.
fn table() -> [(&'static str, MethodRouter<Web>); 10] {
    [
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
        ("/api/v1/openapi.json", get(openapi::document)),
        ("/api/v1/sessions", get(sessions::list)),
        ("/api/v1/sessions/{id}", get(sessions::detail)),
        ("/api/v1/sessions/{id}/export", get(export::export)),
        ("/api/v1/sessions/{id}/events", get(events::events)),
        ("/api/v1/stream", get(stream::events)),
        ("/api/v1/auth/code", post(browser::redeem).layer(RequestBodyTimeoutLayer::new(BODY))),
    ]
}

/// Headers of every answer: nothing is cached, guessed, framed or told to others.
pub fn harden(router: Router) -> Router {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    headers.into_iter().fold(router, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    })
}

/// The answer where there is no route: gRPC clients get theirs.
pub async fn nowhere(headers: HeaderMap, uri: Uri) -> Response {
    if is_grpc(&headers) {
        let path = uri.path();
        return tonic::Status::unimplemented(format!("this agent has no method {path}")).into_http();
    }
    let next = "sessions are at /api/v1/sessions and, for browsers, at /";
    Refusal::new(StatusCode::NOT_FOUND, format!("nothing is at {}", uri.path()), next).into_response()
}

/// The answer to everything on a connection beyond the limit of this agent.
pub fn full(limit: usize) -> Router {
    Router::new().fallback(move |headers: HeaderMap| async move {
        let plural = if limit == 1 { "" } else { "s" };
        let error = format!("this agent has reached its limit of {limit} connection{plural}");
        let next = "close those that are not needed, or try again in a few seconds";
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error, next);
        let close = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "5")];
        if is_grpc(&headers) { refusal.into_status().into_http() } else { (close, refusal).into_response() }
    })
}

async fn wrong_method() -> Refusal {
    let next = "read with GET; sessions are changed through gRPC";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not served here", next)
}

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content.is_some_and(|content| content.starts_with("application/grpc"))
}

/// The answer to a route that panicked. Without it the connection would break, which says nothing.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    let next = "this is a bug: report it with the agent's log";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the agent failed on this request", next).into_response()
}
