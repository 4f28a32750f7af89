//! Helix in a terminal of tmux's, read off its screen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::environment;
use crate::workspace::{FAULT, Workspace};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn helix_shows_a_fault_on_its_line() -> Result<()> {
    let Some([hx, bin]) = environment::paths(["KTL_TEST_HX", "KTL_TEST_BIN"]) else {
        return Ok(());
    };
    if Command::new("tmux").arg("-V").output().is_err() {
        environment::skip("tmux is not in PATH; `apt-get install tmux`");
        return Ok(());
    }
    let workspace = Workspace::create(&[])?;
    let config = workspace.xdg("CONFIG").join("helix");
    fs::create_dir_all(&config)?;
    fs::copy(environment::root().join("editors/helix/languages.toml"), config.join("languages.toml"))?;

    let terminal = Terminal::start(&workspace, &hx, &bin, "values/dev.yaml:4:2")?;
    let screen = terminal.wait_for(FAULT)?;
    let line = screen.lines().find(|line| line.contains("limits")).context("the file is shown")?;
    assert!(line.contains('●'), "the fault is marked in the gutter of its line: {screen}");
    Ok(())
}

/// One program in a tmux server of its own, which ends with this value.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    fn start(workspace: &Workspace, hx: &Path, bin: &Path, file: &str) -> Result<Self> {
        let terminal = Self { socket: workspace.home().join("tmux") };
        let mut command = workspace.command(Path::new("tmux"), bin);
        command.arg("-S").arg(&terminal.socket).args([
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "150",
            "-y",
            "30",
        ]);
        let status =
            command.arg(hx).arg(file).env("LANG", "C.UTF-8").env("TERM", "xterm-256color").status()?;
        ensure!(status.success(), "tmux did not start: {status}");
        Ok(terminal)
    }

    /// The screen, once `text` stands on it.
    fn wait_for(&self, text: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.tmux(&["capture-pane", "-p"])?;
            let screen = String::from_utf8_lossy(&output.stdout).into_owned();
            // Helix breaks a message where it meets the text beside it.
            if screen.split_whitespace().collect::<Vec<_>>().join(" ").contains(text) {
                return Ok(screen);
            }
            if Instant::now() > deadline {
                bail!("{text:?} did not appear in {PATIENCE:?}:\n{screen}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn tmux(&self, arguments: &[&str]) -> Result<std::process::Output> {
        Ok(Command::new("tmux").arg("-u").arg("-S").arg(&self.socket).args(arguments).output()?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}
