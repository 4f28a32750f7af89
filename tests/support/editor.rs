//! An editor at the other end of standard input and output: what the tests drive the server with.
//!
//! Every wait has an end ([`PATIENCE`]) and says what came instead. Whatever the server says must be well-formed, every
//! request gets exactly one answer, and refusals, messages and panics are failures unless a test takes them: an editor
//! that is dropped while something is left over fails its test, as does a server that is left running.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::wire::{self, Gate, Input, Stderr};

/// How long anything may take, on a loaded machine. No test passes because this is long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

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

type Script = Arc<Mutex<HashMap<String, Reply>>>;

/// A running server and the editor's view of it.
pub(crate) struct Editor {
    child: Child,
    input: Option<Input>,
    inbox: Receiver<wire::Received>,
    gate: Gate,
    stderr: Stderr,
    script: Script,
    /// The last diagnostics of each file.
    shown: HashMap<String, Vec<Value>>,
    /// What else came and was not taken.
    pending: VecDeque<Value>,
    sent: HashSet<i64>,
    answered: HashSet<i64>,
    unexpected: Vec<String>,
    panics_expected: bool,
    finished: bool,
}

#[allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used up.
impl Editor {
    /// Starts a server and says nothing to it yet.
    pub(crate) fn start(binary: &Path) -> Self {
        Self::start_command(&mut Command::new(binary))
    }

    /// Starts a server with arguments and environment of the test's choice.
    pub(crate) fn start_command(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let script = Script::default();
        let input = Input::start(child.stdin.take().unwrap());
        let gate = Gate::default();
        let answer = {
            let (script, input) = (script.clone(), input.clone());
            move |request: &Value| reply(&script, &input, request)
        };
        let inbox = wire::read(child.stdout.take().unwrap(), gate.clone(), answer);
        let stderr = Stderr::collect(child.stderr.take().unwrap());
        Self {
            child,
            input: Some(input),
            inbox,
            gate,
            stderr,
            script,
            shown: HashMap::new(),
            pending: VecDeque::new(),
            sent: HashSet::new(),
            answered: HashSet::new(),
            unexpected: Vec::new(),
            panics_expected: false,
            finished: false,
        }
    }

    /// Starts a server and does the handshake with the given capabilities.
    pub(crate) fn ready(binary: &Path, capabilities: &Value) -> Self {
        let mut editor = Self::start(binary);
        editor.initialize(json!({ "processId": std::process::id(), "capabilities": capabilities }));
        editor
    }

    /// The handshake; answers what the server said.
    pub(crate) fn initialize(&mut self, params: Value) -> Value {
        let result = self.call("initialize", params).expect("initialize is accepted");
        self.notify("initialized", json!({}));
        result
    }

    /// From now on requests of this method are answered so.
    pub(crate) fn on_request(&self, method: &str, reply: Reply) {
        self.script.lock().unwrap().insert(method.to_owned(), reply);
    }

    /// The server is supposed to panic somewhere in this test.
    pub(crate) fn expect_panics(&mut self) {
        self.panics_expected = true;
    }

    // --- Sending ---

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

    // --- Receiving ---

