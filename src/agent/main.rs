//! The `ktl-agent` program: arguments in, exit code out.

use std::{
    future::Future,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use ktl_agent::{
    app::App,
    config::{Cli, Command, Config, double_dashes, unused_environment},
    import, log, maintenance,
    mask::Memory,
    shim, shutdown,
};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let cli = Cli::parse_from(double_dashes(std::env::args_os()));
    let ended = match cli.command {
        // One thread is enough to read two pipes, and a shim may live for hours.
        Some(command) => block_on(Builder::new_current_thread(), maintain(command)),
        None => match Config::new(cli.serve) {
            Ok(config) => block_on(Builder::new_multi_thread(), serve(config)),
            Err(mistakes) => {
                eprintln!("{mistakes}");
                return ExitCode::from(2);
            }
        },
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", Memory::default().mask_log(&format!("ktl-agent: {error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn block_on(mut runtime: Builder, task: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = runtime.enable_all().build().context("cannot start")?;
    let ended = runtime.block_on(task);
    // A read that hangs in the file system must not hold the process.
    runtime.shutdown_background();
    ended
}

/// What is done to a store beside the agent; its outcome goes to stdout.
async fn maintain(command: Command) -> anyhow::Result<()> {
    let said = match command {
        Command::Backup { file, place } => maintenance::backup(&place.read()?, &file)?,
        Command::Restore { file, place } => maintenance::restore(&file, &place.read()?)?,
        Command::Import { file, place } => import::import(&file, &place.read()?).await?,
        Command::Prune { place, retention, dry_run } => {
            maintenance::prune(&place.read()?, &retention.named()?, dry_run).await?
        }
        Command::Shim { run } => {
            return shim::run(&run).await.with_context(|| format!("cannot run {}", run.display()));
        }
    };
    writeln!(io::stdout(), "{said}").context("cannot write to stdout")
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let memory = Memory::default();
    log::init(&memory);
    for words in unused_environment() {
        tracing::info!("{words}");
    }
    let app = App::build(config, memory).await?;
    // Caught from here on: whoever reads the ready line may send a signal at once.
    let signals = shutdown::signals().context("cannot catch signals")?;
    writeln!(io::stdout(), "{}", app.ready()).context("cannot write the ready line to stdout")?;
    app.run(async { signals.await.to_owned() }).await
}
