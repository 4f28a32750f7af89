//! The programs of the control plane: found, or built from `fixtures/cluster`.
//!
//! Promises: the answer is a folder that has all of them. Does not know how they are run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::hex::hex;
use crate::process::{self, Program};
use crate::{say, workspace};

/// The links to the one binary; its name chooses the program.
const PROGRAMS: [&str; 6] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"];

/// Stamped into the binary: without it Helm sees `v0.0.0-master`, and charts with a `kubeVersion` refuse.
const VERSION: (&str, &str, &str) = ("v1.34.4", "1", "34");

/// The folder that has all programs: `$KUBEBUILDER_ASSETS` when it does, else our own build in the cache.
pub(super) fn find(cache: &Cache) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
        let lacking = lacking(&folder);
        if lacking.is_empty() {
            return Ok(folder);
        }
        let shown = folder.display();
        say::line(&format!("KUBEBUILDER_ASSETS={shown} lacks {}: using our own build", lacking.join(", ")));
    }
    let source = workspace::root()?.join("fixtures/cluster");
    let entry =
        cache.entry(&format!("control-plane-{}", key(&source)?), |folder| build(cache, &source, folder))?;
    // A name without the key, for people and for editors' settings.
    let assets = cache.path("assets");
    if fs::read_link(&assets).ok().as_ref() != Some(&entry) {
        let _held = cache.lock("assets")?;
        // Missing on the first run; whatever else is wrong shows in the next line.
        let _ = fs::remove_file(&assets);
        std::os::unix::fs::symlink(&entry, &assets)
            .with_context(|| format!("cannot link {}", assets.display()))?;
    }
    Ok(entry)
}

fn lacking(folder: &Path) -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|name| !folder.join(name).is_file()).collect()
}

fn build(cache: &Cache, source: &Path, folder: &Path) -> Result<()> {
    if process::find("go").is_none() {
        bail!("the control plane is built with Go, which is not in PATH: install Go 1.24 or later");
    }
    let (version, major, minor) = VERSION;
    let stamp = |name: &str, value: &str| format!("-X k8s.io/component-base/version.{name}={value}");
    let stamps = [stamp("gitVersion", version), stamp("gitMajor", major), stamp("gitMinor", minor)].join(" ");
    say::line("building the control plane; the first time takes about five minutes");
    Program::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &format!("-s -w {stamps}"), "-o"])
        .arg(folder.join("cluster"))
        .arg(".")
        .env("CGO_ENABLED", "0")
        .dir(source)
        .run(&cache.log("control-plane"))?;
    for name in PROGRAMS {
        std::os::unix::fs::symlink("cluster", folder.join(name))?;
    }
    let said = Program::new(folder.join("kubectl")).args(["version", "--client"]).read()?;
    if !said.contains(version) {
        bail!("the control plane was built as something else than {version}:\n{said}");
    }
    Ok(())
}

/// A short hash of everything the build depends on.
fn key(source: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for name in ["go.mod", "go.sum", "main.go"] {
        let file = source.join(name);
        hash.update(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    hash.update(VERSION.0);
    Ok(hex(&hash.finalize()[..6]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_with_three_programs_is_known_to_lack_the_others() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etcd", "kube-apiserver", "kubectl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(lacking(folder.path()), ["kube-controller-manager", "kube-scheduler", "kubelet"]);
    }
}
