//! The cgroup that holds the pods of a cluster, in every hierarchy of the machine.
//!
//! Promises: its name depends on the cluster's folder only, so it can be removed when nothing else is known. Knows
//! version 1 (a hierarchy per controller) and version 2 (one for all). Puts no process into it; the kubelet does.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A hash of the cluster's folder: two cache folders may hold clusters of the same name, and cgroups are shared.
pub(super) fn hash(dir: &Path) -> [u8; 4] {
    let hash = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The name of the cgroup, below the root of each hierarchy.
pub(super) fn name(dir: &Path) -> String {
    let cluster = dir.file_name().unwrap_or_default().to_string_lossy();
    format!("ktl-{cluster}-{:08x}", u32::from_be_bytes(hash(dir)))
}

/// Makes it in every hierarchy: a kubelet insists that its root is there.
pub(super) fn create(dir: &Path) -> Result<()> {
    for hierarchy in hierarchies()? {
        let cgroup = hierarchy.join(name(dir));
        fs::create_dir_all(&cgroup)
            .with_context(|| format!("cannot make the cgroup {}", cgroup.display()))?;
    }
    Ok(())
}

/// Removes it from every hierarchy, waiting at most `patience` for the kernel to let go of the last process.
pub(super) fn remove(dir: &Path, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    for hierarchy in hierarchies()? {
        let cgroup = hierarchy.join(name(dir));
        while cgroup.exists() {
            let Err(error) = remove_with_children(&cgroup) else { continue };
            if begun.elapsed() > patience {
                return Err(error).with_context(|| format!("cannot remove the cgroup {}", cgroup.display()));
            }
            sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Where it still is.
pub(super) fn left(dir: &Path) -> Result<Vec<PathBuf>> {
    let all = hierarchies()?.into_iter().map(|hierarchy| hierarchy.join(name(dir)));
    Ok(all.filter(|cgroup| cgroup.exists()).collect())
}

/// Only folders can be removed there; their files are the kernel's.
fn remove_with_children(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_with_children(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}

fn hierarchies() -> Result<Vec<PathBuf>> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    Ok(hierarchies_in(&mountinfo))
}

fn hierarchies_in(mountinfo: &str) -> Vec<PathBuf> {
    let cgroup = |line: &&str| line.split(" - ").nth(1).is_some_and(|rest| rest.starts_with("cgroup"));
    mountinfo.lines().filter(cgroup).filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found() {
        let found = hierarchies_in(
            "30 1 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:5 - cgroup cgroup rw,cpu
31 1 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
42 1 0:31 / /c/devices rw - tmpfs tmpfs rw
",
        );
        assert_eq!(found, [Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup/unified")]);
    }

    #[test]
    fn clusters_of_the_same_name_in_two_caches_have_their_own() {
        let (one, other) = (name(Path::new("/a/dev")), name(Path::new("/b/dev")));
        assert!(one.starts_with("ktl-dev-") && one != other, "{one} {other}");
    }
}
