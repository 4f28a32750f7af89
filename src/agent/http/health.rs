//! Whether the agent lives, whether it can work, and what it measures.
//!
//! The first two are open to all, as what asks them has no secret: they say yes or no and name no session. The
//! measures are behind the door, as reading is. An agent that still takes over what the last one left answers nothing
//! yet: connections wait until it has, so a probe of it runs into its time limit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::Mutex;

use super::{Refusal, Web};
use crate::metrics::{Metrics, Protocol};

/// How long an answer about the store holds. Everybody may ask, and each real answer is a write to the disk.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer about the store, for all who ask at once.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Answer>>>);

struct Answer {
    at: Instant,
    /// Why nothing could be stored then; `None` when a commit went through.
    trouble: Option<String>,
}

impl Readiness {
    /// Why nothing can be stored now; `None` when a commit went through.
    async fn trouble(&self, web: &Web) -> Option<String> {
        let mut last = self.0.lock().await;
        match &*last {
            Some(Answer { at, trouble }) if at.elapsed() < FRESH => trouble.clone(),
            _ => {
                let trouble = web.journal.probe().await.err().map(|error| error.to_string());
                *last = Some(Answer { at: Instant::now(), trouble: trouble.clone() });
                trouble
            }
        }
    }
}

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: work may be sent here. 503 while the store takes no writes, and once the agent stops.
pub(super) async fn ready(State(web): State<Web>) -> Result<&'static str, Refusal> {
    let unready = |error: &str, next: &str| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error, next);
    if web.stop.is_cancelled() {
        return Err(unready("the agent is stopping", "ask again when it has been started"));
    }
    match web.readiness.trouble(&web).await {
        None => Ok("ok\n"),
        Some(why) => {
            tracing::warn!(%why, "not ready");
            // The reason names a path of this machine, and the door is open here.
            Err(unready(
                "the store takes no writes",
                "see the agent's log; recorded sessions can still be read",
            ))
        }
    }
}

/// `GET /metrics`, in the text format of `OpenMetrics`.
pub(super) async fn metrics(State(web): State<Web>) -> Result<Response, Refusal> {
    let (stock, lag) = (web.journal.stock().await?, web.journal.lag().await?);
    let text = web.journal.metrics().text(&stock, lag);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Counts what is refused, whoever refuses it.
pub async fn count_refusals(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    let grpc = answer.headers().get("grpc-status").and_then(|code| code.to_str().ok()?.parse::<u8>().ok());
    match grpc {
        Some(0) => {}
        Some(code) => metrics.refused(Protocol::Grpc, code),
        None if answer.status().as_u16() >= 400 => metrics.refused(Protocol::Http, answer.status().as_u16()),
        None => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{auth::Browsers, http::routes, journal::Journal, mask::MarkKey, store::sqlite::SqliteStore};

    #[tokio::test]
    async fn an_agent_that_cannot_store_or_stops_is_not_ready_and_lives() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&home.path().join("sessions.db")).unwrap();
        let journal = Journal::new(Arc::new(store), MarkKey::random());
        let (base, stop) = ("http://127.0.0.1:1".into(), CancellationToken::new());
        let (browsers, readiness) = (Browsers::default(), Readiness::default());
        let web = Web { journal, browsers, base, stop, readiness };
        let ask = async |path: &str, web: &Web| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            routes(web.clone()).oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(ask("/readyz", &web).await, 200);
        web.journal.close().await.unwrap();
        assert_eq!(ask("/readyz", &web).await, 200, "the last answer holds for a moment");
        tokio::time::sleep(FRESH).await;
        assert_eq!((ask("/readyz", &web).await, ask("/healthz", &web).await), (503, 200));
        let other = Web { readiness: Readiness::default(), ..web.clone() };
        web.stop.cancel();
        assert_eq!((ask("/readyz", &other).await, ask("/healthz", &other).await), (503, 200));
    }
}
