//! The layer in front of every route, gRPC and HTTP alike.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{Browsers, Denied, Hosts, Origins, Principal, Token, expires, origins, principal};
use crate::http::{Refusal, is_grpc, is_public};

/// What the layer has to know.
#[derive(Clone)]
pub struct Door {
    /// Our names.
    pub hosts: Hosts,
    /// The token; none only on loopback.
    pub token: Option<Token>,
    /// Browsers that are in.
    pub browsers: Browsers,
    /// Other pages that may read.
    pub origins: Origins,
}

/// Lets a request through, with its [`Principal`] in the extensions, or says why not.
pub async fn guard(State(door): State<Door>, request: Request<Body>, next: Next) -> Response {
    let origin = door.origins.named(request.headers());
    let is_preflight = origins::is_preflight(request.method(), request.headers());
    let mut answer = match door.check_host(&request) {
        Ok(()) if origin.is_some() && is_preflight => {
            let mut answer = StatusCode::NO_CONTENT.into_response();
            origins::allow_asking(answer.headers_mut());
            answer
        }
        _ => door.answer(request, next).await,
    };
    if !door.origins.is_empty() {
        answer.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        origins::allow(answer.headers_mut(), origin);
    }
    answer
}

fn into_extensions(principal: Principal) -> axum::http::Extensions {
    let mut extensions = axum::http::Extensions::new();
    extensions.insert(principal);
    extensions
}

impl Door {
    /// The answer of whoever is behind the door, or why nobody was asked.
    async fn answer(&self, mut request: Request<Body>, next: Next) -> Response {
        match self.admit(&request) {
            Ok(principal) => {
                let expires = match principal {
                    Some(Principal::Browser) => expires(request.headers(), &self.browsers),
                    _ => None,
                };
                let extensions = request.extensions_mut();
                extensions.extend(principal.map(into_extensions).unwrap_or_default());
                if let Some(expires) = expires {
                    extensions.insert(expires);
                }
                next.run(request).await
            }
            Err(refusal) if is_grpc(request.headers()) => refusal.into_status().into_http(),
            Err(refusal) if is_public(request.uri().path()) => refusal.into_text(),
            Err(refusal) => refusal.into_response(),
        }
    }

    /// Who asks, or `None` on routes that are open to all.
    fn admit(&self, request: &Request<Body>) -> Result<Option<Principal>, Refusal> {
        let headers = request.headers();
        self.check_host(request)?;
        let principal = principal(headers, self.token.as_ref(), &self.browsers);
        let is_stream = ["/events", "/tail", "/stream"].iter().any(|end| request.uri().path().ends_with(end));
        let is_safe = request.method() == Method::GET || request.method() == Method::HEAD;
        if self.origins.named(headers).is_some() {
            return named_page(is_safe && !is_open(request), principal).map(Some);
        }
        self.check_origin(headers, is_safe && !is_stream, &principal)?;
        if is_open(request) {
            return Ok(principal.ok());
        }
        let principal = principal.map_err(denied)?;
        // A browser was let in to read; what runs and ends things needs the token. Told by method and path: gRPC is
        // served whatever the content type says.
        let reads =
            is_safe && (request.uri().path().starts_with("/api/v1/") || request.uri().path() == "/metrics");
        if principal == Principal::Browser && !reads {
            let next = "call with `authorization: Bearer TOKEN`";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "a browser's session may only read", next));
        }
        Ok(Some(principal))
    }

    fn check_host(&self, request: &Request<Body>) -> Result<(), Refusal> {
        let sent = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(axum::http::uri::Authority::as_str).or(sent).unwrap_or("");
        if self.hosts.allow(host) {
            return Ok(());
        }
        let shown: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
        let error = format!("this agent is not reached as {shown:?}");
        let next = "use the address of its ready line, or start it with --public-url";
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error, next))
    }

    /// Refuses what a browser sends on behalf of another page. A cookie alone is not enough for what changes
    /// something or stays open: the browser then has to say that the page is ours.
    fn check_origin(
        &self,
        headers: &HeaderMap,
        is_plain_read: bool,
        principal: &Result<Principal, Denied>,
    ) -> Result<(), Refusal> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let origin = text("origin");
        let site = text("sec-fetch-site");
        let other_origin = origin.is_some_and(|origin| !self.hosts.allow_origin(origin));
        let other_site = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
        // Following a link from elsewhere to a page is what links are for; the page holds no data.
        let is_navigation = is_plain_read && text("sec-fetch-mode") == Some("navigate") && origin.is_none();
        let unproven = matches!(principal, Ok(Principal::Browser))
            && !is_plain_read
            && origin.is_none()
            && site != Some("same-origin");
        if other_origin || (other_site && !is_navigation) || unproven {
            let next = "open the session on the agent's own page, or send the token from a program";
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "a page of another origin may not ask this agent",
                next,
            ));
        }
        Ok(())
    }
}

