//! Starts programs: the only place in xtask that does.
//!
//! Promises: a program that fails is reported with its name, its exit status and the end of what it said; one that is
//! not installed is reported as missing. Does not know what any program is for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many of a failed program's last lines are repeated in the error.
const TAIL_LINES: usize = 15;

/// A program about to be started.
pub(crate) struct Program {
    command: Command,
}

impl Program {
    /// The program `name`: a path, or a name to find in `PATH`.
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name);
        command.stdin(Stdio::null());
        Self { command }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn envs(
        mut self,
        all: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> Self {
        self.command.envs(all);
        self
    }

    /// Hides a variable of ours from it.
    pub(crate) fn without(mut self, variable: &str) -> Self {
        self.command.env_remove(variable);
        self
    }

    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs to its end and gives its standard output; what it said on standard error is shown when it fails.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| self.cannot_start())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{} ended with {}\n{}", self.shown(), output.status, tail(&said));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs to its end with all its output in the file `log`; the end of that file is shown when it fails.
    pub(crate) fn run(mut self, log: &Path) -> Result<()> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write the log {}", log.display()))?;
        self.command.stdout(file.try_clone()?).stderr(file);
        let status = self.command.status().with_context(|| self.cannot_start())?;
        if !status.success() {
            bail!("{} ended with {status}; its log is {}\n{}", self.shown(), log.display(), tail_of(log));
        }
        Ok(())
    }

    /// Whether it can be started and ends well. Its output is dropped.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    /// Starts it with all its output in the file `log`, and does not wait.
    pub(crate) fn start(mut self, log: &Path) -> Result<Child> {
        let file = File::create(log).with_context(|| format!("cannot write the log {}", log.display()))?;
        self.command.stdout(file.try_clone()?).stderr(file);
        self.command.spawn().with_context(|| self.cannot_start())
    }

    /// Starts it with its standard input and output in the caller's hands, and what it says on standard error in `log`.
    pub(crate) fn talk(mut self, log: &Path) -> Result<Child> {
        let file = File::create(log).with_context(|| format!("cannot write the log {}", log.display()))?;
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        self.command.spawn().with_context(|| self.cannot_start())
    }

    fn cannot_start(&self) -> String {
        format!("cannot start {}: is it installed?", self.shown())
    }

    /// The program and its first arguments, enough to recognize it.
    fn shown(&self) -> String {
        let mut words = vec![self.command.get_program().to_string_lossy().into_owned()];
        words.extend(self.command.get_args().take(4).map(|arg| arg.to_string_lossy().into_owned()));
        words.join(" ")
    }
}

/// The file that `name` means in `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // A user's PATH often lacks the folders where Debian keeps what only root calls.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The last lines of the file `log`, or nothing when it cannot be read.
pub(crate) fn tail_of(log: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(log) {
        // A log that cannot be read leaves the error without its tail, not without its first line.
        let _ = file.read_to_end(&mut bytes);
    }
    tail(&String::from_utf8_lossy(&bytes))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_program_and_repeats_what_it_said() {
        let error = Program::new("sh").args(["-c", "echo no such flag >&2; exit 3"]).read().unwrap_err();
        let shown = format!("{error:#}");
        assert!(shown.contains("sh -c"), "{shown}");
        assert!(shown.contains("exit status: 3"), "{shown}");
        assert!(shown.contains("no such flag"), "{shown}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_said_to_be_missing() {
        let error = Program::new("ktl-no-such-program").read().unwrap_err();
        assert!(format!("{error:#}").contains("is it installed?"));
    }

    #[test]
    fn only_the_end_of_a_long_log_is_repeated() {
        let lines: Vec<String> = (1..=100).map(|line| format!("line {line}")).collect();
        let kept = tail(&lines.join("\n"));
        assert!(kept.starts_with("line 86\n") && kept.ends_with("line 100"), "{kept}");
    }
}
