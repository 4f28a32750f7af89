//! One agent for one data folder, and for one file of sessions.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// The lock of a data folder, held until it is dropped. The kernel drops it with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent has it.
    #[error(
        "{folder} belongs to the running ktl-agent with pid {pid}: stop it, or name another folder with --data"
    )]
    Taken {
        /// The folder.
        folder: String,
        /// Its agent; "unknown" in the moment between its lock and its note.
        pid: String,
    },
    /// The lock file cannot be made.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The lock file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Takes `agent.lock` in `folder` and writes our pid into it.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        Self::hold(&folder.join("agent.lock"), folder)
    }

    /// Takes `FILE.lock` beside a file of sessions that lies elsewhere.
    pub fn take_file(file: &Path) -> Result<Self, LockError> {
        let mut path = file.as_os_str().to_owned();
        path.push(".lock");
        Self::hold(Path::new(&path), file)
    }

    fn hold(path: &Path, what: &Path) -> Result<Self, LockError> {
        let fail = |source| LockError::Io { path: path.display().to_string(), source };
        let mut options = File::options();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(path).unwrap_or_default();
                let pid = if pid.trim().is_empty() { "unknown" } else { pid.trim() };
                return Err(LockError::Taken { folder: what.display().to_string(), pid: pid.into() });
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(fail)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused_and_told_the_first_ones_pid() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
        drop(lock);
        assert!(Lock::take(folder.path()).is_ok());
    }
}
