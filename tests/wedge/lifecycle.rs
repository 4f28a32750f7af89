//! Messages at the wrong time, or with the wrong content.

use serde_json::{Value, json};

use crate::editor::Editor;
use crate::{ready, shipped};

const NOT_INITIALIZED: i64 = -32002;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

#[track_caller]
fn fails_with(editor: &mut Editor, code: i64, method: &str, params: Value) -> String {
    let error = editor.call(method, params).expect_err(method);
    assert_eq!(error["code"], code, "{method}: {error}");
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_is_served_before_initialize() {
    let mut editor = Editor::start(shipped());
    for method in ["textDocument/hover", "workspace/executeCommand", "shutdown", "no/such/method"] {
        let message = fails_with(&mut editor, NOT_INITIALIZED, method, json!({}));
        assert!(message.contains("initialize"), "{message}");
    }
    editor.open("file:///w/values.yaml", "a: b: c\n");
    editor.initialize(json!({ "processId": null, "capabilities": {} }));
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    assert!(!editor.was_diagnosed("file:///w/values.yaml"));
    editor.quit();
}

#[test]
fn a_failed_initialize_may_be_repeated_and_a_good_one_may_not() {
    let mut editor = Editor::start(shipped());
    fails_with(&mut editor, INVALID_PARAMS, "initialize", json!({ "capabilities": 7 }));
    editor.initialize(json!({ "processId": null, "capabilities": {} }));
    fails_with(&mut editor, INVALID_REQUEST, "initialize", json!({ "processId": null, "capabilities": {} }));
    editor.quit();
}

#[test]
fn requests_right_behind_initialize_are_served() {
    let mut editor = Editor::start(shipped());
    let initialize = editor.request("initialize", json!({ "processId": null, "capabilities": {} }));
    let hover = editor.hover("file:///w/values.yaml");
    assert!(editor.response(initialize).is_ok());
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.quit();
}

#[test]
fn nothing_is_served_after_shutdown() {
    let mut editor = ready();
    assert_eq!(editor.call("shutdown", Value::Null), Ok(Value::Null));
    for method in
        ["textDocument/hover", "workspace/executeCommand", "shutdown", "initialize", "no/such/method"]
    {
        let message = fails_with(&mut editor, INVALID_REQUEST, method, json!({}));
        assert!(message.contains("shutdown"), "{message}");
    }
    editor.notify("exit", Value::Null);
    assert_eq!(editor.ended(), 0);
}

#[test]
fn bad_params_and_unknown_methods_are_the_callers_errors() {
    let mut editor = ready();
    fails_with(&mut editor, INVALID_PARAMS, "textDocument/hover", json!({ "textDocument": 7 }));
    fails_with(&mut editor, INVALID_PARAMS, "textDocument/hover", Value::Null);
    fails_with(&mut editor, INVALID_PARAMS, "workspace/executeCommand", json!([]));
    fails_with(&mut editor, METHOD_NOT_FOUND, "no/such/method", json!({}));
    fails_with(&mut editor, METHOD_NOT_FOUND, "$/noSuchMethod", json!({}));
    let command = json!({ "command": "ktl.noSuchCommand" });
    let message = fails_with(&mut editor, INVALID_PARAMS, "workspace/executeCommand", command);
    assert!(message.contains("ktl.noSuchCommand"), "{message}");
    editor.quit();
}

#[test]
fn a_notification_that_cannot_be_read_is_named_in_the_log() {
    let mut editor = ready();
    for _ in 0..100 {
        editor.notify("textDocument/didOpen", json!({ "textDocument": { "uri": 7 } }));
    }
    editor.notify("workspace/didChangeWatchedFiles", json!([]));
    editor.logged("workspace/didChangeWatchedFiles");
    let about = editor.log_lines("textDocument/didOpen");
    assert!(about.len() == 1 && about[0].contains("invalid type: integer `7`"), "{about:?}");
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.quit();
}

#[test]
fn notifications_that_mean_nothing_here_are_ignored() {
    let mut editor = ready();
    editor.notify("$/setTrace", json!({ "value": "verbose" }));
    editor.notify("$/unknown", json!({}));
    editor.notify("no/such/notification", json!({}));
    editor.notify("textDocument/didChange", json!({ "textDocument": 7 }));
    editor.notify("textDocument/didClose", json!({ "textDocument": { "uri": "file:///never/opened" } }));
    editor.notify("textDocument/hover", json!({}));
    editor.notify("initialized", json!({}));
    editor.notify("window/workDoneProgress/cancel", json!({ "token": "nobody" }));
    editor.change("file:///never/opened/values.yaml", 2, Some([0, 0, 0, 0]), "x");
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.quit();
}

#[test]
fn answers_that_nobody_waits_for_are_ignored() {
    let mut editor = ready();
    for id in [json!(0), json!(4711), json!("text")] {
        editor.send(&json!({ "jsonrpc": "2.0", "id": id, "result": {} }));
        editor.send(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": 1, "message": "x" } }));
    }
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.quit();
}

#[test]
fn the_server_says_what_it_can_and_utf8_only_to_those_who_offered_it() {
    for (offered, chosen) in
        [(json!(["utf-32", "utf-8"]), "utf-8"), (json!(["utf-16"]), "utf-16"), (json!(null), "utf-16")]
    {
        let mut editor = Editor::start(shipped());
        let general = json!({ "positionEncodings": offered });
        let result = editor.initialize(json!({ "processId": null, "capabilities": { "general": general } }));
        assert_eq!(result["capabilities"]["positionEncoding"], chosen);
        assert!(result["capabilities"]["executeCommandProvider"]["commands"].is_array());
        editor.quit();
    }
}
