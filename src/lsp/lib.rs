//! The language server: from a lens in the editor to a session on the agent, and back as diagnostics.

mod agent;
mod analysis;
mod board;
mod capabilities;
pub mod cli;
mod command;
mod convert;
mod documents;
mod editor;
#[cfg(feature = "fault-injection")]
mod fault;
mod features;
mod hover;
mod progress;
mod releases;
mod runs;
#[cfg(test)]
mod samples;
mod server;
mod settings;
mod task;
mod transport;
mod workspace;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use self::transport::Ended;

/// How long tasks may take to notice that the server ends.
const WIND_DOWN: Duration = Duration::from_millis(100);

/// Serves one editor over standard input and output until it leaves.
///
/// The code is 0 when the editor said `shutdown` first, else 1. Runs go on: they belong to the agent.
///
/// # Errors
/// When the threads of the server cannot be started.
pub fn serve() -> io::Result<ExitCode> {
    // Two workers: one handler that blocks its thread does not stop the others. The caller's thread dispatches.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("lsp-worker")
        .max_blocking_threads(32)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let (service, socket) = server::service();
        transport::serve(server::Reading::new(service), socket, io::stdin(), io::stdout()).await
    });
    runtime.shutdown_timeout(WIND_DOWN);
    Ok(match ended? {
        Ended::AfterShutdown => ExitCode::SUCCESS,
        Ended::WithoutShutdown => ExitCode::FAILURE,
    })
}
