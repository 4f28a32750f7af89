//! The two pictures of the README, of real runs: the squiggle in VS Code, and the record of a rollout that failed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Scene;
use crate::cache::Cache;
use crate::process::Program;
use crate::say;
use crate::tools::Tool;
use crate::tools::npm::npm;
use crate::workspace;

/// Takes both into the folder `shots`, in the cluster where the demo has just applied its release; only the first where
/// no pod runs.
pub(super) fn pictures(cache: &Cache, scene: &Scene, shots: &Path, runs_pods: bool) -> Result<()> {
    squiggle(cache, scene, &shots.join("squiggle.png"))?;
    if !runs_pods {
        say::line("no picture of an image that cannot be pulled: a simulated node pulls none");
        return Ok(());
    }
    replay(scene, &shots.join("replay.png"))
}

fn squiggle(cache: &Cache, scene: &Scene, picture: &Path) -> Result<()> {
    say::line("For the README: VS Code, in Chromium, after a click on its lens");
    let code_server = Tool::named("code-server")?.find(cache)?;
    let extension = workspace::root()?.join("editors/vscode");
    let log = cache.log("vscode");
    npm(&extension)?.arg("ci").run(&log)?;
    npm(&extension)?.args(["run", "build"]).run(&log)?;
    let folder = scene.workspace("checkout")?;
    let script = shot(scene, "squiggle", &folder, picture).arg("--code-server").arg(code_server);
    script.args(["--file", "dev.yaml", "--apply"]).read()?;
    written(picture)
}

/// The mistake of a tag that nobody pushed. The registry it names refuses at once, and nothing leaves the machine.
fn replay(scene: &Scene, picture: &Path) -> Result<()> {
    say::line("For the README: the record of an apply whose image cannot be pulled");
    let folder = scene.workspace("unpullable")?;
    let values = folder.join("values/dev.yaml");
    let text = fs::read_to_string(&values).with_context(|| format!("cannot read {}", values.display()))?;
    let mended = text.replace("replicas: two", "replicas: 2");
    let broken = mended.replace("docker.io/library/nginx", "127.0.0.1:1/checkout/web");
    ensure!(broken != mended && mended != text, "{} is not what the demo expects", values.display());
    fs::write(&values, broken)?;
    shot(scene, "replay", &folder, picture).read()?;
    written(picture)
}

fn shot(scene: &Scene, which: &str, folder: &Path, picture: &Path) -> Program {
    scene
        .browser
        .script("shot.mjs")
        .args([which, "--bin"])
        .arg(scene.bin)
        .arg("--workspace")
        .arg(folder)
        .envs([
            ("KUBECONFIG", scene.kubeconfig.display().to_string()),
            ("KTL_HELM", scene.helm.display().to_string()),
            ("KTL_TEST_HELM", scene.helm.display().to_string()),
        ])
        .arg("--out")
        .arg(picture)
}

fn written(picture: &Path) -> Result<()> {
    ensure!(picture.is_file(), "there is no {}", picture.display());
    say::line(&format!("   {}", picture.display()));
    Ok(())
}
