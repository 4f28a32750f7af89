//! A terminal that nobody looks at: a window of tmux, in a server of our own.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::Program;

pub(super) const COLUMNS: usize = 108;
pub(super) const ROWS: usize = 20;

/// A window with one program in it. Ends with this value.
#[derive(Debug)]
pub(super) struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Runs `command`, a line for the shell, in `folder`, with these variables.
    pub(super) fn start(
        socket: &Path,
        folder: &Path,
        variables: &[(&str, String)],
        command: &str,
    ) -> Result<Self> {
        let terminal = Self { socket: socket.to_owned() };
        let size = ["-x".to_owned(), COLUMNS.to_string(), "-y".to_owned(), ROWS.to_string()];
        let program = terminal.tmux().args(["new-session", "-d", "-s", "demo"]).args(size);
        let program = variables.iter().fold(program, |program, (name, value)| program.env(name, value));
        program.arg("-c").arg(folder).arg(command).read()?;
        // The line with the window's name is no part of the editor.
        terminal.tmux().args(["set-option", "-g", "status", "off"]).read()?;
        Ok(terminal)
    }

    /// Types: names of keys as tmux knows them, anything else as it stands.
    pub(super) fn keys(&self, keys: &[&str]) -> Result<()> {
        self.tmux().args(["send-keys", "-t", "demo"]).args(keys).read().map(drop)
    }

    /// What is on the screen, as plain text.
    pub(super) fn text(&self) -> Result<String> {
        self.tmux().args(["capture-pane", "-p", "-t", "demo"]).read()
    }

    /// What is on the screen, with colors as escape sequences.
    pub(super) fn colored(&self) -> Result<String> {
        self.tmux().args(["capture-pane", "-e", "-p", "-t", "demo"]).read()
    }

    fn tmux(&self) -> Program {
        Program::new("tmux").args(["-u", "-f", "/dev/null", "-S"]).arg(&self.socket)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux().arg("kill-server").succeeds();
    }
}
