//! Real Kubernetes clusters on this machine: `cargo xtask cluster up | down | env`.
//!
//! Promises: a cluster has a folder, ports, a pod range and a cgroup of its own, so several run side by side; `down`
//! leaves no process, mount, network namespace or cgroup behind, also after any part of it was killed. Does not know
//! what the clusters are used for.

mod assets;
mod cgroups;
mod control_plane;
mod images;
mod init;
mod keys;
mod node;
mod place;
mod processes;
mod simulated;
mod state;
mod teardown;
mod traces;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub(crate) use self::init::run as run_init;
pub(crate) use self::state::{NodeKind, State};
use crate::cache::Cache;
use crate::process::{Program, tail_of};
use crate::say;

/// How long a cluster may take to get ready. Usually it takes a tenth of that; a machine that also compiles is slow.
const READY_WITHIN: Duration = Duration::from_mins(3);

/// A cluster by its name, running or not.
#[derive(Debug)]
pub(crate) struct Cluster {
    name: String,
    dir: PathBuf,
}

impl Cluster {
    /// The cluster `name` in the cache. The name becomes part of paths, of a cgroup and of socket addresses.
    pub(crate) fn named(cache: &Cache, name: &str) -> Result<Self> {
        let fits = (1..=20).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits {
            bail!("--name {name:?} is no cluster name: expected 1 to 20 of a-z, 0-9 and -");
        }
        let dir = cache.path("clusters").join(name);
        // The longest socket below the folder; the kernel takes 107 bytes.
        let longest = dir.join("kubelet/pod-resources/kubelet.sock");
        if longest.as_os_str().len() > 107 {
            let shown = longest.display();
            bail!("{shown} is too long for a socket address: set KTL_CACHE to a folder with a shorter path");
        }
        Ok(Self { name: name.to_owned(), dir })
    }

    /// Starts the cluster and waits until a pod can be scheduled. A cluster that already runs is left as it is.
    pub(crate) fn up(&self, cache: &Cache) -> Result<State> {
        self.up_on(cache, node::choose)
    }

    /// The same with a simulated node, whatever this machine could run.
    pub(crate) fn up_simulated(&self, cache: &Cache) -> Result<State> {
        self.up_on(cache, node::simulated)
    }

