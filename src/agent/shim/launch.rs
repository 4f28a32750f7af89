//! The agent's side of starting a shim.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command as Program, time::sleep};

use super::{Command, Environment, folder};
use crate::sources::folder::private_folder;

/// How a shim is started: this binary and its hidden subcommand.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
}

/// Why there is no shim.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The run folder, or the binary, did not let us.
    #[error("cannot start the shim in {folder:?}; see that the disk behind --data has space")]
    Start {
        /// The shim's folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It ended before it began.
    #[error("the shim ended before it ran anything: {said}")]
    Ended {
        /// What it wrote to its log.
        said: String,
    },
}

impl Launcher {
    /// Shims of this program, which understands `shim --run FOLDER`.
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Starts the command in a folder and returns when the shim has it. A folder whose shim was started before,
    /// by whomever, is left as it is: nothing runs twice.
    pub async fn launch(
        &self,
        at: &Path,
        command: &Command,
        environment: &Environment,
    ) -> Result<(), LaunchError> {
        let failed = |source| LaunchError::Start { folder: at.to_owned(), source };
        if was_launched(at) {
            return Ok(());
        }
        private_folder(at).map_err(failed)?;
        // After a power cut, a folder that is gone would look as if nothing had run.
        folder::settle_name(at).map_err(failed)?;
        folder::write_json(&at.join(folder::COMMAND), command).map_err(failed)?;
        let mut child = self.program(at, environment).map_err(failed)?.spawn().map_err(failed)?;
        while !was_launched(at) {
            if child.try_wait().map_err(failed)?.is_some() && !was_launched(at) {
                let said = fs::read_to_string(at.join(folder::LOG)).unwrap_or_default();
                return Err(LaunchError::Ended { said: said.trim().to_owned() });
            }
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    fn program(&self, at: &Path, environment: &Environment) -> io::Result<Program> {
        let mut program = Program::new(&self.program);
        program.arg("shim").arg("--run").arg(at);
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(at.join(folder::LOG))?);
        change_environment(&mut program, environment);
        Ok(program)
    }
}

/// Sets and removes what the environment says.
pub fn change_environment(program: &mut Program, environment: &Environment) {
    for (name, value) in environment {
        match value {
            Some(value) => program.env(name, value),
            None => program.env_remove(name),
        };
    }
}

/// Whether a shim took this folder.
pub(super) fn was_launched(at: &Path) -> bool {
    at.join(folder::SHIM).exists()
}
