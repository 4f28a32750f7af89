//! What the test editor says to the server.

use serde_json::{Value, json};

use super::{Editor, PATIENCE};
use crate::wire;

#[allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used up.
impl Editor {
    /// Sends bytes as they are.
    pub(crate) fn raw(&self, bytes: impl Into<Vec<u8>>) {
        self.input.as_ref().expect("standard input is open").send(bytes.into());
    }

    /// Sends any message.
    pub(crate) fn send(&self, message: &Value) {
        self.raw(wire::frame(message.to_string().as_bytes()));
    }

    /// Sends a notification.
    pub(crate) fn notify(&self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Sends a request; its id is for [`Editor::response`].
    pub(crate) fn request(&mut self, method: &str, params: Value) -> i64 {
        let id = i64::try_from(self.sent.len()).unwrap() + 1;
        self.sent.insert(id);
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a request and waits for its answer: the result, or the error object.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.request(method, params);
        self.response(id)
    }

    /// Starts a command with one argument.
    pub(crate) fn execute(&mut self, command: &str, argument: Value) -> i64 {
        self.request("workspace/executeCommand", json!({ "command": command, "arguments": [argument] }))
    }

    /// Asks for a hover at the start of a document.
    pub(crate) fn hover(&mut self, uri: &str) -> i64 {
        let position = json!({ "line": 0, "character": 0 });
        self.request("textDocument/hover", json!({ "textDocument": { "uri": uri }, "position": position }))
    }

    /// Gives up on a request.
    pub(crate) fn cancel(&self, id: i64) {
        self.notify("$/cancelRequest", json!({ "id": id }));
    }

    /// Opens a document.
    pub(crate) fn open(&self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Replaces `[start line, start column, end line, end column]`, or everything.
    pub(crate) fn change(&self, uri: &str, version: usize, range: Option<[usize; 4]>, text: &str) {
        let change = match range {
            None => json!({ "text": text }),
            Some([line, column, end_line, end_column]) => json!({
                "range": {
                    "start": { "line": line, "character": column },
                    "end": { "line": end_line, "character": end_column },
                },
                "text": text,
            }),
        };
        let document = json!({ "uri": uri, "version": version });
        self.notify(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [change] }),
        );
    }

    /// Closes a document.
    pub(crate) fn close(&self, uri: &str) {
        self.notify("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }

    /// Fails unless the server took everything that was sent: it is still reading.
    pub(crate) fn all_taken(&self) {
        let input = self.input.as_ref().expect("standard input is open");
        assert!(input.wait_taken(PATIENCE), "the server does not read any more{}", self.stderr.tail());
    }

    /// Closes the server's standard input.
    pub(crate) fn close_input(&mut self) {
        if let Some(input) = self.input.take() {
            input.close();
        }
    }

    /// Stops reading what the server writes.
    pub(crate) fn stop_reading(&self) {
        self.gate.close();
    }

    /// Reads again.
    pub(crate) fn read_again(&self) {
        self.gate.open();
    }
}
