//! Starts and ends the agent's process.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{LocalAgent, LocalError};
use crate::agent::detach::detached;

/// An agent that nobody uses and that runs nothing ends after so long.
const IDLE_EXIT_SECONDS: &str = "900";
/// A log beyond this is started anew; it is for looking at the last failure, not an archive.
const LOG_LIMIT: u64 = 8 * 1024 * 1024;

/// Starts the agent in a session of its own. Its stdout becomes the starting file, its stderr the log.
pub(super) fn spawn(program: &Path, agent: &LocalAgent) -> Result<Child, LocalError> {
    let ready_path = agent.starting_file();
    let log_path = agent.log_file();
    let ready =
        File::create(&ready_path).map_err(|source| LocalError::Folder { path: ready_path, source })?;
    let log = open_log(&log_path).map_err(|source| LocalError::Folder { path: log_path, source })?;
    let mut command = Command::new(program);
    command
        .args(["--local", "--listen", "127.0.0.1:0", "--idle-exit", IDLE_EXIT_SECONDS])
        .arg("--data")
        .arg(agent.data_dir())
        .arg("--token-file")
        .arg(agent.token_file())
        .current_dir(&agent.state_dir)
        // The token of somebody else's agent is none of its business.
        .env_remove("KTL_REMOTE_TOKEN")
        .stdin(Stdio::null())
        .stdout(ready)
        .stderr(log);
    detached(&mut command).spawn().map_err(|source| LocalError::Folder { path: program.to_owned(), source })
}

/// Waits for the child on a thread of its own, so that an agent that ends before us leaves no zombie.
pub(super) fn reap(mut child: Child) {
    std::thread::spawn(move || child.wait());
}

/// Asks a process to end.
pub(super) fn terminate(pid: u32) {
    signal(pid, libc::SIGTERM);
}

/// Whether there is such a process.
pub(super) fn is_alive(pid: u32) -> bool {
    signal(pid, 0)
}

fn signal(pid: u32, signal: libc::c_int) -> bool {
    // 0 and negative numbers mean groups of processes.
    let Ok(pid @ 1..) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: kill takes two integers and touches no memory of ours.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::kill(pid, signal) };
    answer == 0
}

fn open_log(path: &Path) -> io::Result<File> {
    let too_long = fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT);
    OpenOptions::new().create(true).append(!too_long).write(true).truncate(too_long).open(path)
}
