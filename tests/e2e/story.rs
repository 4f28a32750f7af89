//! What every story stands on: a workspace, a namespace, a helm, a state folder, and the editors in front of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agent::{Agent, kill, processes_naming, wait_for};
use crate::cluster::Namespace;
use crate::editor::Editor;
use crate::profile;
use crate::workspace::Workspace;

/// Which helm a story runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Helm {
    V3,
    V4,
}

/// One user on one machine.
pub(crate) struct Story {
    pub(crate) workspace: Workspace,
    pub(crate) namespace: Namespace,
    helm: PathBuf,
    home: TempDir,
}

/// What an editor was told about a session that it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) session: String,
    pub(crate) url: String,
}

impl Story {
    /// A story on layers of `fixtures/charts` with helm 4; `None`, and a word about it, where its parts are missing.
    pub(crate) fn begin(name: &str, layers: &[&str]) -> Option<Self> {
        Self::with_helm(Helm::V4, name, layers)
    }

    pub(crate) fn with_helm(helm: Helm, name: &str, layers: &[&str]) -> Option<Self> {
        let variable = match helm {
            Helm::V3 => "KTL_TEST_HELM3",
            Helm::V4 => "KTL_TEST_HELM",
        };
        let helm = needed(variable, "a story needs the real helm")?;
        let kubeconfig = needed("KTL_TEST_KUBECONFIG", "a story needs a real cluster")?;
        if layers.contains(&"no-such-image") && !pulls_images() {
            return None;
        }
        let home = tempfile::Builder::new().prefix("ktl-e2e-home-").tempdir().expect("a home folder");
        let own = home.path().join("kubeconfig");
        fs::copy(&kubeconfig, &own).expect("the kubeconfig can be read");
        let namespace = Namespace::of(&own, name);
        let workspace = Workspace::of(layers, namespace.name());
        Some(Self { workspace, namespace, helm, home })
    }

    /// A program of ours in this user's environment.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = program_of(self.home.path(), name);
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("KTL_HELM", &self.helm)
            .current_dir(self.workspace.folder());
        command
    }

    /// The kubeconfig of this user: a copy.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// Everything of this user.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What the local agent keeps.
    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state/ktl")
    }

    /// The local agent, which an editor must have started before.
    #[track_caller]
    pub(crate) fn agent(&self) -> Agent {
        wait_for("the local agent", || Agent::of_state(&self.state()))
    }

    /// A VS Code with the workspace open, after the handshake.
    pub(crate) fn editor(&self) -> Editor {
        self.editor_as(&profile::vscode())
    }

    /// The same as another editor.
    pub(crate) fn editor_as(&self, capabilities: &Value) -> Editor {
        let mut editor = Editor::start_command(&mut self.program("ktl-lsp"));
        let folder = format!("file://{}", self.workspace.folder().display());
        editor.initialize(json!({
            "processId": std::process::id(),
            "capabilities": capabilities,
            "workspaceFolders": [{ "uri": folder, "name": "workspace" }],
        }));
        editor
    }

    /// Opens a file of the workspace as it is on the disk.
    pub(crate) fn open(&self, editor: &Editor, file: &str) {
        let text = fs::read_to_string(self.workspace.path(file)).expect("the file is there");
        editor.open(&self.workspace.uri(file), &text);
    }

    /// Asks helm what it knows of the release: the list of revisions, the oldest first.
    pub(crate) fn revisions(&self, release: &str) -> Vec<Value> {
        let mut command = Command::new(&self.helm);
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.home.path());
        command.args(["history", release, "--output", "json", "--namespace", self.namespace.name()]);
        let output = command.output().expect("helm starts");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// The processes of helm that work for this story now.
    pub(crate) fn helms(&self) -> Vec<u32> {
        let of_story = processes_naming(self.namespace.name()).into_iter();
        let helm = self.helm.display().to_string();
        of_story.filter(|(_, command)| command.starts_with(&helm)).map(|(pid, _)| pid).collect()
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        // The agent and its shims name the state folder, helm the namespace.
        let home = self.home.path().display().to_string();
        for (pid, _) in processes_naming(&home).into_iter().chain(processes_naming(self.namespace.name())) {
            kill(pid);
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.state().join("agent.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            eprintln!("the agent logged:\n{}", tail.join("\n"));
        }
    }
}

/// Starts an apply as a lens does; the answer has come at once.
#[track_caller]
pub(crate) fn apply(editor: &mut Editor, argument: Value) -> Started {
    let request = editor.execute("ktl.apply", argument);
    let answer = editor.response(request).expect("ktl.apply is accepted");
    let text = |key: &str| answer[key].as_str().map(str::to_owned);
    let session = text("sessionId").unwrap_or_else(|| panic!("no sessionId in {answer}"));
    Started { session, url: text("url").unwrap_or_default() }
}

