//! The smallest editor that a language server takes for one.
//!
//! Promises: answers every request of the server with null, so that the server never waits; gives up on an answer that
//! does not come. Does not look at what the server says on its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::Program;

/// How long an answer may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Debug)]
pub(super) struct Editor {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    answers: Receiver<(i64, Value, Instant)>,
    last: i64,
}

impl Editor {
    /// Starts `server`, with its log in the file `log`.
    pub(super) fn start(server: Program, log: &Path) -> Result<Self> {
        let mut child = server.talk(log)?;
        let input = Arc::new(Mutex::new(child.stdin.take().context("the server has no standard input")?));
        let output = child.stdout.take().context("the server has no standard output")?;
        let (sender, answers) = channel();
        let replies = Arc::clone(&input);
        thread::spawn(move || listen(output, &replies, &sender));
        Ok(Self { child, input, answers, last: 0 })
    }

    /// Says hello as an editor does that has `root` open. Returns when the server has answered.
    pub(super) fn initialize(&mut self, root: &Path) -> Result<()> {
        let uri = uri(root);
        let capabilities = json!({"window": {"workDoneProgress": true}});
        let hello = json!({
            "processId": std::process::id(),
            "rootUri": uri,
            "workspaceFolders": [{"uri": uri, "name": "bench"}],
            "capabilities": capabilities,
        });
        self.request("initialize", &hello)?;
        self.notify("initialized", &json!({}))
    }

    /// The result of a request and how long it took.
    pub(super) fn request(&mut self, method: &str, params: &Value) -> Result<(Value, Duration)> {
        self.last += 1;
        let begun = Instant::now();
        send(&self.input, &json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}))?;
        loop {
            let answer = self.answers.recv_timeout(PATIENCE);
            let (id, message, at) = answer.with_context(|| format!("the server does not answer {method}"))?;
            if id != self.last {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!("the server refuses {method}: {error}");
            }
            return Ok((message["result"].clone(), at.duration_since(begun)));
        }
    }

    pub(super) fn notify(&mut self, method: &str, params: &Value) -> Result<()> {
        send(&self.input, &json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// Opens a YAML file.
    pub(super) fn open(&mut self, path: &Path, text: &str) -> Result<()> {
        let document = json!({"uri": uri(path), "languageId": "yaml", "version": 0, "text": text});
        self.notify("textDocument/didOpen", &json!({"textDocument": document}))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // The measurement is over; a server that has ended already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of a file as editors write it. Paths of this project's temporary folders need no escapes.
pub(super) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn send(input: &Mutex<ChildStdin>, message: &Value) -> Result<()> {
    let body = message.to_string();
    // A thread that panicked while writing leaves a broken stream, which the next line reports.
    let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
    write!(input, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    input.flush().context("the server does not read any more")
}

fn listen(output: ChildStdout, input: &Mutex<ChildStdin>, answers: &Sender<(i64, Value, Instant)>) {
    let mut output = BufReader::new(output);
    while let Some(message) = receive(&mut output) {
        let at = Instant::now();
        let id = message.get("id").cloned();
        let done = match (id, message.get("method")) {
            (Some(id), Some(_)) => send(input, &json!({"jsonrpc": "2.0", "id": id, "result": null})).is_ok(),
            (Some(id), None) => answers.send((id.as_i64().unwrap_or_default(), message, at)).is_ok(),
            _ => true,
        };
        if !done {
            return;
        }
    }
}

/// The next message; none when the server has ended.
fn receive(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_by_their_length_and_the_end_is_seen() {
        let mut wire = BufReader::new(&b"Content-Length: 8\r\n\r\n{\"id\":1}content-length:2\r\n\r\n{}"[..]);
        assert_eq!(receive(&mut wire), Some(json!({"id": 1})));
        assert_eq!(receive(&mut wire), Some(json!({})));
        assert_eq!(receive(&mut wire), None);
    }
}
