//! What plays the node: a kubelet with containerd where the machine allows it, else kwok.
//!
//! Promises: says which and why. The real node needs root, Linux namespaces and writable cgroups; it pulls nothing,
//! its images are our own. Does not know the control plane.

mod config;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::init::{Plan, Service};
use super::simulated::Simulated;
use super::state::{NodeKind, State};
use super::{cgroups, images};
use crate::cache::Cache;
use crate::process::{self, Program};
use crate::say;
use crate::tools::debian::{self, Need};

/// Debian's packages for a node, each with a program that tells whether something else has brought it already.
const NEEDS: [Need; 3] = [
    Need { program: "containerd", package: "containerd" },
    Need { program: "runc", package: "runc" },
    Need { program: "/bin/busybox", package: "busybox-static" },
];

/// Where the network plugins may be: Debian's place and everybody else's.
const PLUGINS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// Paths that kubelet, containerd and its network plugins use whatever they are told. Each cluster gets its own.
const FIXED_PATHS: [&str; 6] = [
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/opt/cni/net.d",
];

/// Either kind of node.
#[derive(Debug)]
pub(super) enum Node {
    Real(Real),
    Simulated(Simulated),
}

/// kubelet and containerd.
#[derive(Debug)]
pub(super) struct Real {
    containerd: PathBuf,
    ctr: PathBuf,
    plugins: PathBuf,
}

/// The best node that this machine can run.
pub(super) fn choose(cache: &Cache) -> Result<Node> {
    match real() {
        Ok(real) => Ok(Node::Real(real)),
        Err(why) => {
            say::line(&format!("no real node on this machine, the node is simulated: {why:#}"));
            simulated(cache)
        }
    }
}

/// The node that every machine can run.
pub(super) fn simulated(cache: &Cache) -> Result<Node> {
    Simulated::find(cache).map(Node::Simulated)
}

fn real() -> Result<Real> {
    let root = fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0);
    anyhow::ensure!(root, "a kubelet needs root");
    debian::ensure(&NEEDS)?;
    if plugins().is_none() {
        debian::install(&["containernetworking-plugins"])?;
    }
    let plugins = plugins().with_context(|| format!("no network plugin ptp in {}", PLUGINS.join(" or ")))?;
    let namespaces =
        Program::new("unshare").args(["--mount", "--pid", "--fork", "--mount-proc", "true"]).succeeds();
    anyhow::ensure!(namespaces, "`unshare --mount --pid` is not allowed here");
    let probe = Path::new("/ktl-probe");
    cgroups::create(probe).and_then(|()| cgroups::remove(probe, std::time::Duration::from_secs(1)))?;
    let found = |name| process::find(name).with_context(|| format!("{name} is not installed"));
    Ok(Real { containerd: found("containerd")?, ctr: found("ctr")?, plugins })
}

fn plugins() -> Option<PathBuf> {
    PLUGINS.iter().map(PathBuf::from).find(|folder| folder.join("ptp").is_file())
}

impl Node {
    pub(super) fn kind(&self) -> NodeKind {
        match self {
            Self::Real(_) => NodeKind::Real,
            Self::Simulated(_) => NodeKind::Simulated,
        }
    }

    /// What runs for the node of the cluster in `dir`; writes the configuration of those programs.
    pub(super) fn plan(&self, dir: &Path, state: &State) -> Result<Plan> {
        match self {
            Self::Real(real) => real.plan(dir, state),
            Self::Simulated(simulated) => Ok(simulated.plan(dir, state)),
        }
    }

    /// What the node needs while the control plane starts. Calls `check` while it waits.
    pub(super) fn prepare(&self, cache: &Cache, dir: &Path, check: impl Fn() -> Result<()>) -> Result<()> {
        match self {
            Self::Real(real) => images::import(cache, &real.ctr, &socket(dir), check),
            Self::Simulated(_) => Ok(()),
        }
    }

    /// Makes the node known to the control plane, which answers by now. A kubelet does that itself.
    pub(super) fn join(&self, dir: &Path, kubectl: &dyn Fn() -> Program) -> Result<()> {
        match self {
            Self::Real(_) => Ok(()),
            Self::Simulated(_) => Simulated::join(dir, kubectl),
        }
    }
}

impl Real {
    fn plan(&self, dir: &Path, state: &State) -> Result<Plan> {
        let network = dir.join("network");
        fs::create_dir_all(&network)?;
        fs::create_dir_all(dir.join("kubelet"))?;
        let containerd_config = dir.join("containerd.toml");
        let kubelet_config = dir.join("kubelet.json");
        fs::write(&containerd_config, config::containerd(dir, &self.plugins))?;
        fs::write(&kubelet_config, serde_json::to_vec_pretty(&config::kubelet(dir, state))?)?;
        fs::write(network.join("10-ptp.conflist"), serde_json::to_vec_pretty(&config::network(dir, state))?)?;
        cgroups::create(dir)?;
        Ok(Plan {
            mounts: FIXED_PATHS.iter().map(PathBuf::from).collect(),
            first: vec![Service {
                name: "containerd".into(),
                program: self.containerd.clone(),
                args: vec![format!("--config={}", containerd_config.display())],
            }],
            then: vec![Service {
                name: "kubelet".into(),
                program: state.assets.join("kubelet"),
                args: vec![
                    format!("--config={}", kubelet_config.display()),
                    format!("--kubeconfig={}", dir.join("kubeconfig").display()),
                    format!("--root-dir={}", dir.join("kubelet").display()),
                    format!("--cert-dir={}", dir.join("kubelet/pki").display()),
                    // Under this name the API server reaches it over loopback, for logs and exec.
                    "--hostname-override=localhost".into(),
                ],
            }],
            ..Plan::default()
        })
    }
}

/// Where containerd listens.
fn socket(dir: &Path) -> PathBuf {
    dir.join("containerd.sock")
}
