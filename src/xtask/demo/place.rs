//! Where the demo's release goes: a cluster made for it, or a namespace of the user's own cluster.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::cluster::{Cluster, NodeKind};
use crate::process::{self, Program};
use crate::say;
use crate::scratch::Scratch;

/// What `fixtures/demo/.ktl.yaml` names.
const NAMESPACE: &str = "ktl-demo";

/// A place, prepared.
#[derive(Debug)]
pub(super) enum Place {
    Made { cluster: Cluster, kubeconfig: PathBuf, node: NodeKind },
    Users { kubeconfig: PathBuf, _folder: Scratch },
}

impl Place {
    /// The user's cluster behind `context`, or one made for the demo.
    pub(super) fn choose(cache: &Cache, context: Option<&str>) -> Result<Self> {
        match context {
            Some(context) => Self::users(context),
            None => Self::made(cache),
        }
    }

    fn made(cache: &Cache) -> Result<Self> {
        let cluster = Cluster::named(cache, "demo")?;
        let state = cluster.up(cache)?;
        if state.node == NodeKind::Simulated {
            say::line("the pods of this demo run on paper only: the node is simulated");
        }
        let kubeconfig = cluster.kubeconfig();
        Ok(Self::Made { cluster, kubeconfig, node: state.node })
    }

    fn users(context: &str) -> Result<Self> {
        if process::find("kubectl").is_none() {
            bail!(
                "--context needs kubectl in PATH, to read your kubeconfig and to remove what the demo made"
            );
        }
        let folder = Scratch::new("demo-kubeconfig")?;
        let kubeconfig = folder.path().join("kubeconfig");
        // Only this context, so that nothing else of the user's can be reached by mistake.
        let view = ["config", "view", "--minify", "--flatten", "--context", context];
        std::fs::write(&kubeconfig, Program::new("kubectl").args(view).read()?)?;
        let there =
            kubectl(&kubeconfig).args(["get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name"]);
        if !there.read()?.trim().is_empty() {
            bail!(
                "the cluster of context {context} has a namespace {NAMESPACE} already; the demo makes and removes it, so \
                 remove it yourself first if it is yours"
            );
        }
        say::line(&format!("the demo uses context {context}, and there only the namespace {NAMESPACE}"));
        Ok(Self::Users { kubeconfig, _folder: folder })
    }

    /// Whether its pods run, and not on paper only: what fails in a pod fails nowhere else.
    pub(super) fn runs_pods(&self) -> bool {
        !matches!(self, Self::Made { node: NodeKind::Simulated, .. })
    }

    pub(super) fn kubeconfig(&self) -> &Path {
        match self {
            Self::Made { kubeconfig, .. } | Self::Users { kubeconfig, .. } => kubeconfig,
        }
    }

    /// Removes what the demo made.
    pub(super) fn leave(&self, cache: &Cache) -> Result<()> {
        match self {
            Self::Made { cluster, .. } => cluster.down(cache),
            Self::Users { kubeconfig, .. } => {
                let delete = ["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"];
                kubectl(kubeconfig).args(delete).read().map(drop)
            }
        }
    }
}

fn kubectl(kubeconfig: &Path) -> Program {
    Program::new("kubectl").arg("--kubeconfig").arg(kubeconfig)
}
