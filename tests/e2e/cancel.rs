//! Cancelling reaches helm, and the last frame says what it left behind.

use serde_json::{Value, json};

use crate::editor::Editor;
use crate::story::{Started, Story, apply, facts, verdict};

#[test]
fn cancel_from_the_progress_of_the_editor() {
    cancelled_by("progress", |editor, token, _| {
        editor.notify("window/workDoneProgress/cancel", json!({ "token": token }));
    });
}

#[test]
fn cancel_by_command() {
    cancelled_by("command", |editor, _, started| {
        let request = editor.execute("ktl.cancel", json!({ "sessionId": started.session }));
        editor.response(request).expect("ktl.cancel is accepted");
    });
}

#[test]
fn cancel_without_an_argument_means_the_session_that_runs() {
    cancelled_by("bare", |editor, _, _| {
        let params = json!({ "command": "ktl.cancel" });
        editor.call("workspace/executeCommand", params).expect("ktl.cancel is accepted");
    });
}

fn cancelled_by(name: &str, cancel: impl Fn(&mut Editor, &Value, &Started)) {
    let Some(story) = Story::begin(name, &["web", "gated"]) else { return };
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web" }));
    let begin = editor.receive("$/progress", |params| params["value"]["kind"] == "begin");
    assert_eq!(begin["params"]["value"]["cancellable"], true);
    story.namespace.wait_for_gate();
    assert_eq!(story.helms().len(), 1);
    cancel(&mut editor, &begin["params"]["token"], &started);
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("cancelled"), "{verdict}");
    assert_eq!(story.helms(), Vec::<u32>::new(), "helm is gone");

    let agent = story.agent();
    let session = agent.session(&started.session);
    assert_eq!((&session["status"], &session["exit_code"]), (&json!("STATUS_CANCELLED"), &json!(130)));
    let frames = agent.export(&started.session);
    let notes = facts(&frames, "note");
    assert!(notes.iter().any(|note| note["kind"] == "NOTE_KIND_CANCEL_REQUESTED"), "{notes:#?}");
    let last = &frames.last().expect("frames")["fact"]["ended"];
    assert_eq!(last["status"], "STATUS_CANCELLED", "{last}");
    let revisions = story.revisions("web");
    let left = &last["left_behind"];
    assert_eq!(left["release_status"], revisions[0]["status"], "as helm itself says: {left}");
    editor.quit();
}
