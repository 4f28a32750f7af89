//! What the test editor answers to requests of the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::wire::{self, Input};

/// What the editor answers to a request of the server.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A result.
    Result(Value),
    /// An error with this code.
    Error(i64),
    /// Nothing, ever.
    Silence,
}

/// By method; the rest is answered as usual.
pub(super) type Script = Arc<Mutex<HashMap<String, Reply>>>;

/// Answers a request.
pub(super) fn reply(script: &Script, input: &Input, request: &Value) {
    let method = request["method"].as_str().unwrap_or_default();
    let scripted = script.lock().unwrap().get(method).cloned();
    let answer = match scripted.unwrap_or_else(|| default_reply(method)) {
        Reply::Result(result) => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
        Reply::Error(code) => {
            json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": "scripted" } })
        }
        Reply::Silence => return,
    };
    input.send(wire::frame(answer.to_string().as_bytes()));
}

/// What an editor that knows a method says when nothing special is wanted.
fn default_reply(method: &str) -> Reply {
    match method {
        "client/registerCapability" | "window/workDoneProgress/create" | "workspace/codeLens/refresh" => {
            Reply::Result(Value::Null)
        }
        "window/showMessageRequest" => Reply::Result(Value::Null),
        "window/showDocument" => Reply::Result(json!({ "success": true })),
        _ => Reply::Error(-32601),
    }
}
