//! An apply that works, from the lens to the page.

use serde_json::{Value, json};

use crate::http;
use crate::story::{Helm, Story, apply, facts, verdict};

#[test]
fn an_apply_is_watched_until_its_pods_are_ready() {
    if let Some(story) = Story::begin("green", &["web"]) {
        green(&story);
    }
}

#[test]
fn an_apply_with_helm_3_is_watched_until_its_pods_are_ready() {
    if let Some(story) = Story::with_helm(Helm::V3, "green3", &["web"]) {
        green(&story);
    }
}

fn green(story: &Story) {
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web" }));
    let begin = editor.receive("$/progress", |params| params["value"]["kind"] == "begin");
    let title = begin["params"]["value"]["title"].as_str().unwrap_or_default().to_owned();
    assert!(title.contains("web") && title.contains(story.namespace.name()), "{title}");
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("done"), "{verdict}");

    let agent = story.agent();
    let session = agent.session(&started.session);
    assert_eq!(session["status"], "STATUS_DONE", "{session}");
    let frames = agent.export(&started.session);
    let first = &frames[0]["fact"]["started"];
    let kubeconfig = std::fs::read_to_string(story.kubeconfig()).unwrap();
    let kubeconfig: Value = serde_yaml::from_str(&kubeconfig).unwrap();
    let expected = (&kubeconfig["current-context"], &json!(story.namespace.name()));
    assert_eq!((&first["cluster"], &first["namespace"]), expected);
    let states: Vec<&Value> = facts(&frames, "object");
    let ready = |kind: &str| {
        states.iter().any(|state| state["object"]["kind"] == kind && state["status"] == "OBJECT_STATUS_READY")
    };
    assert!(ready("Deployment") && ready("Service") && ready("Pod"), "{states:#?}");
    let log = editor.receive("window/logMessage", |params| {
        params["message"].as_str().is_some_and(|line| line.contains("STATUS: deployed"))
    });
    assert_eq!(log["params"]["type"], 3, "helm's lines are information");
    editor.quit();
}

#[test]
fn the_link_of_a_session_opens_its_page_once_per_code() {
    let Some(story) = Story::begin("page", &["web"]) else { return };
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web" }));
    verdict(&mut editor, &started);
    let opened = editor.execute("ktl.openReplay", json!({ "sessionId": started.session }));
    let answer = editor.response(opened).expect("the replay can be opened");
    let shown = editor.receive("window/showDocument", |params| params["external"] == true);
    let url = shown["params"]["uri"].as_str().expect("a URL").to_owned();
    editor.quit();

    let (page, code) = url.split_once("#k=").expect("a code in the fragment");
    let address = story.agent().address;
    let path = page.strip_prefix(&address).expect("the agent's own address").to_owned();
    assert_eq!(path, format!("/s/{}", started.session));
    assert_eq!(answer["url"], page, "the address alone, without any code");
    let html = http::request("GET", &address, &path, &[], "");
    assert_eq!((html.status, html.body.contains("<!doctype html>")), (200, true), "{html:?}");

    let body = json!({ "session_id": started.session, "code": code }).to_string();
    let headers = [("Content-Type", "application/json"), ("Origin", address.as_str())];
    let api = format!("/api/v1/sessions/{}", started.session);
    assert_eq!(http::request("GET", &address, &api, &[], "").status, 401);
    let entered = http::request("POST", &address, "/api/v1/auth/code", &headers, &body);
    assert_eq!(entered.status, 204, "{entered:?}");
    let cookie = entered.header("set-cookie").expect("a cookie").to_owned();
    for word in ["ktl_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let session = http::request("GET", &address, &api, &[("Cookie", &cookie)], "");
    assert_eq!((session.status, session.json()["status"].clone()), (200, json!("STATUS_DONE")));

    let again = http::request("POST", &address, "/api/v1/auth/code", &headers, &body);
    assert_eq!(again.status, 401, "{again:?}");
    assert!(again.json()["next"].as_str().is_some_and(|next| !next.is_empty()), "{again:?}");
}