/// A page of another origin that was named reads, with the token: a cookie is for our own page.
fn named_page(reads: bool, principal: Result<Principal, Denied>) -> Result<Principal, Refusal> {
    let forbidden = |error, next| Err(Refusal::new(StatusCode::FORBIDDEN, error, next));
    match principal.map_err(denied)? {
        Principal::Browser => {
            let next = "send `authorization: Bearer TOKEN`, and no credentials of the browser";
            forbidden("a cookie does not count for a page of another origin", next)
        }
        _ if !reads => {
            forbidden("a page of another origin may only read", "use GET on an address below /api/v1/")
        }
        principal => Ok(principal),
    }
}

/// The page holds no data, and the code is what lets a browser in.
fn is_open(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    let is_page =
        path == "/" || path.starts_with("/s/") || ["/healthz", "/readyz", "/favicon.ico"].contains(&path);
    let enters = path == "/api/v1/auth/code" && request.method() == Method::POST;
    // A browser may always leave, and clients of the public gateway ask for its methods without their token.
    let leaves = path == "/api/v1/auth/cookie" && request.method() == Method::DELETE;
    is_page || enters || leaves || (is_public(path) && request.method() == Method::OPTIONS)
}

fn denied(denied: Denied) -> Refusal {
    let next = "go back to your editor and run ktl.openReplay for a fresh link, or use `ktl-lsp attach ID` in a \
                terminal; a program sends `authorization: Bearer TOKEN`";
    Refusal::new(StatusCode::UNAUTHORIZED, denied.to_string(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(token: Option<&str>) -> Door {
        let hosts = Hosts::new(&["127.0.0.1:7443".parse().unwrap()], None);
        let origins = Origins::parse(&["https://ui.example.com".to_owned()]).unwrap();
        Door { hosts, token: token.and_then(Token::new), browsers: Browsers::default(), origins }
    }

    fn ask(
        door: &Door,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Option<Principal>, StatusCode> {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7443");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        door.admit(&request.body(Body::empty()).unwrap()).map_err(|refusal| refusal.status)
    }

    #[test]
    fn another_host_is_refused_before_anything_else() {
        let request =
            Request::builder().uri("/healthz").header("host", "evil.example.com").body(Body::empty());
        let refusal = door(None).admit(&request.unwrap()).unwrap_err();
        assert_eq!(refusal.status, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(ask(&door(None), "GET", "/healthz", &[]), Ok(Some(Principal::Anonymous)));
    }

    #[test]
    fn another_page_is_refused_even_without_a_token() {
        let open = door(None);
        for headers in [
            [("origin", "http://evil.example.com"), ("accept", "*/*")],
            [("origin", "null"), ("accept", "*/*")],
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")],
        ] {
            let answer = ask(&open, "GET", "/api/v1/sessions", &headers);
            assert_eq!(answer, Err(StatusCode::FORBIDDEN), "{headers:?}");
        }
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert_eq!(ask(&open, "GET", "/s/x", &link), Ok(Some(Principal::Anonymous)));
        assert_eq!(ask(&open, "POST", "/api/v1/auth/code", &link), Err(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_cookie_opens_a_stream_only_for_a_page_of_ours() {
        let door = door(Some("s3cret"));
        let code = door.browsers.mint(None).code;
        let crate::auth::Redeemed::Cookie(id) = door.browsers.redeem(None, &code) else { panic!("refused") };
        let cookie = format!("{}={id}", crate::auth::COOKIE);
        let stream = "/api/v1/sessions/x/events";
        let with =
            |more: (&'static str, &'static str)| ask(&door, "GET", stream, &[("cookie", &cookie), more]);
        assert_eq!(with(("sec-fetch-site", "same-origin")), Ok(Some(Principal::Browser)));
        assert_eq!(with(("origin", "http://127.0.0.1:7443")), Ok(Some(Principal::Browser)));
        assert_eq!(with(("accept", "*/*")), Err(StatusCode::FORBIDDEN));
        assert_eq!(
            ask(&door, "GET", "/api/v1/sessions", &[("cookie", &cookie)]),
            Ok(Some(Principal::Browser))
        );
        assert_eq!(ask(&door, "GET", stream, &[("x-ktl-token", "s3cret")]), Ok(Some(Principal::Token)));
        let grpc =
            [("cookie", &*cookie), ("sec-fetch-site", "same-origin"), ("content-type", "application/grpc")];
        let call = "/ktl.control.v1.OperationService/Cancel";
        assert_eq!(ask(&door, "POST", call, &grpc), Err(StatusCode::FORBIDDEN));
    }

    /// What serves gRPC does not look at the content type, so neither may what refuses it.
    #[test]
    fn a_cookie_reads_and_nothing_else() {
        let door = door(Some("s3cret"));
        let code = door.browsers.mint(None).code;
        let crate::auth::Redeemed::Cookie(id) = door.browsers.redeem(None, &code) else { panic!("refused") };
        for (name, content) in [("ktl_session", "text/plain"), ("__Host-ktl_session", "application/json")] {
            let cookie = format!("{name}={id}");
            let with = |method, path| {
                let headers =
                    [("cookie", &*cookie), ("sec-fetch-site", "same-origin"), ("content-type", content)];
                ask(&door, method, path, &headers)
            };
            assert_eq!(with("GET", "/api/v1/sessions"), Ok(Some(Principal::Browser)));
            let call = "/ktl.control.v1.OperationService/Cancel";
            assert_eq!(with("POST", call), Err(StatusCode::FORBIDDEN));
            assert_eq!(with("GET", call), Err(StatusCode::FORBIDDEN));
            assert_eq!(with("DELETE", "/api/v1/sessions/x"), Err(StatusCode::FORBIDDEN));
            assert_eq!(with("POST", "/api/v1/auth/code"), Ok(Some(Principal::Browser)));
        }
    }

    #[test]
    fn a_page_that_was_named_reads_with_the_token_and_nothing_else() {
        let door = door(Some("s3cret"));
        let code = door.browsers.mint(None).code;
        let crate::auth::Redeemed::Cookie(id) = door.browsers.redeem(None, &code) else { panic!("refused") };
        let cookie = format!("{}={id}", crate::auth::COOKIE);
        let page = ("origin", "https://ui.example.com");
        let token = ("authorization", "Bearer s3cret");
        let path = "/api/v1/sessions/x/events";
        assert_eq!(ask(&door, "GET", path, &[page, token]), Ok(Some(Principal::Token)));
        assert_eq!(ask(&door, "GET", path, &[page]), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(ask(&door, "GET", path, &[page, ("cookie", &cookie)]), Err(StatusCode::FORBIDDEN));
        let own = ("sec-fetch-site", "same-site");
        assert_eq!(ask(&door, "GET", path, &[page, own, ("cookie", &cookie)]), Err(StatusCode::FORBIDDEN));
        for (method, path) in [
            ("POST", "/ktl.control.v1.OperationService/Start"),
            ("DELETE", "/api/v1/sessions/x"),
            ("POST", "/api/v1/auth/code"),
        ] {
            assert_eq!(
                ask(&door, method, path, &[page, token]),
                Err(StatusCode::FORBIDDEN),
                "{method} {path}"
            );
        }
        for origin in
            ["https://ui.example.com.evil.com", "http://ui.example.com", "https://ui.example.com:444", "*"]
        {
            let asked = ask(&door, "GET", path, &[("origin", origin), token]);
            assert_eq!(asked, Err(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    #[test]
    fn data_needs_a_principal_and_the_page_does_not() {
        let door = door(Some("s3cret"));
        assert_eq!(ask(&door, "GET", "/api/v1/sessions", &[]), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(
            ask(&door, "POST", "/ktl.control.v1.SessionService/List", &[]),
            Err(StatusCode::UNAUTHORIZED)
        );
        assert_eq!(ask(&door, "GET", "/s/x", &[]), Ok(None));
        assert_eq!(ask(&door, "POST", "/api/v1/auth/code", &[]), Ok(None));
    }
}
