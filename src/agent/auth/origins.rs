//! Pages of other origins that may read here, because whoever runs the agent named them.
//!
//! They read with the token and with nothing else: no cookie of a browser counts for them, and no answer says that one
//! would. `*` is no origin.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, header};

/// What a page may ask with.
const METHODS: &str = "GET, HEAD";
const SEND: &str = "authorization, x-ktl-token, last-event-id, if-none-match, cache-control";
/// What a page may see of an answer, besides what it always may.
const SEE: &str = "etag, content-disposition, retry-after";

/// The origins, none by default. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Origins(Arc<[String]>);

/// A text that is no origin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one origin, http://HOST[:PORT] or https://HOST[:PORT], and never *")]
pub struct InvalidOrigin;

impl Origins {
    /// Reads what was typed, each the exact origin of a page.
    pub fn parse(texts: &[String]) -> Result<Self, (String, InvalidOrigin)> {
        let one = |text: &String| origin(text).ok_or_else(|| (text.clone(), InvalidOrigin));
        texts.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The origin of these headers, when it is one of them.
    pub fn named(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.0.iter().any(|known| known == text).then(|| origin.clone())
    }
}

/// As browsers write it: in small letters, without the port that goes without saying.
fn origin(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, usual) = [("http://", ":80"), ("https://", ":443")]
        .into_iter()
        .find(|(scheme, _)| text.starts_with(scheme))?;
    let host = text.strip_prefix(scheme)?;
    let is_host = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    is_host.then(|| format!("{scheme}{}", host.strip_suffix(usual).unwrap_or(host)))
}

/// Whether a browser asks if a page may ask.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What the answer to such a page says.
pub(super) fn allow(answer: &mut HeaderMap, origin: HeaderValue) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SEE));
}

/// What it may ask with.
pub(super) fn allow_asking(answer: &mut HeaderMap) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SEND));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_exact_and_never_a_pattern() {
        assert_eq!(origin("https://UI.example.com:443/").as_deref(), Some("https://ui.example.com"));
        assert_eq!(origin("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
        for text in [
            "*",
            "https://*",
            "https://*.example.com",
            "null",
            "",
            "ui.example.com",
            "https://",
            "file://x",
            "https://a.com/path",
            "https://a.com, https://b.com",
            "https://u@a.com",
        ] {
            assert_eq!(origin(text), None, "{text}");
        }
    }
}
