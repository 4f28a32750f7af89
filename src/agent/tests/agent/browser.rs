//! A browser's way in, and who is kept out.

use ktl_proto::control::v1::MintCodeRequest;

use crate::support::{Agent, Answer, Data, frame, publish};

async fn redeem(agent: &Agent, session: &str, code: &str) -> Answer {
    let body = serde_json::json!({ "session_id": session, "code": code }).to_string();
    agent.http("POST /api/v1/auth/code", &[("content-type", "application/json")], &body).await
}

#[tokio::test]
async fn a_link_lets_one_browser_in_once() {
    let data = Data::new();
    let agent = Agent::start(&data);
    publish(&mut agent.mirror().await, vec![frame("s", "one")]).await.unwrap();
    let request = MintCodeRequest { session_id: "s".into() };
    let url = agent.agent().await.mint_code(request).await.unwrap().into_inner().url;
    let (page, code) = url.split_once("#k=").unwrap();
    assert_eq!(page, format!("http://127.0.0.1:{}/s/s", agent.port));

    let html = agent.http("GET /s/s", &[], "").await;
    assert!(html.status == 200 && html.body.starts_with("<!doctype html>"));
    assert!(html.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert_eq!(agent.http("GET /api/v1/sessions/s", &[], "").await.status, 401);

    let answer = redeem(&agent, "s", code).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict") && cookie.contains("path=/"));
    assert!(!answer.head.contains(crate::support::TOKEN));

    let again = redeem(&agent, "s", code).await;
    assert_eq!(again.status, 401);
    assert!(
        again.body.contains("ktl.openReplay") && again.body.contains("ktl-lsp attach s"),
        "{}",
        again.body
    );
}

#[tokio::test]
async fn a_browser_with_a_cookie_reads_data_and_streams_from_our_page_only() {
    let data = Data::new();
    let agent = Agent::start(&data);
    publish(&mut agent.mirror().await, vec![frame("s", "one")]).await.unwrap();
    let url = agent.agent().await.mint_code(MintCodeRequest::default()).await.unwrap().into_inner().url;
    let body = serde_json::json!({ "code": url.split_once("#k=").unwrap().1 }).to_string();
    // Cookie values are case-sensitive, so this reads the raw header.
    let raw = raw_cookie(&agent, &body).await;
    let cookie = ("cookie", raw.as_str());
    assert_eq!(agent.http("GET /api/v1/sessions/s", &[cookie], "").await.status, 200);
    let events = "GET /api/v1/sessions/s/events";
    assert_eq!(agent.http(events, &[cookie], "").await.status, 403);
    let evil = ("origin", "http://evil.example.com");
    assert_eq!(agent.http(events, &[cookie, evil], "").await.status, 403);
    assert_eq!(
        agent.http("GET /api/v1/sessions", &[cookie, ("sec-fetch-site", "cross-site")], "").await.status,
        403
    );
    assert_eq!(
        agent.http("GET /api/v1/sessions", &[cookie, ("host", "evil.example.com")], "").await.status,
        421
    );
}

/// What serves gRPC does not look at the content type, and a page can send some of these without asking first.
#[tokio::test]
async fn a_browser_with_a_cookie_calls_no_service_whatever_it_says_that_it_sends() {
    let data = Data::new();
    let agent = Agent::start(&data);
    publish(&mut agent.mirror().await, vec![frame("s", "one")]).await.unwrap();
    let url = agent.agent().await.mint_code(MintCodeRequest::default()).await.unwrap().into_inner().url;
    let body = serde_json::json!({ "code": url.split_once("#k=").unwrap().1 }).to_string();
    let cookie = raw_cookie(&agent, &body).await;
    let origin = format!("http://127.0.0.1:{}", agent.port);
    // An empty message in its frame, which is a valid request of all of these.
    let empty = "\0\0\0\0\0";
    let services = [
        "ktl.control.v1.SessionService/List",
        "ktl.control.v1.OperationService/Start",
        "ktl.control.v1.OperationService/Cancel",
        "ktl.control.v1.AgentService/MintCode",
        "ktl.api.v1.MirrorService/ListSessions",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ];
    let contents = [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/json",
        "Application/GRPC",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/grpc",
        "",
    ];
    for service in services {
        for content in contents {
            for method in ["POST", "GET"] {
                let headers = [
                    ("cookie", cookie.as_str()),
                    ("origin", &origin),
                    ("content-type", content),
                    ("te", "trailers"),
                ];
                let answer = agent.http(&format!("{method} /{service}"), &headers, empty).await;
                let is_refused = answer.status == 403 || answer.header("grpc-status") == Some("7");
                assert!(is_refused, "{method} {service} as {content:?}: {answer:?}");
            }
        }
    }
    // The same request of one who has the token is served.
    let headers =
        [("x-ktl-token", crate::support::TOKEN), ("content-type", "application/grpc"), ("te", "trailers")];
    let answer = agent.http(&format!("POST /{}", services[0]), &headers, empty).await;
    assert!(answer.status == 200 && answer.body.contains("/s/s"), "{answer:?}");
}

#[tokio::test]
async fn a_page_of_another_origin_reads_only_where_it_was_named() {
    let data = Data::new();
    let agent = Agent::start_with(&data, &["--allow-origin", "https://ui.example.com/"]);
    publish(&mut agent.mirror().await, vec![frame("s", "one")]).await.unwrap();
    let (page, stranger) = (("origin", "https://ui.example.com"), ("origin", "https://evil.example.com"));
    let (token, asks) =
        (("authorization", "Bearer a-token-for-tests"), ("access-control-request-method", "GET"));
    let path = "/api/v1/sessions/s";
    let preflight = agent.http(&format!("OPTIONS {path}"), &[page, asks], "").await;
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
    for (headers, status) in [(vec![page, token], 200), (vec![page], 401)] {
        let answer = agent.http(&format!("GET {path}"), &headers, "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(page.1)));
        assert_eq!(answer.header("vary"), Some("origin"));
        assert!(answer.header("access-control-allow-credentials").is_none());
    }
    for headers in [vec![stranger, token], vec![stranger, asks], vec![token]] {
        let method = if headers.contains(&asks) { "OPTIONS" } else { "GET" };
        let answer = agent.http(&format!("{method} {path}"), &headers, "").await;
        assert!(answer.header("access-control-allow-origin").is_none(), "{answer:?}");
        assert_eq!(answer.header("vary"), Some("origin"), "what is kept for one is not for all");
    }
}

async fn raw_cookie(agent: &Agent, body: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap();
    let head = format!(
        "POST /api/v1/auth/code HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        agent.port,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_code_that_was_never_minted_and_a_broken_body_are_told_apart() {
    let data = Data::new();
    let agent = Agent::start(&data);
    assert_eq!(redeem(&agent, "s", "guess").await.status, 401);
    let json = [("content-type", "application/json")];
    assert_eq!(agent.http("POST /api/v1/auth/code", &json, "{").await.status, 400);
    assert_eq!(agent.http("POST /api/v1/auth/code", &[], "{\"code\":\"x\"}").await.status, 400);
}
