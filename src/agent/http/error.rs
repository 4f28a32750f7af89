//! Refusals as HTTP says them, and as gRPC does. The one place that maps our errors to HTTP codes.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tonic::{Code, Status};

use crate::{session::InvalidId, store::StoreError};

/// An answer that is not what was asked for.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP code.
    pub status: StatusCode,
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub next: String,
}

impl Refusal {
    /// A refusal with its next step.
    pub fn new(status: StatusCode, error: impl Into<String>, next: impl Into<String>) -> Self {
        Self { status, error: error.into(), next: next.into() }
    }

    /// A parameter that means nothing.
    pub fn bad(error: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, next)
    }

    /// The same refusal for a client of the public gateway: its error, as a line of plain text.
    pub fn into_text(self) -> Response {
        text(self.status, &self.error)
    }

    /// The same refusal for a gRPC client.
    pub fn into_status(self) -> Status {
        let code = match self.status {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::MISDIRECTED_REQUEST => Code::FailedPrecondition,
            _ => Code::Internal,
        };
        // Clients of the public API compare the words for a missing and a wrong token.
        let words =
            if code == Code::Unauthenticated { self.error } else { format!("{}: {}", self.error, self.next) };
        Status::new(code, words)
    }
}

/// A line of plain text.
pub(super) fn text(status: StatusCode, line: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{line}\n")).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error, "next": self.next }))).into_response()
    }
}

impl From<InvalidId> for Refusal {
    fn from(error: InvalidId) -> Self {
        Self::bad(error.to_string(), "see /api/v1/sessions for the ids that there are")
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let (status, next) = match &error {
            StoreError::NotFound(_) => (
                StatusCode::NOT_FOUND,
                "it may have been deleted, or belong to another agent: see /api/v1/sessions",
            ),
            StoreError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "try again when it has been started"),
            StoreError::Unavailable { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "try again; the agent goes on by itself when the store is back",
            ),
            StoreError::Invalid(_) | StoreError::TooLarge { .. } => {
                (StatusCode::BAD_REQUEST, "change the request")
            }
            StoreError::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "free some space on the agent's disk"),
            StoreError::ReadOnly { .. } => {
                (StatusCode::INSUFFICIENT_STORAGE, "reads go on; see the agent's log")
            }
            StoreError::Busy(_) | StoreError::Pinned { .. } => {
                (StatusCode::CONFLICT, "try again when nothing holds the session")
            }
            other => {
                tracing::error!(error = %other, "the store failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "see the agent's log")
            }
        };
        Self::new(status, error.to_string(), next)
    }
}
