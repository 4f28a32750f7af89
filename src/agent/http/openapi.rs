//! The description of everything that is served over HTTP, for programs. Tests hold it against the router, both ways.

use axum::{
    http::header,
    response::{IntoResponse as _, Response},
};

use super::{Refusal, asked::Asked};

const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /api/v1/openapi.json`
pub(super) async fn document(asked: Asked) -> Result<Response, Refusal> {
    asked.only(&[])?;
    Ok(([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response())
}

#[cfg(test)]
mod tests;
