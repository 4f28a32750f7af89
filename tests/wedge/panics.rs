//! Our own bugs: a panic costs the request it happened in, not the server.

use serde_json::{Value, json};

use crate::ready_for_faults;

const INTERNAL_ERROR: i64 = -32603;

#[test]
fn a_handler_that_panics_answers_its_caller_and_the_server_goes_on() {
    let Some(mut editor) = ready_for_faults() else { return };
    editor.expect_panics();
    for late in [false, true, false, true] {
        let panicking = editor.execute("ktl.fault.panic", json!({ "late": late }));
        let error = editor.response(panicking).unwrap_err();
        assert_eq!(error["code"], INTERNAL_ERROR);
        assert!(error["message"].as_str().unwrap().contains("asked to panic"), "{error}");
    }
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.quit();
}

#[test]
fn a_task_that_panics_is_logged_and_the_server_goes_on() {
    let Some(mut editor) = ready_for_faults() else { return };
    editor.expect_panics();
    let started = editor.execute("ktl.fault.panicInTask", json!({}));
    assert_eq!(editor.response(started), Ok(Value::Null));
    editor.logged("asked to panic in a task");
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.quit();
}

#[test]
fn a_thousand_panics_leave_nothing_behind() {
    let Some(mut editor) = ready_for_faults() else { return };
    editor.expect_panics();
    let panicking: Vec<_> = (0..1_000).map(|_| editor.execute("ktl.fault.panic", json!({}))).collect();
    for id in panicking {
        assert_eq!(editor.response(id).unwrap_err()["code"], INTERNAL_ERROR);
    }
    editor.quit();
}
