//! A workspace with one release, in a folder that goes with the test, and the agent that its editor started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::environment;

/// The fault in `values/dev.yaml`: `limits` stands one column left of where it could. Lines and columns from 1.
pub(crate) const FAULT: &str = "did not find expected key";

const VALUES: &str = "\
greeting: hello
resources:
  requests: small
 limits: large
";

const CHART: [(&str, &str); 2] = [
    ("chart/Chart.yaml", "apiVersion: v2\nname: greeter\nversion: 0.1.0\n"),
    (
        "chart/templates/greeting.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  greeting: {{ .Values.greeting | quote }}\n",
    ),
];

/// The folder, and a home of its own for the editor's files and the agent's.
pub(crate) struct Workspace {
    folder: TempDir,
    home: TempDir,
}

impl Workspace {
    /// With `values/dev.yaml` broken, whose own name says nothing of values, and `keys` added to the release's entry in
    /// `.ktl.yaml`.
    pub(crate) fn create(keys: &[&str]) -> Result<Self> {
        let workspace =
            Self { folder: TempDir::with_prefix("ktl-editor-")?, home: TempDir::with_prefix("ktl-home-")? };
        let entry = ["name: greeter", "chart: ./chart", "values: [values/dev.yaml]"];
        let entry: Vec<&str> = entry.iter().chain(keys).copied().collect();
        let config = format!("releases:\n  - {}\n", entry.join("\n    "));
        workspace.write(".ktl.yaml", &config)?;
        workspace.write("values/dev.yaml", VALUES)?;
        for (path, text) in CHART {
            workspace.write(path, text)?;
        }
        Ok(workspace)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Lets `program` run here: our programs first in PATH, the helm of the tests for the agent that an editor starts,
    /// and nothing of the user's own configuration or sessions.
    pub(crate) fn command(&self, program: &Path, bin: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder()).env("PATH", environment::path_with(bin));
        if let Some(helm) = std::env::var_os("KTL_TEST_HELM") {
            command.env("KTL_HELM", helm);
        }
        for name in ["CONFIG", "DATA", "STATE", "CACHE"] {
            command.env(format!("XDG_{name}_HOME"), self.xdg(name));
        }
        command
    }

    /// The folder that stands for `$XDG_NAME_HOME`.
    pub(crate) fn xdg(&self, name: &str) -> PathBuf {
        self.home().join(name.to_lowercase())
    }
}

impl Drop for Workspace {
    /// The agent outlives its editor on purpose. Here it must not outlive the test.
    fn drop(&mut self) {
        let state = self.xdg("STATE").join("ktl/agent.json");
        let Ok(text) = fs::read_to_string(state) else { return };
        let agent: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let Some(pid) = agent["pid"].as_i64().and_then(|pid| libc::pid_t::try_from(pid).ok()) else { return };
        terminate(pid);
    }
}

/// Ends a process and waits until it is gone.
#[allow(unsafe_code)]
fn terminate(pid: libc::pid_t) {
    // SAFETY: kill takes numbers and touches no memory of ours. The pid is of an agent that this test's editor started
    // a moment ago, in a state folder that nobody else knows.
    let signal = |number| unsafe { libc::kill(pid, number) };
    signal(libc::SIGTERM);
    let deadline = Instant::now() + Duration::from_secs(10);
    while signal(0) == 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
}