    fn up_on(&self, cache: &Cache, node: impl Fn(&Cache) -> Result<node::Node>) -> Result<State> {
        let _held = cache.lock(&format!("cluster-{}", self.name))?;
        if let Some(state) = self.running()? {
            say::line(&format!("cluster {} already runs: {}", self.name, state.node));
            return Ok(state);
        }
        teardown::down(&self.dir)?;
        let assets = assets::find(cache)?;
        let node = node(cache)?;
        let begun = Instant::now();
        let state = match self.start(cache, &assets, &node) {
            Ok(state) => state,
            Err(error) => {
                // What the programs said is needed to understand the failure; their folder goes, so it is repeated here.
                let error = error.context(format!("cluster {} did not start", self.name));
                teardown::down(&self.dir)?;
                return Err(error);
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        say::line(&format!("cluster {} is ready after {seconds:.1} s: {}", self.name, state.node));
        Ok(state)
    }

    /// Ends the cluster and removes everything that it was.
    pub(crate) fn down(&self, cache: &Cache) -> Result<()> {
        let _held = cache.lock(&format!("cluster-{}", self.name))?;
        if teardown::down(&self.dir)? {
            say::line(&format!("cluster {} is gone", self.name));
        } else {
            say::line(&format!("there is no cluster {}", self.name));
        }
        Ok(())
    }

    /// The variables that lead a program to this cluster, or an error when it does not run.
    pub(crate) fn env(&self) -> Result<Vec<(String, String)>> {
        let name = &self.name;
        let Some(state) = self.running()? else {
            bail!("cluster {name} does not run: start it with `cargo xtask cluster up --name {name}`");
        };
        let kubeconfig = self.kubeconfig().display().to_string();
        Ok(vec![
            ("KUBECONFIG".into(), kubeconfig.clone()),
            ("KTL_TEST_KUBECONFIG".into(), kubeconfig),
            ("KTL_TEST_NODE".into(), state.node.word().into()),
            ("KUBEBUILDER_ASSETS".into(), state.assets.display().to_string()),
        ])
    }

    /// Where the kubeconfig of the cluster is. Its one context has full rights.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Kills programs of the cluster, as a machine short of memory would. For tests of `down`.
    pub(crate) fn kill(&self, programs: &[&str]) -> Result<()> {
        for process in processes::marked(&self.dir)? {
            if programs.iter().any(|program| process.is_called(program)) {
                process.kill();
            }
        }
        Ok(())
    }

    /// Kills the first process of the cluster. For tests of `down`.
    pub(crate) fn kill_first(&self) -> Result<()> {
        let init = State::read(&self.dir)?.and_then(|state| state.init);
        init.with_context(|| format!("cluster {} has no first process", self.name))?.kill();
        Ok(())
    }

    /// What is left of it on the machine, in words; nothing after `down`. `state` tells where its pods were.
    pub(crate) fn traces(&self, state: &State) -> Result<Vec<String>> {
        traces::find(&self.dir, &state.place.pod_subnet())
    }

    fn running(&self) -> Result<Option<State>> {
        let state = State::read(&self.dir)?;
        Ok(state.filter(|state| state.init.as_ref().is_some_and(processes::Identity::runs)))
    }

    fn start(&self, cache: &Cache, assets: &Path, node: &node::Node) -> Result<State> {
        let begun = Instant::now();
        let mut state = {
            // Two clusters that start at the same time must not choose the same ports.
            let _held = cache.lock("clusters")?;
            let place = place::choose(&State::all(&cache.path("clusters"))?, cgroups::hash(&self.dir)[0])?;
            let state = State::new(&self.name, assets, node.kind(), place);
            state.write(&self.dir)?;
            state
        };
        let keys = keys::write(&self.dir, &state)?;
        let plan = control_plane::plan(&self.dir, &state, &keys).and(node.plan(&self.dir, &state)?);
        state.init = Some(init::start(&self.dir, &plan, node.kind())?);
        state.write(&self.dir)?;
        node.prepare(cache, &self.dir, || self.check_alive(&state, begun))?;
        let kubectl = |args: &[&str]| self.kubectl(assets).args(args).read();
        self.until(&state, begun, || kubectl(&["get", "--raw", "/readyz"]).is_ok_and(|said| said == "ok"))?;
        say::line(&format!("control plane ready after {:.1} s", begun.elapsed().as_secs_f64()));
        node.join(&self.dir, &|| self.kubectl(assets))?;
        // Without its default account a namespace takes no pods.
        let account = ["get", "serviceaccount", "default", "--output=name"];
        let ready = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        self.until(&state, begun, || {
            kubectl(&["get", "nodes", "--output", ready]).is_ok_and(|said| said == "True")
                && kubectl(&account).is_ok()
        })?;
        Ok(state)
    }

    /// kubectl as administrator of the cluster.
    pub(crate) fn kubectl(&self, assets: &Path) -> Program {
        Program::new(assets.join("kubectl")).arg("--kubeconfig").arg(self.kubeconfig())
    }

    fn until(&self, state: &State, begun: Instant, mut holds: impl FnMut() -> bool) -> Result<()> {
        while !holds() {
            self.check_alive(state, begun)?;
            sleep(Duration::from_millis(150));
        }
        Ok(())
    }

    /// An error, with what the programs said last, when the cluster has died or takes too long.
    fn check_alive(&self, state: &State, begun: Instant) -> Result<()> {
        let lives = state.init.as_ref().is_some_and(processes::Identity::runs);
        if lives && begun.elapsed() < READY_WITHIN {
            return Ok(());
        }
        let logs = self.dir.join("logs");
        let init = tail_of(&logs.join("init.log"));
        if let Some(program) = ended_program(&init) {
            bail!("{program} ended; it said last:\n{}", tail_of(&logs.join(format!("{program}.log"))));
        }
        let why = if lives {
            format!("not ready within {} s", READY_WITHIN.as_secs())
        } else {
            "it ended".to_owned()
        };
        let kubelet = tail_of(&logs.join("kubelet.log"));
        bail!("{why}; its first process said last:\n{init}\nand the kubelet:\n{kubelet}");
    }
}

/// The program whose end the first process of a cluster wrote into its log.
fn ended_program(log: &str) -> Option<&str> {
    log.lines().find_map(|line| line.split_once(" ended with")?.0.split(' ').next_back())
}

/// `variables` as lines for a shell to evaluate.
pub(crate) fn exports(variables: &[(String, String)]) -> String {
    let quoted = |value: &str| value.replace('\'', r"'\''");
    let lines: Vec<String> =
        variables.iter().map(|(name, value)| format!("export {name}='{}'\n", quoted(value))).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().to_owned()).unwrap();
        (folder, cache)
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_refused() {
        let (_folder, cache) = cache();
        for name in ["", "..", "a/b", "A", "a_b", "a-name-that-is-too-long"] {
            assert!(Cluster::named(&cache, name).is_err(), "{name}");
        }
        assert!(Cluster::named(&cache, "dev-2").is_ok());
    }

    #[test]
    fn a_folder_too_deep_for_sockets_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("d".repeat(90))).unwrap();
        let error = Cluster::named(&cache, "dev").unwrap_err();
        assert!(error.to_string().contains("KTL_CACHE"), "{error}");
    }

    #[test]
    fn the_environment_of_a_cluster_that_does_not_run_says_how_to_start_it() {
        let (_folder, cache) = cache();
        let error = Cluster::named(&cache, "dev").unwrap().env().unwrap_err();
        assert!(error.to_string().contains("cargo xtask cluster up --name dev"), "{error}");
    }

    #[test]
    fn the_program_that_ended_is_found_in_the_log_of_the_first_process() {
        let log = "ktl: starting etcd\nktl: error: kube-apiserver ended with exit status: 1\n";
        assert_eq!(ended_program(log), Some("kube-apiserver"));
        assert_eq!(ended_program("ktl: starting etcd"), None);
    }

    #[test]
    fn exports_survive_a_quote_in_a_path() {
        let lines = exports(&[("KUBECONFIG".into(), "/home/o'neil/k".into())]);
        assert_eq!(lines, "export KUBECONFIG='/home/o'\\''neil/k'\n");
    }
}
