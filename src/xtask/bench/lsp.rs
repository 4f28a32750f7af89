//! `bench lsp`: how long an editor waits for the server.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Programs;
use super::editor::{Editor, uri};
use super::measure::Measured;
use crate::cache::Cache;
use crate::process::Program;
use crate::scratch::Scratch;
use crate::{local_agent, say};

const STARTS: usize = 30;
const SESSIONS: usize = 10;
const COMMANDS: usize = 300;
const HOVERS: usize = 300;
const VALUES_LINES: usize = 20_000;

pub(super) fn run(cache: &Cache, programs: &Programs) -> Result<Vec<Measured>> {
    let scratch = Scratch::new("bench-lsp")?;
    let bench = Bench { cache, programs, root: scratch.path().to_owned() };
    bench.write_workspace()?;
    let measured = bench.all();
    // The server has started an agent, which outlives it.
    local_agent::stop(&bench.state())?;
    measured
}

struct Bench<'a> {
    cache: &'a Cache,
    programs: &'a Programs,
    root: PathBuf,
}

impl Bench<'_> {
    fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }

    /// Releases of one small chart, and a helm that never stops talking.
    fn write_workspace(&self) -> Result<()> {
        let workspace = self.workspace();
        fs::create_dir_all(workspace.join("chart/templates"))?;
        fs::write(workspace.join("chart/Chart.yaml"), "apiVersion: v2\nname: chart\nversion: 0.1.0\n")?;
        fs::write(workspace.join("chart/values.yaml"), "size: 1\n")?;
        fs::write(workspace.join(".ktl.yaml"), releases())?;
        fs::write(self.root.join("kubeconfig"), KUBECONFIG)?;
        let helm = self.helm();
        fs::write(&helm, HELM)?;
        fs::set_permissions(&helm, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(())
    }

    fn all(&self) -> Result<Vec<Measured>> {
        Ok(vec![self.start()?, self.memory()?, self.hover()?, self.commands()?])
    }

    fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    fn helm(&self) -> PathBuf {
        self.root.join("helm")
    }

    fn server(&self) -> Result<Editor> {
        let program = Program::new(&self.programs.lsp)
            .env("XDG_STATE_HOME", self.state())
            .env("KTL_AGENT_BIN", &self.programs.agent)
            .env("KTL_HELM", self.helm())
            .env("KUBECONFIG", self.root.join("kubeconfig"));
        Editor::start(program, &self.cache.log("bench-lsp"))
    }

    fn start(&self) -> Result<Measured> {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let begun = Instant::now();
            let mut editor = self.server()?;
            editor.initialize(&self.workspace())?;
            times.push(begun.elapsed());
        }
        Ok(Measured::time("start to the answer to initialize, median", 50.0, times, 15.0))
    }

    fn memory(&self) -> Result<Measured> {
        let mut editor = self.server()?;
        editor.initialize(&self.workspace())?;
        editor.open(&self.workspace().join(".ktl.yaml"), &releases())?;
        sleep(Duration::from_secs(3));
        Measured::memory("idle memory", editor.pid(), 20.0)
    }

    /// An edit of a large file and at once a question about a small one.
    fn hover(&self) -> Result<Measured> {
        let mut editor = self.server()?;
        editor.initialize(&self.workspace())?;
        let (large, small) = (self.workspace().join("values-large.yaml"), self.workspace().join(".ktl.yaml"));
        let mut text = String::new();
        for line in 0..VALUES_LINES {
            writeln!(text, "key{line}: value of line {line}")?;
        }
        editor.open(&large, &text)?;
        editor.open(&small, &releases())?;
        let position = json!({"textDocument": {"uri": uri(&small)}, "position": {"line": 1, "character": 6}});
        editor.request("textDocument/hover", &position)?;
        let mut times = Vec::new();
        for version in 1..=HOVERS {
            let line = version * 7919 % VALUES_LINES;
            let at = json!({"line": line, "character": 3});
            let change = json!({"range": {"start": at, "end": at}, "text": "x"});
            let document = json!({"uri": uri(&large), "version": version});
            editor.notify(
                "textDocument/didChange",
                &json!({"textDocument": document, "contentChanges": [change]}),
            )?;
            times.push(editor.request("textDocument/hover", &position)?.1);
        }
        Ok(Measured::time("hover right after an edit of 20,000 lines, p99", 99.0, times, 5.0))
    }

    /// Commands while sessions stream.
    fn commands(&self) -> Result<Measured> {
        let mut editor = self.server()?;
        editor.initialize(&self.workspace())?;
        editor.open(&self.workspace().join(".ktl.yaml"), &releases())?;
        let mut sessions = Vec::new();
        for number in 0..SESSIONS {
            let answer =
                execute(&mut editor, "ktl.apply", &json!({"release": format!("release-{number}")}))?.0;
            let session = answer["sessionId"].as_str().context("ktl.apply answered no session")?;
            sessions.push(session.to_owned());
        }
        self.wait_until_streaming()?;
        say::line(&format!("{SESSIONS} sessions stream"));
        let mut times = Vec::new();
        for number in 0..COMMANDS {
            let session = &sessions[number % SESSIONS];
            times.push(execute(&mut editor, "ktl.attach", &json!({"sessionId": session}))?.1);
            sleep(Duration::from_millis(20));
        }
        for session in &sessions {
            execute(&mut editor, "ktl.cancel", &json!({"sessionId": session}))?;
        }
        Ok(Measured::time("executeCommand while 10 sessions stream, p99", 99.0, times, 20.0))
    }

    /// Every stand-in for helm leaves a file when it starts to talk.
    fn wait_until_streaming(&self) -> Result<()> {
        let begun = Instant::now();
        let talking = || fs::read_dir(self.root.join("talking")).map_or(0, Iterator::count);
        while talking() < SESSIONS {
            ensure!(
                begun.elapsed() < Duration::from_mins(1),
                "only {} of {SESSIONS} sessions stream",
                talking()
            );
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

fn execute(editor: &mut Editor, command: &str, argument: &Value) -> Result<(Value, Duration)> {
    editor.request("workspace/executeCommand", &json!({"command": command, "arguments": [argument]}))
}

fn releases() -> String {
    let entries = (0..SESSIONS)
        .map(|number| format!("  - name: release-{number}\n    chart: ./chart\n    namespace: bench\n"));
    format!("releases:\n{}", entries.collect::<Vec<_>>().concat())
}

/// Nobody listens there; the stand-in for helm does not ask.
const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "bench",
 "clusters": [{"name": "bench", "cluster": {"server": "http://127.0.0.1:1"}}],
 "users": [{"name": "bench", "user": {}}],
 "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}]}"#;

/// A helm that talks at a steady rate, a hundred lines a second, for at most a minute.
const HELM: &str = r#"#!/bin/sh
case "$1" in
version) echo 'v4.3.1'; exit 0 ;;
upgrade)
  mkdir -p "$(dirname "$0")/talking"
  : > "$(dirname "$0")/talking/$$"
  round=0
  while [ "$round" -lt 600 ]; do
    for line in 1 2 3 4 5 6 7 8 9 10; do echo "level=DEBUG msg=\"beginning wait for resource $round $line\"" >&2; done
    round=$((round + 1))
    sleep 0.1
  done ;;
esac
"#;
