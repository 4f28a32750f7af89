//! The first process of a cluster: it starts the others and ends with them.
//!
//! For a real node it is process 1 of a process namespace and sits in a mount namespace, both of the cluster's own: when
//! it is killed, the kernel kills containerd, its shims and every pod with it, and what they mounted is gone. That is
//! what makes `cluster down` complete after any crash. Does not know what the programs are.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::NodeKind;
use super::processes::{Identity, MARK};
use crate::process::Program;
use crate::say;

/// What the first process starts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Folders that get an empty file system of the cluster's own, because the programs insist on these paths.
    pub(super) mounts: Vec<PathBuf>,
    pub(super) first: Vec<Service>,
    /// Ends well as soon as the services of `then` may start.
    pub(super) ready: Vec<String>,
    pub(super) then: Vec<Service>,
}

/// A program that runs as long as the cluster.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

impl Plan {
    /// This and the other's.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.mounts.extend(other.mounts);
        self.first.extend(other.first);
        self.then.extend(other.then);
        self
    }
}

/// Starts the first process of the cluster in `dir` and leaves it running.
pub(super) fn start(dir: &Path, plan: &Plan, node: NodeKind) -> Result<Identity> {
    let file = dir.join("plan.json");
    fs::write(&file, serde_json::to_vec_pretty(plan)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let logs = dir.join("logs");
    fs::create_dir_all(&logs)?;
    // In a session of its own, so that neither Ctrl-C nor a closed terminal reaches it.
    let mut program = Program::new("setsid");
    if node == NodeKind::Real {
        // `--kill-child`: the process that is recorded is unshare itself, and whoever kills it kills all.
        program = program.args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    }
    // A copy, because cargo may replace this program while it runs.
    let this = dir.join("xtask");
    fs::copy("/proc/self/exe", &this).context("cannot copy this program into the cluster folder")?;
    let child =
        program.arg(this).args(["cluster", "init"]).arg(dir).env(MARK, dir).start(&logs.join("init.log"))?;
    Identity::of(child.id()).context("the cluster ended at once")
}

/// Runs as the first process: starts what `plan.json` in `dir` says and ends when one of the services has ended.
pub(crate) fn run(dir: &Path) -> Result<()> {
    let text = fs::read_to_string(dir.join("plan.json")).context("the cluster folder has no plan.json")?;
    let plan: Plan = serde_json::from_str(&text)?;
    for folder in &plan.mounts {
        fs::create_dir_all(folder)?;
        Program::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "ktl"]).arg(folder).read()?;
    }
    let mut running = Vec::new();
    for service in &plan.first {
        running.push((spawn(dir, service)?, service));
    }
    let Some((ready, args)) = plan.ready.split_first() else {
        bail!("plan.json does not say when the cluster is ready")
    };
    while !Program::new(ready).args(args).succeeds() {
        if let Some(status) = ended(&running) {
            bail!(status);
        }
        sleep(Duration::from_millis(100));
    }
    for service in &plan.then {
        running.push((spawn(dir, service)?, service));
    }
    loop {
        // As process 1 it also inherits every process whose parent ended, and must not leave zombies.
        while let Some((pid, status)) = reaped() {
            if let Some((_, service)) = running.iter().find(|(service, _)| *service == pid) {
                // A cluster with a part missing gives puzzling failures; one that is gone is plain.
                bail!("{} ended with {status}", service.name);
            }
        }
        sleep(Duration::from_millis(200));
    }
}

fn spawn(dir: &Path, service: &Service) -> Result<u32> {
    say::line(&format!("starting {}", service.name));
    let log = dir.join("logs").join(format!("{}.log", service.name));
    let child = Program::new(&service.program).args(&service.args).start(&log)?;
    // Not waited for through the handle: `reaped` sees every process that ends, this one included.
    Ok(child.id())
}

/// The first service that has ended, in words. Before the cluster is ready nothing else is there to reap.
fn ended(running: &[(u32, &Service)]) -> Option<String> {
    let (pid, status) = reaped()?;
    let (_, service) = running.iter().find(|(service, _)| *service == pid)?;
    Some(format!("{} ended with {status}", service.name))
}

/// A child that has ended, without waiting for one.
#[allow(unsafe_code)]
fn reaped() -> Option<(u32, ExitStatus)> {
    let mut status = 0;
    // SAFETY: `waitpid` writes one int to a valid place. No other thread waits for children of this process: `Program`
    // waits only for those it was told to run, and never while this is called.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    Some((u32::try_from(pid).ok().filter(|pid| *pid > 0)?, ExitStatus::from_raw(status)))
}
