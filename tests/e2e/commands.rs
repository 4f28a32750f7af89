//! What commands take and answer beside the plain apply of a release.

use serde_json::json;

use crate::story::{Started, Story, apply, verdict};
use crate::terminal::run;

#[test]
fn the_progress_of_a_client_that_brings_its_own_token_is_used() {
    let Some(story) = Story::begin("token", &["web", "broken-values"]) else { return };
    let mut editor = story.editor();
    let params = json!({ "command": "ktl.apply", "arguments": [{}], "workDoneToken": "mine" });
    let answer = editor.call("workspace/executeCommand", params).unwrap();
    for kind in ["begin", "end"] {
        editor.receive("$/progress", |params| params["token"] == "mine" && params["value"]["kind"] == kind);
    }
    assert!(editor.take_all("window/workDoneProgress/create").is_empty(), "no second progress");
    editor.message(answer["sessionId"].as_str().unwrap());
    editor.quit();
}

#[test]
fn a_session_of_a_terminal_is_followed_and_listed_in_the_editor() {
    let Some(story) = Story::begin("attach", &["web"]) else { return };
    let ran = run(&story, &["apply", "--session-id", "from-a-terminal"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut editor = story.editor();
    let request = editor.execute("ktl.attach", json!({ "sessionId": "from-a-terminal" }));
    let answer = editor.response(request).unwrap();
    let started = Started { session: answer["sessionId"].as_str().unwrap().to_owned(), url: String::new() };
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("done"), "{verdict}");
    editor.receive("window/logMessage", |params| {
        params["message"].as_str().is_some_and(|line| line.contains("STATUS: deployed"))
    });
    let request = editor.execute("ktl.showSessions", json!({}));
    editor.response(request).unwrap();
    editor.message("1 session");
    editor.quit();
}

#[test]
fn a_session_id_that_cannot_be_one_is_refused_in_words() {
    let Some(story) = Story::begin("badid", &["web"]) else { return };
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web", "sessionId": "../../etc" }));
    assert_eq!(started.session, "../../etc");
    let said = verdict(&mut editor, &started);
    assert!(said.contains("session") && said.contains("was not started"), "{said}");
    editor.quit();
}
