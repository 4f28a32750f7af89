//! A node that exists on paper: kwok says its pods run, and nothing does.
//!
//! For machines without root. Whoever uses a cluster with such a node says so. Does not know the control plane.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::init::{Plan, Service};
use super::state::State;
use crate::cache::Cache;
use crate::process::{self, Program};

const KWOK: &str = "v0.7.0";

/// kwok, installed.
#[derive(Debug)]
pub(super) struct Simulated {
    kwok: PathBuf,
}

impl Simulated {
    /// kwok from the cache, or built into it.
    pub(super) fn find(cache: &Cache) -> Result<Self> {
        let entry = cache.entry(&format!("kwok-{KWOK}"), |folder| {
            if process::find("go").is_none() {
                bail!("a simulated node is built with Go, which is not in PATH: install Go 1.24 or later");
            }
            let package = format!("sigs.k8s.io/kwok/cmd/kwok@{KWOK}");
            let install = Program::new("go").args(["install", &package]);
            install.env("GOBIN", folder).env("CGO_ENABLED", "0").run(&cache.log("kwok"))
        })?;
        Ok(Self { kwok: entry.join("kwok") })
    }

    pub(super) fn plan(&self, dir: &Path, state: &State) -> Plan {
        let kwok = Service {
            name: "kwok".into(),
            program: self.kwok.clone(),
            args: vec![
                format!("--kubeconfig={}", dir.join("kubeconfig").display()),
                "--manage-all-nodes=false".into(),
                "--manage-nodes-with-label-selector=type=kwok".into(),
                "--node-lease-duration-seconds=40".into(),
                format!("--server-address=127.0.0.1:{}", state.place.node),
            ],
        };
        Plan { then: vec![kwok], ..Plan::default() }
    }

    /// Registers the node.
    pub(super) fn join(dir: &Path, kubectl: &dyn Fn() -> Program) -> Result<()> {
        let room = json!({"cpu": "8", "memory": "32Gi", "pods": "110"});
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": "simulated",
                "labels": {"type": "kwok"},
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            },
            "status": {"allocatable": room, "capacity": room},
        });
        let file = dir.join("node.json");
        fs::write(&file, serde_json::to_vec(&node)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        kubectl().arg("apply").arg("--filename").arg(&file).read().map(drop)
    }
}
