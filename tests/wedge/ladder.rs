//! Editors that cannot, will not, or do not say: what they were to show is shown another way.

use ktl_proto::control::v1::Status;
use serde_json::{Value, json};

use crate::agent::{CODE, PAGES, ended, finding, line};
use crate::editor::{Editor, Reply};
use crate::profile;
use crate::scene::{CONFIG, FILES, Scene, apply, verdict};

fn scene() -> Scene {
    Scene::of(&FILES, vec![line("STATUS: deployed"), ended(Status::Done)])
}

/// Applies, and asks for the page; the session.
fn open_page(editor: &mut Editor) -> String {
    let session = apply(editor, json!({}));
    verdict(editor, &session);
    let open = editor.execute("ktl.openReplay", json!({}));
    let answer = editor.response(open).unwrap();
    assert_eq!(answer["url"], format!("{PAGES}/s/{session}"));
    session
}

fn without(capability: &str) -> Value {
    let mut capabilities = profile::vscode();
    capabilities["window"].as_object_mut().unwrap().remove(capability).expect("it was there");
    capabilities
}

#[test]
fn a_page_that_the_editor_opens_is_not_told_in_words() {
    let scene = scene();
    let mut editor = scene.editor(&profile::vscode());
    let session = open_page(&mut editor);
    let asked = editor.receive("window/showDocument", |_| true);
    assert_eq!(asked["params"]["uri"], format!("{PAGES}/s/{session}#k={CODE}"));
    assert_eq!(asked["params"]["external"], true);
    editor.quit();
}

#[test]
fn a_page_that_the_editor_does_not_open_is_told_without_the_code() {
    let refusals = [Reply::Result(json!({ "success": false })), Reply::Error(-32601), Reply::Silence];
    for refusal in refusals {
        let scene = scene();
        let mut editor = scene.editor(&profile::vscode());
        editor.on_request("window/showDocument", refusal.clone());
        let session = open_page(&mut editor);
        editor.receive("window/showDocument", |_| true);
        let said = editor.message(&format!("{PAGES}/s/{session}"));
        assert!(!said.contains(CODE), "{refusal:?}: {said}");
        editor.quit();
    }
}

#[test]
fn an_editor_that_opens_nothing_is_not_asked_to() {
    let scene = scene();
    let mut editor = scene.editor(&without("showDocument"));
    let session = open_page(&mut editor);
    editor.message(&format!("{PAGES}/s/{session}"));
    assert_eq!(editor.take_all("window/showDocument"), [Value::Null; 0]);
    editor.quit();
}

#[test]
fn a_progress_that_is_refused_is_not_sent_and_the_run_goes_on() {
    let scene = scene();
    let mut editor = scene.editor(&profile::vscode());
    editor.on_request("window/workDoneProgress/create", Reply::Error(-32603));
    let session = apply(&mut editor, json!({}));
    editor.message("Apply web to");
    editor.receive("window/logMessage", |params| {
        params["message"].as_str().is_some_and(|line| line.contains("STATUS: deployed"))
    });
    editor.message(&format!("web in scripted/shop done · {PAGES}/s/{session}"));
    assert_eq!(editor.take_all("$/progress"), [Value::Null; 0]);
    editor.quit();
}

#[test]
fn an_editor_without_progress_is_told_in_words() {
    let scene = scene();
    let mut editor = scene.editor(&without("workDoneProgress"));
    let session = apply(&mut editor, json!({}));
    editor.message("Apply web to");
    editor.message(&session);
    assert_eq!(editor.take_all("window/workDoneProgress/create"), [Value::Null; 0]);
    assert_eq!(editor.take_all("$/progress"), [Value::Null; 0]);
    editor.quit();
}

#[test]
fn a_run_that_never_started_leaves_the_replay_of_the_last_one_and_what_it_found() {
    let failure = finding("values.yaml", FILES[2].1, "3", "no");
    let scene = Scene::of(&FILES, vec![failure, ended(Status::Error)]);
    let mut editor = scene.editor(&profile::vscode());
    let session = apply(&mut editor, json!({}));
    verdict(&mut editor, &session);
    let config = scene.uri(".ktl.yaml");
    editor.open(&config, &CONFIG.replace("./web", "./wep"));
    let refused = apply(&mut editor, json!({}));
    let said = verdict(&mut editor, &refused);
    assert!(said.contains("web was not started"), "{said}");
    editor.diagnostics(&config, |found| found.len() == 1);
    let lenses = scene.lenses(&mut editor, ".ktl.yaml");
    let replay = &lenses[1]["command"];
    assert!(replay["title"].as_str().unwrap().starts_with("Replay: failed"), "{lenses:?}");
    assert_eq!(replay["arguments"][0]["sessionId"], session);
    let found = editor.diagnostics(&scene.uri("values.yaml"), |found| found.len() == 1);
    assert_eq!(found[0]["data"]["sessionId"], session);
    assert_eq!(scene.agent.starts().len(), 2, "one that lacked the sources, and one that ran");
    editor.quit();
}