    /// Waits for the answer to a request: the result, or the error object.
    pub(crate) fn response(&mut self, id: i64) -> Result<Value, Value> {
        let response = self.take(&format!("an answer to request {id}"), |message| {
            message.get("method").is_none() && message["id"] == id
        });
        match response.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(response["result"].clone()),
        }
    }

    /// Waits for the answer to a message that was sent by hand, with a text as its id.
    pub(crate) fn answer_to_text_id(&mut self, id: &str) -> Value {
        self.take(&format!("an answer to {id}"), |message| {
            message.get("method").is_none() && message["id"] == id
        })
    }

    /// Whether the answer to a request has come already.
    pub(crate) fn is_answered(&mut self, id: i64) -> bool {
        while let Ok(received) = self.inbox.try_recv() {
            self.accept(received);
        }
        self.answered.contains(&id)
    }

    /// Waits for an error response without an id, as bad frames get; its code and message.
    pub(crate) fn refusal(&mut self) -> (i64, String) {
        let refusal = self.take("a refusal", is_refusal);
        let error = &refusal["error"];
        (error["code"].as_i64().expect("a code"), error["message"].as_str().expect("a message").to_owned())
    }

    /// Waits for a notification or request of the server that fits.
    pub(crate) fn receive(&mut self, method: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.take(method, |message| message["method"] == method && fits(&message["params"]))
    }

    /// Waits for a `window/showMessage` that contains the words.
    pub(crate) fn message(&mut self, words: &str) -> String {
        let fits = |params: &Value| params["message"].as_str().is_some_and(|message| message.contains(words));
        let params = self.receive("window/showMessage", fits);
        params["params"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the diagnostics of a file are as wanted. A file without any has none.
    pub(crate) fn diagnostics(&mut self, uri: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown.get(uri).map_or(&[][..], Vec::as_slice);
            if wanted(shown) {
                return shown.to_vec();
            }
            if let Err(why) = self.pump(deadline) {
                panic!(
                    "diagnostics of {uri} {why} as wanted, but {:#?}{}",
                    self.shown.get(uri),
                    self.describe()
                );
            }
        }
    }

    /// Whether anything was ever said about a file.
    pub(crate) fn was_diagnosed(&self, uri: &str) -> bool {
        self.shown.contains_key(uri)
    }

    /// Everything of a method that came and was not taken.
    pub(crate) fn take_all(&mut self, method: &str) -> Vec<Value> {
        let (taken, left): (Vec<_>, _) =
            self.pending.drain(..).partition(|message| message["method"] == method);
        self.pending = left.into();
        taken
    }

    /// Waits until the server's log contains the words.
    pub(crate) fn logged(&self, words: &str) {
        assert!(self.stderr.wait_for(words, PATIENCE), "`{words}` was not logged{}", self.stderr.tail());
    }

    /// The lines of the server's log so far that contain the words.
    pub(crate) fn log_lines(&self, words: &str) -> Vec<String> {
        self.stderr.lines_with(words)
    }

    /// The server's resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a VmRSS line");
        line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// The server's process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    // --- Ending ---

    /// Leaves as the protocol says, and expects nothing to be left over.
    pub(crate) fn quit(mut self) {
        assert_eq!(self.call("shutdown", Value::Null), Ok(Value::Null));
        self.notify("exit", Value::Null);
        assert_eq!(self.ended(), 0, "after shutdown the exit code is 0");
    }

    /// Kills the server, as a crash or an impatient user does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server can be killed");
        self.finished = true;
    }

    /// Like [`Editor::ended`], without reading what the server said meanwhile.
    pub(crate) fn exit_code_unread(mut self) -> i32 {
        self.finished = true;
        self.wait_code()
    }

    /// Waits for the end of the process; its exit code. What the server said is checked here.
    pub(crate) fn ended(mut self) -> i32 {
        self.finished = true;
        let code = self.wait_code();
        // The pipe is at its end now, so this ends.
        while let Ok(received) = self.inbox.recv_timeout(PATIENCE) {
            self.accept(received);
        }
        self.check_leftovers();
        code
    }

    fn wait_code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the server can be waited for") {
                return status
                    .code()
                    .unwrap_or_else(|| panic!("the server died: {status}{}", self.stderr.tail()));
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("the server did not end{}", self.stderr.tail());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn check_leftovers(&mut self) {
        for message in &self.pending {
            if is_refusal(message) || message["method"] == "window/showMessage" {
                self.unexpected.push(message.to_string());
            }
        }
        if !self.panics_expected && self.stderr.contains("panicked") {
            self.unexpected.push("a panic".to_owned());
        }
        assert!(self.unexpected.is_empty(), "nobody expected {:#?}{}", self.unexpected, self.stderr.tail());
    }

    /// The first message that fits, from those that wait or those that come.
    fn take(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.pending.iter().skip(looked_at).position(&fits) {
                return self.pending.remove(looked_at + at).expect("it was just found");
            }
            looked_at = self.pending.len();
            if let Err(why) = self.pump(deadline) {
                panic!("{what} {why}{}", self.describe());
            }
        }
    }

    /// Takes the next message in; an error says why there is none.
    fn pump(&mut self, deadline: Instant) -> Result<(), &'static str> {
        match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(received) => {
                self.accept(received);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err("did not come in time"),
            Err(RecvTimeoutError::Disconnected) => Err("did not come before the server ended"),
        }
    }

    fn accept(&mut self, received: wire::Received) {
        match received {
            wire::Received::Message(message) => {
                if message.get("method").is_none()
                    && let Some(id) = message["id"].as_i64()
                    && (!self.sent.contains(&id) || !self.answered.insert(id))
                {
                    self.unexpected.push(format!("a second answer, or one to nothing: {message}"));
                }
                if message["method"] == "textDocument/publishDiagnostics" {
                    let uri = message["params"]["uri"].as_str().unwrap_or_default().to_owned();
                    self.shown.insert(
                        uri,
                        message["params"]["diagnostics"].as_array().cloned().unwrap_or_default(),
                    );
                } else {
                    self.pending.push_back(message);
                }
            }
            wire::Received::Garbage(what) => self.unexpected.push(what),
        }
    }

    fn describe(&self) -> String {
        let last: Vec<_> =
            self.pending.iter().rev().take(5).map(|message| shorten(&message.to_string())).collect();
        format!("; waiting are {} messages, the last: {last:#?}{}", self.pending.len(), self.stderr.tail())
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let left_running = !self.finished && matches!(self.child.try_wait(), Ok(None));
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A reader that was stopped must be able to end.
        self.gate.open();
        assert!(
            thread::panicking() || !left_running,
            "the test left its server running; end with `quit` or `ended`"
        );
    }
}

fn is_refusal(message: &Value) -> bool {
    message.get("error").is_some() && message["id"].is_null()
}

fn shorten(text: &str) -> String {
    text.chars().take(300).collect()
}

fn reply(script: &Script, input: &Input, request: &Value) {
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
