//! The shim: a small process of this same binary that runs one command and outlives the agent.
//!
//! The agent writes what to run into a folder of its own and starts `ktl-agent shim --run FOLDER`. The shim makes a
//! session of its own, runs the command in a process group of its own, and leaves everything in the folder:
//!
//! | file | who writes it | what it says |
//! |---|---|---|
//! | `command.json` | agent | the [`Command`] |
//! | `shim.json` | shim | its [`Process`]; made exclusively, so a folder runs once, whoever asks |
//! | `output.ndjson` | shim | one [`Record`] per line of output, written as it comes |
//! | `exit.json` | shim | the [`Exit`], in one piece, last |
//!
//! Record N of a folder is the same record after every restart: its number is what makes frames countable.
//! Nothing here knows helm, sessions or clusters.

mod folder;
mod launch;
mod lines;
mod process;
mod run;
mod tail;

use std::{ffi::OsString, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use folder::{write_atomically, write_json};
pub use launch::{LaunchError, Launcher, change_environment};
pub use process::Process;
pub use run::run;
pub use tail::{Tail, Tailed, stop};

/// What the shim runs. The environment is the one that the shim itself was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// A file for standard output as it is, instead of records.
    pub stdout: Option<PathBuf>,
    /// How long it may take to end after it was asked to, before it is killed.
    pub grace_seconds: u64,
}

/// Environment on top of the agent's own: set, or removed where there is no value.
pub type Environment = Vec<(OsString, Option<OsString>)>;

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Unix nanoseconds.
    pub at: i64,
    /// Where it came from.
    pub stream: Stream,
    /// The line without its end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// How the command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, unless a signal ended it or it never ran.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it could not be started.
    pub error: Option<String>,
    /// Somebody asked it to end.
    pub asked: bool,
    /// How many records there are.
    pub records: u64,
    /// How many lines could not be kept, as the disk took no more.
    #[serde(default)]
    pub lost: u64,
}

impl Exit {
    /// It ended by itself and well.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Unix nanoseconds now.
pub(crate) fn now_nanos() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
