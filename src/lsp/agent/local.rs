//! The agent that we start for the user: one per state folder, found again by the next editor.
//!
//! The truth about what runs is the agent itself: `agent.json` only says where to ask. Whoever starts one holds
//! `start.lock`, so two editors that open together end up with one agent. A crash of ours between any two steps
//! leaves an agent that the next start finds through the line it printed when it was ready.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use self::{
    found::{Found, find},
    start::{create_private, start},
};
use super::AgentError;
use crate::settings::Remote;

mod found;
mod record;
mod spawn;
mod start;

/// How long an agent may take from its start to its ready line. A store that has to recover reads its log first.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// How long another editor may hold the start lock.
const LOCK_DEADLINE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(20);

/// Where the agent of this user lives, and which program it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalAgent {
    /// `$XDG_STATE_HOME/ktl`: its data, its token, its log.
    pub(crate) state_dir: PathBuf,
    /// `KTL_AGENT_BIN`, when set; otherwise the one beside us, otherwise the one in `PATH`.
    pub(crate) program: Option<PathBuf>,
}

/// Why the local agent could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// No `ktl-agent` anywhere.
    #[error("no ktl-agent in {beside} or in PATH; install it there, or set KTL_AGENT_BIN to its path")]
    NoProgram {
        /// The folder that our own executable is in.
        beside: String,
    },
    /// The state folder cannot be used.
    #[error("cannot use {}: {source}; the local agent keeps its sessions there (XDG_STATE_HOME moves it)", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended, or said nothing, before it was ready.
    #[error("the local agent did not start: {said}; its log is {}", log.display())]
    NotReady {
        /// Its last words.
        said: String,
        /// Where all of them are.
        log: PathBuf,
    },
    /// Another editor has been starting it for too long.
    #[error("another editor has been starting the local agent for {0} s; close it, or remove its start.lock")]
    Locked(u64),
}

/// An agent that answered.
pub(super) struct Running {
    pub(super) remote: Remote,
    pub(super) notice: Option<String>,
}

impl LocalAgent {
    /// The agent below the user's state folder.
    pub(crate) fn of_user() -> Self {
        let home =
            || env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from).join(".local/state");
        let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            state_dir: state.unwrap_or_else(home).join("ktl"),
            program: env::var_os("KTL_AGENT_BIN").and_then(|path| std::path::absolute(path).ok()),
        }
    }

    /// Whether an agent ever kept sessions here, so that there may be something to show.
    pub(crate) fn has_history(&self) -> bool {
        self.data_dir().is_dir()
    }

    fn data_dir(&self) -> PathBuf {
        self.state_dir.join("agent")
    }

    /// The process that the agent's lock file names, if it lives. Only one of our own user counts: nobody else's can
    /// be signalled. After a reboot the number may be another program's, so this is for a first look.
    fn holder(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.lock_file()).ok()?.trim().parse().ok()?;
        spawn::is_alive(pid).then_some(pid)
    }

    /// Whether an agent holds the data folder. Asked only under `start.lock`: for a moment the probe holds the lock
    /// itself, and an agent that starts just then would be refused.
    fn is_held(&self) -> bool {
        let Ok(file) = fs::File::open(self.lock_file()) else { return false };
        matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
    }

    /// The agent's own lock on its data, with its pid inside.
    fn lock_file(&self) -> PathBuf {
        self.data_dir().join("agent.lock")
    }

    fn token_file(&self) -> PathBuf {
        self.state_dir.join("token")
    }

    fn log_file(&self) -> PathBuf {
        self.state_dir.join("agent.log")
    }

    /// The ready line of the agent that started last.
    fn ready_file(&self) -> PathBuf {
        self.state_dir.join("agent.ready")
    }

    /// The stdout of an agent that is starting. A file of its own: one that cannot start must not take away the
    /// ready line of the one that runs.
    fn starting_file(&self) -> PathBuf {
        self.state_dir.join("agent.starting")
    }

    fn record_file(&self) -> PathBuf {
        self.state_dir.join("agent.json")
    }
}

/// The running agent of this user, started if there is none.
pub(super) async fn ensure(agent: &LocalAgent) -> Result<Running, AgentError> {
    create_private(&agent.state_dir)?;
    if let Some(found) = find(agent).await
        && found.is_current()
    {
        return Ok(found.into_running());
    }
    let _lock = lock(&agent.state_dir.join("start.lock")).await?;
    // Whoever held the lock before us may have started one.
    if let Some(found) = settle(agent).await? {
        if !found.may_be_replaced() {
            return Ok(found.into_running());
        }
        found.stop().await;
    }
    start(agent).await
}

/// The agent that holds the data folder, once it answers. One whose editor went away while it started is not ready
/// yet: a second one would be refused, so it gets the time that a start may take.
async fn settle(agent: &LocalAgent) -> Result<Option<Found>, LocalError> {
    let end = Instant::now() + READY_DEADLINE;
    loop {
        if let Some(found) = find(agent).await {
            return Ok(Some(found));
        }
        if !agent.is_held() {
            return Ok(None);
        }
        if Instant::now() > end {
            let who =
                agent.holder().map_or_else(|| "another".to_owned(), |pid| format!("the one with pid {pid}"));
            let said = format!("{who} holds the data folder and does not answer; stop it");
            return Err(LocalError::NotReady { said, log: agent.log_file() });
        }
        sleep(POLL).await;
    }
}

/// The lock is the kernel's: it ends with the process that holds it, however that ends.
async fn lock(path: &Path) -> Result<fs::File, LocalError> {
    let folder = |source| LocalError::Folder { path: path.to_owned(), source };
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(folder)?;
    let end = Instant::now() + LOCK_DEADLINE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(source)) => return Err(folder(source)),
            Err(fs::TryLockError::WouldBlock) if Instant::now() > end => {
                return Err(LocalError::Locked(LOCK_DEADLINE.as_secs()));
            }
            Err(fs::TryLockError::WouldBlock) => sleep(POLL).await,
        }
    }
}

#[cfg(test)]
mod tests;
