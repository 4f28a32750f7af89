//! The `ktl-lsp` program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Runs Helm operations as durable sessions and puts every failure on its line.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Serve an editor over standard input and output. That is also what happens without any argument.
    #[arg(long)]
    stdio: bool,
    #[command(subcommand)]
    command: Option<ktl_lsp::cli::Command>,
}

fn main() -> anyhow::Result<ExitCode> {
    let Args { stdio: _, command } = Args::parse();
    log_to_stderr();
    Ok(match command {
        Some(command) => ktl_lsp::cli::run(command)?,
        None => ktl_lsp::serve()?,
    })
}

/// Standard output belongs to the protocol. `KTL_LOG` says how much is logged: `warn` (default), `debug`, `ktl_lsp=trace`.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("KTL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
