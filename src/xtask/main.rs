//! `cargo xtask`: the project's own tasks.

mod bench;
mod cache;
mod cluster;
mod demo;
mod faults;
mod gate;
mod hex;
mod local_agent;
mod process;
mod say;
mod scratch;
mod tools;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cache::Cache;
use crate::cluster::Cluster;
use crate::tools::{TOOLS, Tool};

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// A real Kubernetes on this machine.
    #[command(subcommand)]
    Cluster(ClusterTask),
    /// The whole loop on real parts: a lens in an editor, a failure on its line, a rollout, a replay in a browser.
    Demo {
        /// Uses this context of your own kubeconfig, and there only the namespace `ktl-demo`.
        #[arg(long, value_name = "NAME")]
        context: Option<String>,
        /// Keeps its pictures in this folder.
        #[arg(long, value_name = "DIR")]
        shots: Option<PathBuf>,
    },
    /// Measures what the project promises about speed and memory.
    Bench {
        /// Which one: lsp or agent.
        name: String,
        /// Prints one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Cuts the power at random moments and compares what the store still has with what it had acknowledged.
    Faults {
        /// How many cuts.
        #[arg(long, default_value_t = 1000)]
        points: u64,
        /// The seed of the first one; each has the next.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Everything that must hold before a change goes in; ends with a line `N passed, N failed, N skipped`.
    Test {
        /// Runs only this part; repeatable.
        #[arg(long, value_name = "PART")]
        only: Vec<String>,
        /// Prints the parts and runs none.
        #[arg(long)]
        list: bool,
    },
    /// Installs what tests and the demo need and prints the variables that lead there, for a shell.
    Tools {
        /// Which ones; all when none is named.
        names: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum ClusterTask {
    /// Starts a cluster and waits until it is ready.
    Up {
        #[command(flatten)]
        named: Named,
        /// With a node on which pods run on paper only, as on a machine without root.
        #[arg(long)]
        simulated: bool,
    },
    /// Ends a cluster and removes everything it was.
    Down(Named),
    /// Prints the variables that lead to a running cluster, for a shell: `eval "$(cargo xtask cluster env)"`.
    Env(Named),
    /// The first process of a cluster; started by `up`.
    #[command(hide = true)]
    Init { dir: PathBuf },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Which cluster; several can run side by side.
    #[arg(long, default_value = "dev")]
    name: String,
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Cluster(task) => cluster(task),
        Task::Demo { context, shots } => demo::run(&demo::Options { context, shots }),
        Task::Bench { name, json } => bench::run(&name, json),
        Task::Faults { points, seed } => faults::run(points, seed),
        Task::Test { list: true, .. } => {
            gate::list();
            Ok(())
        }
        Task::Test { only, .. } => gate::run(&only),
        Task::Tools { names } => tools(&names),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn cluster(task: ClusterTask) -> Result<()> {
    let cache = Cache::open()?;
    match task {
        ClusterTask::Up { named, simulated } => {
            let cluster = Cluster::named(&cache, &named.name)?;
            let state = if simulated { cluster.up_simulated(&cache) } else { cluster.up(&cache) };
            state.map(drop)
        }
        ClusterTask::Down(named) => Cluster::named(&cache, &named.name)?.down(&cache),
        ClusterTask::Env(named) => {
            print(&cluster::exports(&Cluster::named(&cache, &named.name)?.env()?));
            Ok(())
        }
        ClusterTask::Init { dir } => cluster::run_init(&dir),
    }
}

fn tools(names: &[String]) -> Result<()> {
    let cache = Cache::open()?;
    let all = || TOOLS.iter().collect();
    let chosen: Vec<&Tool> = if names.is_empty() {
        all()
    } else {
        names.iter().map(|name| Tool::named(name)).collect::<Result<_>>()?
    };
    let mut variables = Vec::new();
    for tool in chosen {
        variables.push((tool.variable.to_owned(), tool.find(&cache)?.display().to_string()));
    }
    print(&cluster::exports(&variables));
    Ok(())
}

/// What a script reads goes to standard output, everything else to standard error.
#[allow(clippy::print_stdout)]
fn print(text: &str) {
    print!("{text}");
}
