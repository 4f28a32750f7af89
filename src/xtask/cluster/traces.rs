//! What of a cluster is left on the machine.
//!
//! Looks in other places than `teardown` does: at every process's command line and mounts, at the routes of its pods.
//! Changes nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{cgroups, processes};

/// Everything found that belongs to the cluster in `dir` with pods in `subnet`, in words.
pub(super) fn find(dir: &Path, subnet: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if dir.exists() {
        found.push(format!("the folder {}", dir.display()));
    }
    for process in processes::marked(dir)? {
        found.push(format!("the process {}", process.pid));
    }
    found.extend(in_processes(dir)?);
    for cgroup in cgroups::left(dir)? {
        found.push(format!("the cgroup {}", cgroup.display()));
    }
    let routes = fs::read_to_string("/proc/net/route").context("cannot read /proc/net/route")?;
    found.extend(routes_into(subnet, &routes).map(|interface| format!("the interface {interface}")));
    Ok(found)
}

/// Command lines and mounts of any process, in whichever namespace, that name `dir`.
fn in_processes(dir: &Path) -> Result<Vec<String>> {
    let dir = format!("{}/", dir.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() {
            continue;
        }
        for what in ["cmdline", "mountinfo"] {
            // A process that just ended leaves no trace.
            let text = fs::read(format!("/proc/{name}/{what}")).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(&dir) {
                found.push(format!("the {what} of process {name}"));
            }
        }
    }
    Ok(found)
}

/// The interfaces with a route into `subnet`, which is a /24, in the text of `/proc/net/route`.
fn routes_into<'a>(subnet: &str, routes: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
    let bytes: Vec<u8> = subnet.split(['.', '/']).take(3).filter_map(|byte| byte.parse().ok()).collect();
    // The kernel prints the address as one number, its first byte last.
    let ends = bytes.iter().rev().fold(String::new(), |text, byte| format!("{text}{byte:02X}"));
    routes.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (interface, destination) = (fields.next()?, fields.next()?);
        destination.ends_with(&ends).then_some(interface)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_to_a_pod_is_found_by_its_range() {
        let routes = "Iface\tDestination\tGateway\neth0\t00000000\t010200C0\nveth12\t0207580A\t00000000\n";
        assert_eq!(routes_into("10.88.7.0/24", routes).collect::<Vec<_>>(), ["veth12"]);
        assert_eq!(routes_into("10.88.8.0/24", routes).count(), 0);
    }
}
