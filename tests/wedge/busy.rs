//! Handlers that take long, wait for ever or block their thread.

use serde_json::{Value, json};

use crate::editor::{Editor, Reply};
use crate::ready_for_faults;

const VALUES: &str = "file:///w/values.yaml";
const CANCELLED: i64 = -32800;

fn slow_commands(editor: &mut Editor, count: usize) -> Vec<i64> {
    (0..count).map(|_| editor.execute("ktl.fault.sleep", json!({ "ms": 600_000 }))).collect()
}

fn is_answered(editor: &mut Editor, id: i64) {
    assert_eq!(editor.response(id), Ok(Value::Null));
}

#[test]
fn a_hover_is_answered_while_64_commands_run() {
    let Some(mut editor) = ready_for_faults() else { return };
    let slow = slow_commands(&mut editor, 64);
    let hover = editor.hover(VALUES);
    is_answered(&mut editor, hover);
    assert!(!slow.iter().any(|id| editor.is_answered(*id)));
    editor.quit();
}

#[test]
fn any_of_64_running_commands_is_cancelled_at_once() {
    let Some(mut editor) = ready_for_faults() else { return };
    let slow = slow_commands(&mut editor, 64);
    for id in &slow {
        editor.cancel(*id);
    }
    for id in slow {
        assert_eq!(editor.response(id).unwrap_err()["code"], CANCELLED);
    }
    editor.quit();
}

#[test]
fn a_cancelled_command_is_answered_even_while_it_blocks_its_thread() {
    let Some(mut editor) = ready_for_faults() else { return };
    let blocking = editor.execute("ktl.fault.sleep", json!({ "ms": 600_000, "block": true }));
    editor.cancel(blocking);
    assert_eq!(editor.response(blocking).unwrap_err()["code"], CANCELLED);
    editor.quit();
}

#[test]
fn cancelling_what_is_not_running_harms_nobody() {
    let Some(mut editor) = ready_for_faults() else { return };
    editor.cancel(4711);
    editor.notify("$/cancelRequest", json!({ "id": "nobody" }));
    editor.notify("$/cancelRequest", json!({ "id": [] }));
    editor.notify("$/cancelRequest", Value::Null);
    let hover = editor.hover(VALUES);
    is_answered(&mut editor, hover);
    editor.cancel(hover);
    editor.quit();
}

#[test]
fn a_handler_that_blocks_its_thread_delays_nobody() {
    let Some(mut editor) = ready_for_faults() else { return };
    let blocking = editor.execute("ktl.fault.sleep", json!({ "ms": 600_000, "block": true }));
    for _ in 0..20 {
        let hover = editor.hover(VALUES);
        is_answered(&mut editor, hover);
    }
    assert!(!editor.is_answered(blocking));
    editor.quit();
}

#[test]
fn four_unanswered_prompts_stop_neither_typing_nor_their_answers() {
    let Some(mut editor) = ready_for_faults() else { return };
    editor.on_request("window/showMessageRequest", Reply::Silence);
    let prompts: Vec<_> = (0..4).map(|_| editor.execute("ktl.fault.prompt", json!({}))).collect();
    let questions: Vec<_> =
        (0..4).map(|_| editor.receive("window/showMessageRequest", |_| true)["id"].clone()).collect();
    editor.open(VALUES, "");
    for version in 0..5_000 {
        editor.change(
            VALUES,
            version + 2,
            Some([version, 0, version, 0]),
            &format!("key{version}: {version}\n"),
        );
    }
    editor.all_taken();
    let hover = editor.hover(VALUES);
    is_answered(&mut editor, hover);
    assert!(!prompts.iter().any(|id| editor.is_answered(*id)));
    // A prompt may be answered, dismissed, not understood or answered with nonsense.
    let answers = [
        json!({ "result": { "title": "Yes" } }),
        json!({ "result": null }),
        json!({ "error": { "code": -32601, "message": "no such method" } }),
        json!({ "error": "no" }),
    ];
    for (question, mut answer) in questions.iter().zip(answers) {
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = question.clone();
        editor.send(&answer);
    }
    let mut outcomes: Vec<_> =
        prompts.into_iter().map(|id| editor.response(id).unwrap().to_string()).collect();
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [r#"{"answer":null}"#, r#"{"answer":{"title":"Yes"}}"#, r#"{"error":-32601}"#, r#"{"error":-32603}"#]
    );
    editor.quit();
}
