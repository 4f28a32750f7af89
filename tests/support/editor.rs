//! An editor at the other end of standard input and output: what the tests drive the server with.
//!
//! Every wait has an end ([`PATIENCE`]) and says what came instead. Whatever the server says must be well-formed, every
//! request gets exactly one answer, and refusals, messages and panics are failures unless a test takes them: an editor
//! that is dropped while something is left over fails its test, as does a server that is left running.

#[path = "editor/ending.rs"]
mod ending;
#[path = "editor/receiving.rs"]
mod receiving;
#[path = "editor/script.rs"]
mod script;
#[path = "editor/sending.rs"]
mod sending;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};

use super::wire::{self, Gate, Input, Stderr};
pub(crate) use script::Reply;
use script::{Script, reply};

/// How long anything may take, on a loaded machine. No test passes because this is long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

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
}