/// Waits for the end of a session's progress and for the message that says how it went; the latter.
#[track_caller]
pub(crate) fn verdict(editor: &mut Editor, started: &Started) -> String {
    let token = format!("ktl/{}", started.session);
    editor.receive("$/progress", |params| params["token"] == token && params["value"]["kind"] == "end");
    editor.message(&started.session)
}

/// The diagnostics of a file once one of them belongs to the session.
#[track_caller]
pub(crate) fn findings(editor: &mut Editor, uri: &str, started: &Started) -> Vec<Value> {
    editor.diagnostics(uri, |found| {
        found.iter().any(|diagnostic| diagnostic["data"]["sessionId"] == started.session.as_str())
    })
}

/// The facts of one kind in exported frames: `facts(&frames, "finding")`.
pub(crate) fn facts<'a>(frames: &'a [Value], kind: &str) -> Vec<&'a Value> {
    frames.iter().map(|frame| &frame["fact"][kind]).filter(|fact| !fact.is_null()).collect()
}

/// What a fact is in an editor's log: lines, notes and warnings of the cluster.
fn line_of(fact: &Value) -> Option<String> {
    let event = &fact["event"];
    if event["warning"] == true {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&event["object"]["kind"]), text(&event["object"]["name"]));
        return Some(format!("{kind} {name}: {}: {}", text(&event["reason"]), text(&event["message"])));
    }
    let said = fact["line"]["text"].as_str().or(fact["note"]["text"].as_str());
    said.map(str::to_owned)
}

/// Fails unless the editor's log has each line of the session once, in the order of its frames.
#[track_caller]
pub(crate) fn assert_logged(editor: &mut Editor, release: &str, session: &str, frames: &[Value]) {
    let prefix = format!("{release} {session}: ");
    let text = |message: &Value| {
        let text = message["params"]["message"].as_str().unwrap_or_default();
        text.strip_prefix(&prefix).map(str::to_owned)
    };
    let is_line = |params: &Value| params["message"].as_str().is_some_and(|text| text.starts_with(&prefix));
    let recorded: Vec<String> = frames.iter().filter_map(|frame| line_of(&frame["fact"])).collect();
    assert!(!recorded.is_empty(), "the session has no lines");
    let log: Vec<String> =
        recorded.iter().filter_map(|_| text(&editor.receive("window/logMessage", is_line))).collect();
    assert_eq!(log, recorded);
    // The log is written beside everything else: what comes now comes before the answer to a request made later.
    let request = editor.execute("ktl.showSessions", json!({}));
    editor.response(request).expect("the sessions are listed");
    editor.message(" session");
    let more: Vec<_> = editor.take_all("window/logMessage").iter().filter_map(text).collect();
    assert!(more.is_empty(), "told twice: {more:#?}");
}

/// A program of ours for the user with this home, who has not set any of our variables.
pub(crate) fn program_of(home: &Path, name: &str) -> Command {
    let mut command = Command::new(binaries().join(name));
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("KTL_") || name.starts_with("XDG_")) {
            command.env_remove(variable);
        }
    }
    command.env("HOME", home).env("XDG_STATE_HOME", home.join("state"));
    command
}

/// The folder with the built programs.
pub(crate) fn binaries() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_ktl-lsp")).parent().expect("a binary is in a folder");
    let folder = std::env::var_os("KTL_TEST_BIN").map_or_else(|| built.to_owned(), PathBuf::from);
    assert!(
        folder.join("ktl-agent").is_file(),
        "there is no ktl-agent in {}; run `cargo build --workspace --bins` first",
        folder.display()
    );
    folder
}

/// Whether the test cluster has a node that is more than an entry in a list.
fn pulls_images() -> bool {
    let is_simulated = std::env::var("KTL_TEST_NODE").is_ok_and(|node| node == "simulated");
    if is_simulated {
        missing("the node is simulated, and an image that cannot be pulled needs one that pulls");
    }
    !is_simulated
}

/// What the machine must offer; without it the story is skipped, and in CI it fails.
pub(crate) fn needed(variable: &str, why: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).map(PathBuf::from);
    if value.is_none() {
        missing(&format!("{variable} is not set, and {why}"));
    }
    value
}

/// Says why a story is skipped; in CI that is a failure.
#[track_caller]
fn missing(what: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!is_ci, "{what}; run `cargo xtask test`");
    eprintln!("skipped: {what}");
}
