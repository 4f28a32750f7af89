//! Misbehaviour on demand, for the wedge suite. Built only with `--features fault-injection`, never in a release.

use std::time::Duration;

use lsp_types::{ExecuteCommandParams, LSPAny, MessageActionItem, MessageType};
use serde_json::{Value, json};
use tower_lsp::jsonrpc::Result;

use crate::editor::Editor;
use crate::task;

/// The commands, each with one optional object as its argument.
pub(crate) const COMMANDS: &[&str] =
    &["ktl.fault.panic", "ktl.fault.panicInTask", "ktl.fault.prompt", "ktl.fault.sleep", "ktl.fault.flood"];

/// Runs a command of this module; `None` when it is none.
pub(crate) async fn execute(
    editor: &Editor,
    params: &ExecuteCommandParams,
) -> Option<Result<Option<LSPAny>>> {
    let none = Value::Null;
    let argument = params.arguments.first().unwrap_or(&none);
    Some(Ok(match params.command.as_str() {
        "ktl.fault.panic" => panic_now(argument).await,
        "ktl.fault.panicInTask" => {
            task::spawn("fault", async { panic!("asked to panic in a task") });
            Some(Value::Null)
        }
        "ktl.fault.prompt" => prompt(editor).await,
        "ktl.fault.sleep" => sleep(argument).await,
        "ktl.fault.flood" => {
            flood(editor, argument["lines"].as_u64().unwrap_or(50_000)).await;
            Some(Value::Null)
        }
        _ => return None,
    }))
}

/// `{"late": true}` panics after an await, when the handler is a task already.
async fn panic_now(argument: &Value) -> Option<LSPAny> {
    if argument["late"] == true {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("asked to panic")
}

/// Waits for the user inside the handler, which no real command does.
async fn prompt(editor: &Editor) -> Option<LSPAny> {
    let actions =
        vec![MessageActionItem { title: "Yes".to_owned(), properties: std::collections::HashMap::default() }];
    match editor.client.show_message_request(MessageType::WARNING, "go on?", Some(actions)).await {
        Ok(answer) => Some(json!({ "answer": answer })),
        Err(error) => Some(json!({ "error": error.code.code() })),
    }
}

/// `{"ms": 2000, "block": true}`: with `block` it keeps its thread, as work on the wrong thread does.
async fn sleep(argument: &Value) -> Option<LSPAny> {
    let time = Duration::from_millis(argument["ms"].as_u64().unwrap_or(60_000));
    if argument["block"] == true {
        std::thread::sleep(time);
    } else {
        tokio::time::sleep(time).await;
    }
    Some(Value::Null)
}

/// Log lines as fast as they go, a verdict in the middle and one at the end.
async fn flood(editor: &Editor, lines: u64) {
    for line in 0..lines {
        editor.client.log_message(MessageType::LOG, format!("line {line} {}", "x".repeat(100))).await;
        if line == lines / 2 {
            editor.warn("verdict in the middle".to_owned()).await;
        }
    }
    editor.warn("verdict at the end".to_owned()).await;
    // The one word that reaches a test which does not read the protocol.
    tracing::error!("flood is over");
}
