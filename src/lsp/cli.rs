//! The same operations without an editor: in a terminal, or in CI.
//!
//! It runs the path that a lens runs: the same discovery, the same sources, the same agent. Standard output carries
//! what was asked for, in text or one JSON value a line; everything else goes to standard error. Exit codes: 0 done,
//! 1 failed or not known, 2 could not start, 130 cancelled or left alone.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    agent::{Agent, AgentError},
    settings::{Asking, told},
    workspace::Buffers,
};

mod apply;
mod excerpt;
mod follow;
mod json;
mod output;
mod sessions;
mod text;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apply a release: helm upgrade --install, then watch the rollout.
    Apply(apply::Apply),
    /// Follow a session to its end; short for `sessions attach`.
    Attach(sessions::Attach),
    /// List, show, follow, cancel and export sessions.
    Sessions {
        /// What to do with them.
        #[command(subcommand)]
        command: sessions::Sessions,
    },
}

/// Where and how, the same for every command.
#[derive(Debug, Args)]
pub struct Common {
    /// The folder with the .ktl.yaml or the chart; the current one by default.
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// The agent to use instead of the configured one: https://host:port.
    #[arg(long, value_name = "URL")]
    agent: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON value a line.
    Json,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    /// Nothing was started.
    NotStarted,
    Cancelled,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::NotStarted => 2,
            Outcome::Cancelled => 130,
        })
    }
}

/// Runs one command to its end.
///
/// # Errors
/// When the threads for it cannot be started.
pub fn run(command: Command) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let result = match command {
            Command::Apply(apply) => apply.run().await,
            Command::Attach(attach) => attach.run().await,
            Command::Sessions { command } => command.run().await,
        };
        result.unwrap_or_else(|message| {
            output::complain(&message);
            Outcome::NotStarted
        })
    });
    runtime.shutdown_background();
    Ok(outcome.into())
}

impl Common {
    /// The folder, absolute.
    fn folder(&self) -> Result<PathBuf, String> {
        let folder = self.workspace.clone().unwrap_or_else(|| PathBuf::from("."));
        let absolute =
            std::path::absolute(&folder).and_then(|path| path.canonicalize()).map_err(|error| {
                format!("--workspace {}: {error}; name a folder that exists", folder.display())
            })?;
        if absolute.is_dir() {
            Ok(absolute)
        } else {
            Err(format!("--workspace {}: not a folder; name the one with the .ktl.yaml", folder.display()))
        }
    }

    /// The agent for work on what `file` describes.
    fn agent(&self, file: Option<&std::path::Path>) -> Result<Agent, String> {
        let asking =
            Asking { folders: vec![self.folder()?], argument: self.agent.clone(), ..Asking::default() };
        let agent = asking.target(file, &Buffers::default()).map(Agent::new);
        let agent = agent.map_err(|mistakes| told(&mistakes))?;
        if let Some(caution) = agent.caution() {
            output::complain(caution);
        }
        Ok(agent)
    }
}

/// An error as the message that ends a command.
fn words(error: &AgentError) -> String {
    error.to_string()
}
