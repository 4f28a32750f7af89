//! Ends a cluster, whatever state it is in.
//!
//! Promises: afterwards there is no process, mount, network namespace or cgroup of it, nor its folder; also when any
//! of its processes was killed before. Does not need a readable state file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cgroups;
use super::processes::{self, Identity};
use super::state::State;
use crate::process::Program;

/// How long the kernel may take to end processes and free their cgroups.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends the cluster in `dir`; false when there was none.
pub(super) fn down(dir: &Path) -> Result<bool> {
    if !dir.exists() {
        return Ok(false);
    }
    // A state that cannot be read must not keep the rest alive: processes carry a mark and mounts a path.
    let state = State::read(dir).ok().flatten();
    kill(dir, state.as_ref().and_then(|state| state.init.as_ref()))?;
    for mount in mounts_below(dir, &fs::read_to_string("/proc/self/mountinfo")?) {
        Program::new("umount").arg("--lazy").arg(&mount).read()?;
    }
    cgroups::remove(dir, PATIENCE)?;
    fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    Ok(true)
}

fn kill(dir: &Path, init: Option<&Identity>) -> Result<()> {
    let begun = Instant::now();
    loop {
        // The first process before the others: with it the kernel ends the pods, which carry no mark.
        if let Some(init) = init {
            init.kill();
        }
        let left = processes::marked(dir)?;
        if left.is_empty() {
            return Ok(());
        }
        for process in &left {
            process.kill();
        }
        if begun.elapsed() > PATIENCE {
            let pids: Vec<String> = left.iter().map(|process| process.pid.to_string()).collect();
            bail!("processes of the cluster do not end: {}", pids.join(", "));
        }
        sleep(Duration::from_millis(50));
    }
}

/// The mount points at or below `dir` in the text of `/proc/self/mountinfo`, innermost first.
fn mounts_below(dir: &Path, mountinfo: &str) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let points: BTreeSet<PathBuf> = points.map(|point| PathBuf::from(point.replace("\\040", " "))).collect();
    points.into_iter().rev().filter(|point| point.starts_with(dir)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{NodeKind, place, processes::MARK};
    use super::*;

    const MOUNTINFO: &str = "\
40 1 8:1 / /c/dev/kubelet rw - ext4 /dev/a rw
41 40 0:30 / /c/dev/kubelet/pods/a\\040b rw - tmpfs tmpfs rw
42 1 0:31 / /c/devices rw - tmpfs tmpfs rw
";

    #[test]
    fn mounts_are_undone_from_the_inside_and_a_neighbor_is_left_alone() {
        let below = mounts_below(Path::new("/c/dev"), MOUNTINFO);
        assert_eq!(below, [Path::new("/c/dev/kubelet/pods/a b"), Path::new("/c/dev/kubelet")]);
    }

    #[test]
    fn a_cluster_whose_state_file_is_broken_is_ended_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("dev");
        let place = place::choose(&[], 0).unwrap();
        State::new("dev", Path::new("/"), NodeKind::Simulated, place).write(&dir).unwrap();
        let log = folder.path().join("log");
        let mut child = Program::new("sleep").arg("60").env(MARK, &dir).start(&log).unwrap();
        fs::write(dir.join("state.json"), "not json").unwrap();
        assert!(down(&dir).unwrap());
        assert!(!child.wait().unwrap().success());
        assert!(!dir.exists());
        assert!(!down(&dir).unwrap());
    }
}
