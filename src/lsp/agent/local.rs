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

use ktl_proto::control::v1::InfoResponse;
use tokio::time::{Instant, sleep};

use self::record::{Record, read_ready};
use super::{AgentError, connect};
use crate::settings::{Remote, Token};

mod record;
mod spawn;

/// How long an agent may take from its start to its ready line. A store that has to recover reads its log first.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// How long another editor may hold the start lock.
const LOCK_DEADLINE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(20);
/// An agent of ours answers over loopback; one that does not is gone.
const ALIVE_DEADLINE: Duration = Duration::from_secs(3);

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

/// An agent that runs and answers.
struct Found {
    remote: Remote,
    info: InfoResponse,
}

impl Found {
    fn is_current(&self) -> bool {
        self.info.version == env!("CARGO_PKG_VERSION")
    }

    fn may_be_replaced(&self) -> bool {
        !self.is_current() && self.info.running == 0
    }

    fn into_running(self) -> Running {
        let notice = (!self.is_current()).then(|| {
            format!(
                "the local agent is version {}, this is {}; it is replaced by the next start after its {} running operations have ended",
                self.info.version,
                env!("CARGO_PKG_VERSION"),
                self.info.running
            )
        });
        Running { remote: self.remote, notice }
    }

    /// Asks it to end, and waits until it has. One that does not end keeps its data locked, which the start then says.
    async fn stop(self) {
        spawn::terminate(self.info.pid);
        let end = Instant::now() + Duration::from_secs(10);
        while spawn::is_alive(self.info.pid) && Instant::now() < end {
            sleep(POLL).await;
        }
    }
}

/// Asks at every address that an agent of this folder may have. Nobody is asked when the agent is gone: its port may
/// belong to somebody else by now, who would be told the token and sent the sources.
async fn find(agent: &LocalAgent) -> Option<Found> {
    agent.holder()?;
    let token = fs::read_to_string(agent.token_file()).ok()?;
    let token = Token::new(token.trim());
    let recorded = Record::read(&agent.record_file()).map(|record| record.grpc);
    let announced =
        [agent.ready_file(), agent.starting_file()].map(|path| read_ready(&path).map(|ready| ready.grpc));
    let mut addresses: Vec<String> = recorded.into_iter().chain(announced.into_iter().flatten()).collect();
    addresses.dedup();
    for address in addresses {
        let remote = Remote { token: Some(token.clone()), ..Remote::plain(&address) };
        if let Ok(Ok((_, Some(info)))) = tokio::time::timeout(ALIVE_DEADLINE, connect::ask(&remote)).await {
            let found = Found { remote, info };
            record(agent, &found);
            return Some(found);
        }
    }
    None
}

async fn start(agent: &LocalAgent) -> Result<Running, AgentError> {
    let program = program(agent)?;
    create_private(&agent.data_dir())?;
    let token = fresh_token(&agent.token_file())?;
    let mut child = spawn::spawn(&program, agent)?;
    let end = Instant::now() + READY_DEADLINE;
    let not_ready = |said: String| LocalError::NotReady { said, log: agent.log_file() };
    let ready = loop {
        if let Some(ready) = read_ready(&agent.starting_file()) {
            let _ = fs::rename(agent.starting_file(), agent.ready_file());
            break ready;
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(not_ready(last_words(&agent.log_file()).unwrap_or_else(|| status.to_string())).into());
        }
        if Instant::now() > end {
            return Err(not_ready(format!("not ready after {} s", READY_DEADLINE.as_secs())).into());
        }
        sleep(POLL).await;
    };
    spawn::reap(child);
    let remote = Remote { token: Some(token), ..Remote::plain(&ready.grpc) };
    let (_, info) = connect::ask(&remote).await?;
    let found = Found { remote, info: info.unwrap_or_default() };
    record(agent, &found);
    Ok(found.into_running())
}

/// Only a hint for the next editor, so a failure to write it costs nothing but a second look.
fn record(agent: &LocalAgent, found: &Found) {
    let record = Record {
        pid: found.info.pid,
        grpc: found.remote.address.clone(),
        http: found.info.http_url.clone(),
        version: found.info.version.clone(),
        token_file: agent.token_file(),
    };
    if Record::read(&agent.record_file()).as_ref() != Some(&record)
        && let Err(error) = record.write(&agent.record_file())
    {
        tracing::warn!(%error, "agent.json was not written");
    }
}

fn program(agent: &LocalAgent) -> Result<PathBuf, LocalError> {
    if let Some(program) = &agent.program {
        return Ok(program.clone());
    }
    let own = env::current_exe().unwrap_or_default();
    let beside = own.parent().unwrap_or(Path::new("/"));
    let in_path = env::var_os("PATH").unwrap_or_default();
    std::iter::once(beside.to_owned())
        .chain(env::split_paths(&in_path))
        .map(|folder| folder.join("ktl-agent"))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| LocalError::NoProgram { beside: beside.display().to_string() })
}

/// A folder that only the user may enter.
fn create_private(path: &Path) -> Result<(), LocalError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| LocalError::Folder { path: path.to_owned(), source })
}

/// A new token for an agent that is about to start: random, readable by the user only. The one before ends with its
/// agent, so whoever learned it has nothing.
fn fresh_token(path: &Path) -> Result<Token, LocalError> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let folder = |source| LocalError::Folder { path: path.to_owned(), source };
    let text = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(folder)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(folder)?;
    fs::rename(&fresh, path).map_err(folder)?;
    Ok(Token::new(&text))
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

fn last_words(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
