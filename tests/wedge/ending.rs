//! Every way in which an editor leaves, or is gone.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::editor::Editor;
use crate::{profile, ready, ready_for_faults, shipped};

#[test]
fn closed_input_ends_an_idle_server() {
    let mut editor = ready();
    editor.close_input();
    assert_eq!(editor.ended(), 1);
}

#[test]
fn closed_input_ends_a_server_that_was_never_initialized() {
    let mut editor = Editor::start(shipped());
    editor.close_input();
    assert_eq!(editor.ended(), 1);
}

#[test]
fn closed_input_ends_a_server_whose_commands_run() {
    let Some(mut editor) = ready_for_faults() else { return };
    for block in [false, true] {
        editor.execute("ktl.fault.sleep", json!({ "ms": 600_000, "block": block }));
    }
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.close_input();
    assert_eq!(editor.ended(), 1);
}

#[test]
fn closed_input_inside_a_message_ends_the_server() {
    let mut editor = ready();
    editor.raw("Content-Length: 500\r\n\r\n{\"jsonrpc\":");
    editor.close_input();
    assert_eq!(editor.ended(), 1);
}

#[test]
fn closed_input_after_shutdown_is_a_good_end() {
    let mut editor = ready();
    assert_eq!(editor.call("shutdown", Value::Null), Ok(Value::Null));
    editor.close_input();
    assert_eq!(editor.ended(), 0);
}

#[test]
fn shutdown_and_exit_end_the_server_with_input_left_open() {
    ready().quit();
}

#[test]
fn shutdown_is_answered_and_exit_obeyed_while_commands_run() {
    let Some(mut editor) = ready_for_faults() else { return };
    for block in [false, true] {
        editor.execute("ktl.fault.sleep", json!({ "ms": 600_000, "block": block }));
    }
    editor.quit();
}

#[test]
fn exit_without_shutdown_is_code_1() {
    let editor = ready();
    editor.notify("exit", Value::Null);
    assert_eq!(editor.ended(), 1);
}

#[test]
fn exit_before_initialize_is_code_1() {
    let editor = Editor::start(shipped());
    editor.notify("exit", Value::Null);
    assert_eq!(editor.ended(), 1);
}

#[test]
fn a_killed_editor_process_ends_the_server_with_input_held_open() {
    // The editor's process and the pipe's owner are two here, as when an editor leaves its pipe to a child.
    let mut parent = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut editor = Editor::start(shipped());
    editor.initialize(json!({ "processId": parent.id(), "capabilities": profile::silent() }));
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    parent.kill().unwrap();
    // Not reaped yet: a zombie is a dead editor too.
    assert_eq!(editor.ended(), 1);
    parent.wait().unwrap();
}

#[test]
fn an_editor_from_another_namespace_is_not_taken_for_dead() {
    for process_id in [json!(null), json!(0), json!(4_194_304_000_u32)] {
        let mut editor = Editor::start(shipped());
        editor.initialize(json!({ "processId": process_id, "capabilities": {} }));
        let hover = editor.hover("file:///w/values.yaml");
        assert_eq!(editor.response(hover), Ok(Value::Null));
        editor.quit();
    }
}

#[test]
fn the_last_answer_is_written_before_the_end_for_those_who_do_not_wait_for_it() {
    for _ in 0..20 {
        let mut editor = ready();
        editor.stop_reading();
        let shutdown = editor.request("shutdown", Value::Null);
        editor.notify("exit", Value::Null);
        editor.all_taken();
        editor.read_again();
        assert_eq!(editor.response(shutdown), Ok(Value::Null));
        assert_eq!(editor.ended(), 0);
    }
}
