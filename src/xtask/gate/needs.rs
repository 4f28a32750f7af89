//! What parts need before they can run: our programs, tools, a cluster. Made when first asked for.
//!
//! Promises: made once for all parts of a run, and told to tests in variables; the cluster ends with the run, and one
//! that a killed run left is ended by the next. Does not know the parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::cluster::{Cluster, NodeKind};
use crate::say;
use crate::tools::npm::npm;
use crate::tools::{Tool, debian, postgres};
use crate::workspace::{self, cargo};

/// How the clusters of test runs are called, before the number of the run's process.
const CLUSTER_PREFIX: &str = "gate-";

/// Something a part cannot do without.
#[derive(Debug)]
pub(super) enum Need {
    /// ktl-lsp and ktl-agent as they are shipped (unoptimized), and a ktl-lsp that misbehaves on demand.
    Binaries,
    Tool(&'static str),
    /// A program that Debian has.
    Package(debian::Need),
    /// The programs of a PostgreSQL server; tests start their own.
    Postgres,
    /// What npm makes in a folder of the project.
    Npm {
        folder: &'static str,
        runs: &'static [&'static [&'static str]],
    },
    /// A cluster with a real node.
    Cluster,
}

/// What has been made for this run.
#[derive(Debug)]
pub(super) struct Needs {
    cache: Cache,
    variables: BTreeMap<String, String>,
    cluster: Option<Cluster>,
    /// The folders where npm has done its work.
    npm: BTreeSet<&'static str>,
}

impl Needs {
    pub(super) fn new(cache: &Cache) -> Result<Self> {
        let fixed = [
            // Rustdoc has no flag for it; harmless for everything else.
            ("RUSTDOCFLAGS", "-D warnings"),
            // A test that fails says where; thirty lines of its runner's stack hide that.
            ("RUST_BACKTRACE", "0"),
        ];
        let variables = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        sweep(cache)?;
        Ok(Self { cache: cache.clone(), variables, cluster: None, npm: BTreeSet::new() })
    }

    /// Makes what `need` says, unless it is there.
    pub(super) fn meet(&mut self, need: &Need) -> Result<()> {
        match need {
            Need::Binaries if self.variables.contains_key("KTL_TEST_BIN") => Ok(()),
            Need::Binaries => self.build(),
            Need::Tool(name) => {
                let tool = Tool::named(name)?;
                if !self.variables.contains_key(tool.variable) {
                    let program = tool.find(&self.cache)?;
                    self.set(tool.variable, &program);
                    if *name == "helm" {
                        // Agents that a test starts without a word about helm find it here: it is not in PATH.
                        self.set("KTL_HELM", &program);
                    }
                }
                Ok(())
            }
            Need::Package(need) => debian::ensure(&[*need]),
            Need::Postgres if self.variables.contains_key(postgres::VARIABLE) => Ok(()),
            Need::Postgres => {
                let programs = postgres::find()?;
                self.set(postgres::VARIABLE, &programs);
                Ok(())
            }
            Need::Npm { folder, runs } => {
                if self.npm.insert(folder) {
                    let (path, log) =
                        (workspace::root()?.join(folder), self.cache.log(&folder.replace('/', "-")));
                    say::step(&format!("npm in {folder}"), || {
                        runs.iter().try_for_each(|args| npm(&path)?.args(*args).run(&log))
                    })?;
                }
                Ok(())
            }
            Need::Cluster if self.cluster.is_some() => Ok(()),
            Need::Cluster => self.start_cluster(),
        }
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What clusters of this run are called; those that begin so are ended by the next run when this one is killed.
    pub(super) fn cluster_name() -> String {
        format!("{CLUSTER_PREFIX}{}", std::process::id())
    }

    /// The variables that tell tests where everything is.
    pub(super) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    fn set(&mut self, variable: &str, path: &Path) {
        self.variables.insert(variable.to_owned(), path.display().to_string());
    }

    fn build(&mut self) -> Result<()> {
        let target = workspace::target()?;
        let fault = target.join("fault");
        say::step("building ktl-lsp and ktl-agent", || {
            // First the one with the extra feature: both are built in one folder, which keeps what they share, and the
            // plain one is what must be left there.
            let log = self.cache.log("build");
            cargo()?.args(["build", "--package=ktl-lsp", "--features=fault-injection"]).run(&log)?;
            fs::create_dir_all(&fault)?;
            let program = fault.join("ktl-lsp");
            // A running copy cannot be written to, but removed.
            let _ = fs::remove_file(&program);
            fs::copy(target.join("debug/ktl-lsp"), &program).context("cargo built no ktl-lsp")?;
            cargo()?.args(["build", "--package=ktl-lsp", "--package=ktl-agent"]).run(&log)
        })?;
        self.set("KTL_TEST_FAULT_BIN", &fault);
        self.set("KTL_TEST_BIN", &target.join("debug"));
        Ok(())
    }

    fn start_cluster(&mut self) -> Result<()> {
        let cluster = Cluster::named(&self.cache, &Self::cluster_name())?;
        let state = cluster.up(&self.cache)?;
        let variables = cluster.env();
        self.cluster = Some(cluster);
        if state.node != NodeKind::Real {
            bail!("it needs a cluster with a real node, and this machine has a {}", state.node);
        }
        // Not KUBECONFIG: a test that forgets to say which cluster it means must not find one.
        self.variables.extend(variables?.into_iter().filter(|(name, _)| name != "KUBECONFIG"));
        Ok(())
    }
}

impl Drop for Needs {
    fn drop(&mut self) {
        if let Some(cluster) = &self.cluster
            && let Err(error) = cluster.down(&self.cache)
        {
            say::line(&format!("cannot end the cluster of this run: {error:#}"));
        }
    }
}

/// Ends the clusters of runs that were killed.
fn sweep(cache: &Cache) -> Result<()> {
    let Ok(clusters) = fs::read_dir(cache.path("clusters")) else { return Ok(()) };
    for entry in clusters {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(CLUSTER_PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true)) {
            Cluster::named(cache, &name)?.down(cache)?;
        }
    }
    Ok(())
}
