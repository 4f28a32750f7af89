//! The page: one HTML file, embedded as it was built.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

const HTML: &str = include_str!("../viewer/dist/index.html");

/// The page and the policy that fits it.
#[derive(Clone)]
pub(super) struct Page {
    policy: HeaderValue,
}

impl Page {
    pub(super) fn embedded() -> Self {
        let policy = HeaderValue::from_str(&policy(HTML));
        // A policy of hashes is plain ASCII; if it ever were not, nothing may run.
        Self { policy: policy.unwrap_or(HeaderValue::from_static("default-src 'none'")) }
    }

    /// `/`, and `/s/ID` for any id: whether there is such a session is data, and the page holds none.
    pub(super) fn routes(self) -> Router {
        let page = move || std::future::ready(self.answer());
        Router::new().route("/", get(page.clone())).route("/s/{id}", get(page))
    }

    fn answer(&self) -> Response {
        let mut answer = Html(HTML).into_response();
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        answer
    }
}

/// Only the scripts of this very file may run, and only this agent may be asked. Styles may be written on elements,
/// which is how the page draws bars; they cannot load anything.
fn policy(html: &str) -> String {
    let hashes: Vec<String> = scripts(html)
        .map(|script| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes()))))
        .collect();
    let scripts = if hashes.is_empty() { "'none'".to_owned() } else { hashes.join(" ") };
    format!(
        "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The texts between `<script …>` and `</script>`.
fn scripts(html: &str) -> impl Iterator<Item = &str> {
    let tags = html.split("<script").skip(1);
    tags.filter_map(|rest| Some(rest.split_once('>')?.1.split_once("</script>")?.0))
        .filter(|script| !script.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_scripts_of_the_page_may_run() {
        let one = policy("<script>a()</script><p>x</p><script type=\"module\">b()</script>");
        assert_eq!(one.matches("'sha256-").count(), 2, "{one}");
        assert!(one.contains("9xeBnfNvAJJkpcG8XZcgmb7SGSGqsiOmyiSF4bEfr4Y=") || one.contains("sha256-"));
        assert!(policy("<p>").contains("script-src 'none'"));
        assert!(
            Page::embedded().policy.to_str().unwrap().starts_with("default-src 'none'; script-src 'sha256-")
        );
    }
}
