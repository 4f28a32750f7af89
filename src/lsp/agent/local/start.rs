//! Starts a local agent: its program, its folder, its token, and the wait for its ready line.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tokio::time::{Instant, sleep};

use super::{
    LocalAgent, LocalError, POLL, READY_DEADLINE, Running,
    found::{Found, record},
    record::read_ready,
    spawn,
};
use crate::{
    agent::{AgentError, connect},
    settings::{Remote, Token},
};

/// Starts an agent and waits until it is ready.
pub(super) async fn start(agent: &LocalAgent) -> Result<Running, AgentError> {
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
pub(super) fn create_private(path: &Path) -> Result<(), LocalError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| LocalError::Folder { path: path.to_owned(), source })
}

/// A new token for an agent that is about to start: random, readable by the user only. The one before ends with its
/// agent, so whoever learned it has nothing.
pub(super) fn fresh_token(path: &Path) -> Result<Token, LocalError> {
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

fn last_words(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}
