//! One user: a folder with files, a scripted agent, and the editors in front of them. No cluster, no helm.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use ktl_proto::control::v1::fact::Body;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agent::Agent;
use crate::editor::Editor;
use crate::shipped;

/// The file that describes the one release of most scenes.
pub(crate) const CONFIG: &str =
    "releases:\n  - name: web\n    chart: ./web\n    namespace: shop\n    values: [values.yaml]\n";

/// Its workspace.
pub(crate) const FILES: [(&str, &str); 3] = [
    (".ktl.yaml", CONFIG),
    ("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n"),
    ("values.yaml", "replicas: 3\n"),
];

/// A folder, and an agent for what is in it.
pub(crate) struct Scene {
    folder: TempDir,
    home: TempDir,
    pub(crate) agent: Agent,
}

impl Scene {
    /// A folder with these files, and an agent whose runs tell `plot`.
    pub(crate) fn of(files: &[(&str, &str)], plot: Vec<Body>) -> Self {
        let folder = || tempfile::Builder::new().prefix("ktl-wedge-").tempdir().expect("a folder");
        let scene = Self { folder: folder(), home: folder(), agent: Agent::start(plot) };
        for (file, text) in files {
            scene.write(file, text);
        }
        scene
    }

    /// A file of the folder.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The same for the editor.
    pub(crate) fn uri(&self, file: &str) -> String {
        format!("file://{}", self.path(file).display())
    }

    /// Changes a file as another program would.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("its folder can be made");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Takes a file away.
    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("the file was there");
    }

    /// Tells an editor's server that files changed on the disk: 1 created, 2 changed, 3 deleted.
    pub(crate) fn tell(&self, editor: &Editor, changes: &[(&str, u8)]) {
        let change = |(file, kind): &(&str, u8)| json!({ "uri": self.uri(file), "type": kind });
        let changes: Vec<Value> = changes.iter().map(change).collect();
        editor.notify("workspace/didChangeWatchedFiles", json!({ "changes": changes }));
    }

    /// An editor with the folder open, after the handshake.
    pub(crate) fn editor(&self, capabilities: &Value) -> Editor {
        let mut editor = Editor::start_command(&mut self.program());
        let folder = json!({ "uri": format!("file://{}", self.folder.path().display()), "name": "w" });
        let process = std::process::id();
        editor.initialize(
            json!({ "processId": process, "capabilities": capabilities, "workspaceFolders": [folder] }),
        );
        editor
    }

    /// Runs `ktl-lsp` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).output().expect("ktl-lsp starts")
    }

    /// Opens a file as it is on the disk.
    pub(crate) fn open(&self, editor: &Editor, file: &str) {
        editor.open(&self.uri(file), &fs::read_to_string(self.path(file)).expect("the file is there"));
    }

    /// The lenses of an open file.
    pub(crate) fn lenses(&self, editor: &mut Editor, file: &str) -> Vec<Value> {
        let params = json!({ "textDocument": { "uri": self.uri(file) } });
        let lenses = editor.call("textDocument/codeLens", params).expect("lenses are served");
        lenses.as_array().cloned().unwrap_or_default()
    }

    /// What the lenses of an open file say.
    pub(crate) fn titles(&self, editor: &mut Editor, file: &str) -> Vec<String> {
        let lenses = self.lenses(editor, file);
        lenses.iter().map(|lens| lens["command"]["title"].as_str().expect("a title").to_owned()).collect()
    }

    fn program(&self) -> Command {
        let mut command = Command::new(shipped());
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(|name| name.starts_with("KTL_") || name.starts_with("XDG_")) {
                command.env_remove(variable);
            }
        }
        command
            .env("HOME", self.home.path())
            .env("XDG_STATE_HOME", self.home.path().join("state"))
            .env("KTL_REMOTE_AGENT", self.agent.address())
            .current_dir(self.folder.path());
        command
    }
}

/// Starts an apply; its session.
pub(crate) fn apply(editor: &mut Editor, argument: Value) -> String {
    let request = editor.execute("ktl.apply", argument);
    let answer = editor.response(request).expect("ktl.apply is accepted");
    answer["sessionId"].as_str().expect("a session").to_owned()
}

/// Waits for the end of a session's progress and for the message that says how it went; the latter.
pub(crate) fn verdict(editor: &mut Editor, session: &str) -> String {
    let token = format!("ktl/{session}");
    editor.receive("$/progress", |params| params["token"] == *token && params["value"]["kind"] == "end");
    editor.message(session)
}
