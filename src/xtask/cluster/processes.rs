//! Which processes belong to a cluster.
//!
//! Promises: a process number that the kernel has given to somebody else is never taken for ours. Does not start
//! anything.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process::Program;

/// The variable that every process of a cluster carries; its value is the cluster's folder.
pub(super) const MARK: &str = "KTL_CLUSTER_DIR";

/// A process for good: numbers are used again, a number with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// In clock ticks since the machine started.
    started: u64,
}

impl Identity {
    /// The process that has the number `pid` now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let started =
            started(&stat).with_context(|| format!("/proc/{pid}/stat has no start time: {stat:?}"))?;
        Ok(Self { pid, started })
    }

    /// Whether it is still there and not a zombie.
    pub(crate) fn runs(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else { return false };
        started(&stat) == Some(self.started)
            && !matches!(after_name(&stat), Some(rest) if rest.starts_with('Z'))
    }

    /// Whether the program that runs in it is `name`, by the name it was called with.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let called = line.split(|byte| *byte == 0).next().unwrap_or_default();
        Path::new(&*String::from_utf8_lossy(called)).file_name().is_some_and(|file| file == name)
    }

    /// Ends it at once. What it protects with signal handlers is not worth keeping.
    pub(crate) fn kill(&self) {
        if self.runs() {
            // It may have gone between the two lines; then there is nothing to kill and nothing to report.
            Program::new("kill").args(["-KILL", &self.pid.to_string()]).succeeds();
        }
    }
}

/// All processes that carry the mark of the cluster in `dir`.
pub(super) fn marked(dir: &Path) -> Result<Vec<Identity>> {
    let mark = format!("{MARK}={}", dir.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // Processes of other users and those that just ended cannot be read: neither is ours.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            found.extend(Identity::of(pid));
        }
    }
    Ok(found)
}

/// The start time in the text of `/proc/PID/stat`: field 22, counted after the name, which may hold anything.
fn started(stat: &str) -> Option<u64> {
    after_name(stat)?.split(' ').nth(19)?.parse().ok()
}

/// The text from the state letter on.
fn after_name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(')')?.1.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "17 (a (b) 9 c) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 99";
        assert_eq!(started(stat), Some(4711));
        assert_eq!(started("nonsense"), None);
    }

    #[test]
    fn this_process_runs_and_one_with_its_number_but_another_start_does_not() {
        let this = Identity::of(std::process::id()).unwrap();
        assert!(this.runs());
        assert!(!Identity { started: this.started + 1, ..this }.runs());
    }

    #[test]
    fn a_process_is_found_by_its_mark_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut child = Program::new("sleep").arg("60").env(MARK, dir.path()).start(&log).unwrap();
        let found = marked(dir.path()).unwrap();
        assert_eq!(found.iter().map(|identity| identity.pid).collect::<Vec<_>>(), [child.id()]);
        found[0].kill();
        assert!(!child.wait().unwrap().success());
        assert!(!found[0].runs());
    }
}
