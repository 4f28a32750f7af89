//! Starts whose answer never comes: what was started is found, what is cancelled is cancelled, and nobody is told more
//! than is known.

use ktl_proto::control::v1::Status;
use serde_json::json;

use crate::agent::{PAGES, Start, ended, line};
use crate::profile;
use crate::scene::{FILES, Scene, apply, verdict};

#[test]
fn a_cancel_reaches_an_agent_that_was_away_and_what_it_stopped_is_told() {
    let scene = Scene::of(&FILES, Vec::new());
    scene.agent.on_start(Start::AnswerLost);
    let mut editor = scene.editor(&profile::vscode());
    let session = apply(&mut editor, json!({}));
    scene.agent.runs(&session);
    scene.agent.be_away(true);
    let cancel = editor.execute("ktl.cancel", json!({ "sessionId": session }));
    assert!(editor.response(cancel).is_ok());
    let said = verdict(&mut editor, &session);
    assert!(said.starts_with("whether web was started is not known"), "{said}");
    scene.agent.be_away(false);
    editor.message("was asked to stop");
    let said = verdict(&mut editor, &session);
    assert!(said.contains("web in scripted/shop cancelled"), "{said}");
    assert!(scene.agent.cancels().iter().all(|cancelled| *cancelled == session));
    editor.quit();
}

#[test]
fn a_cancel_of_a_run_whose_agent_is_away_reaches_it_when_it_is_back() {
    let scene = Scene::of(&FILES, vec![line("on its way")]);
    let mut editor = scene.editor(&profile::vscode());
    let session = apply(&mut editor, json!({}));
    editor.receive("window/logMessage", |params| {
        params["message"].as_str().is_some_and(|line| line.contains("on its way"))
    });
    scene.agent.be_away(true);
    let cancel = editor.execute("ktl.cancel", json!({}));
    assert!(editor.response(cancel).is_ok());
    editor.message("told to stop as soon as the agent answers");
    scene.agent.be_away(false);
    editor.message("was asked to stop");
    let said = verdict(&mut editor, &session);
    assert!(said.contains("web in scripted/shop cancelled"), "{said}");
    editor.quit();
}

#[test]
fn a_cancel_of_what_the_agent_never_heard_of_says_that_nothing_was_started() {
    let scene = Scene::of(&FILES, Vec::new());
    scene.agent.on_start(Start::RequestLost);
    let mut editor = scene.editor(&profile::vscode());
    let session = apply(&mut editor, json!({}));
    scene.agent.sources();
    let cancel = editor.execute("ktl.cancel", json!({}));
    assert!(editor.response(cancel).is_ok());
    let said = verdict(&mut editor, &session);
    assert!(said.contains("web was not started: it was cancelled"), "{said}");
    assert_eq!(scene.agent.cancels(), [session.as_str()]);
    let again = editor.execute("ktl.cancel", json!({ "sessionId": session }));
    assert!(editor.response(again).is_ok());
    editor.message("nothing to cancel");
    editor.quit();
}

#[test]
fn a_start_in_a_terminal_whose_answer_is_lost_is_followed_to_its_end() {
    let scene = Scene::of(&FILES, vec![line("STATUS: deployed"), ended(Status::Done)]);
    scene.agent.on_start(Start::AnswerLost);
    let output = scene.run(&["apply", "--session-id", "s-1"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said.contains(&format!("{PAGES}/s/s-1")) && said.contains("STATUS: deployed"), "{output:?}");
}

#[test]
fn a_start_in_a_terminal_that_never_arrived_could_not_start() {
    let scene = Scene::of(&FILES, Vec::new());
    scene.agent.on_start(Start::RequestLost);
    let output = scene.run(&["apply", "--session-id", "s-1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said.contains("knows no session s-1"), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
}
