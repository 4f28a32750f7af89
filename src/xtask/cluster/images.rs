//! Container images without a registry: static busybox under a few names.
//!
//! Promises: nothing is pulled from anywhere; every name here is in every cluster with a real node, so that pods use
//! them with `imagePullPolicy: IfNotPresent` or `Never`. Does not know what runs in them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::hex::hex;
use crate::process::Program;

/// The image that holds a pod's namespaces.
pub(super) const PAUSE: &str = "registry.k8s.io/pause:3.10";

/// A way to start busybox, and the names under which it is known.
struct Image {
    names: &'static [&'static str],
    command: &'static [&'static str],
}

const IMAGES: [Image; 3] = [
    Image { names: &[PAUSE], command: &["/bin/sleep", "infinity"] },
    Image { names: &["ktl.test/busybox:1", "docker.io/library/busybox:1.36"], command: &["/bin/sh"] },
    // A web server in nginx's place, for charts off the shelf. A shell in front of it, because process 1 ignores
    // SIGTERM unless it asks for it, and a pod would take its whole grace period to end.
    Image {
        names: &[
            "ktl.test/web:1",
            "ktl.test/web:2",
            "docker.io/library/nginx:1.16.0",
            "docker.io/library/nginx:1.27",
        ],
        command: &["/bin/sh", "-c", "trap 'exit 0' TERM; httpd -f -p ${PORT:-80} -h /www & wait"],
    },
];

/// Makes the images known to the containerd behind `socket`, as soon as it listens. Calls `check` while it waits.
pub(super) fn import(cache: &Cache, ctr: &Path, socket: &Path, check: impl Fn() -> Result<()>) -> Result<()> {
    let archive = archive(cache)?;
    let ctr = || Program::new(ctr).arg("--address").arg(socket).args(["--namespace", "k8s.io"]);
    while !ctr().arg("version").succeeds() {
        check()?;
        sleep(Duration::from_millis(100));
    }
    ctr().args(["images", "import"]).arg(archive).read().context("cannot import the images")?;
    Ok(())
}

/// The archive with all images, in the format of `docker save`.
fn archive(cache: &Cache) -> Result<PathBuf> {
    let busybox = fs::read("/bin/busybox").context("no /bin/busybox")?;
    let mut hash = Sha256::new();
    hash.update(&busybox);
    for image in &IMAGES {
        hash.update(image.names.concat());
        hash.update(image.command.concat());
    }
    let key = hex(&hash.finalize()[..6]);
    let entry = cache.entry(&format!("images-{key}"), |folder| build(folder, &busybox))?;
    Ok(entry.join("images.tar"))
}

fn build(folder: &Path, busybox: &[u8]) -> Result<()> {
    let root = folder.join("root");
    for inside in ["bin", "etc", "proc", "root", "sys", "tmp", "www"] {
        fs::create_dir_all(root.join(inside))?;
    }
    fs::write(root.join("bin/busybox"), busybox)?;
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    )?;
    fs::write(root.join("www/index.html"), "it works\n")?;
    let program = root.join("bin/busybox");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let applets = Program::new(&program).arg("--list").read().context("/bin/busybox does not run")?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
    }
    let layer = folder.join("layer.tar");
    tar(&layer, &root, ".")?;
    let layer_digest = digest(&layer)?;
    let mut manifest = Vec::new();
    for (number, image) in IMAGES.iter().enumerate() {
        let config = format!("config-{number}.json");
        fs::write(folder.join(&config), serde_json::to_vec(&configuration(image, &layer_digest))?)?;
        manifest.push(json!({"Config": config, "RepoTags": image.names, "Layers": ["layer.tar"]}));
    }
    fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest)?)?;
    fs::remove_dir_all(&root)?;
    let archive = folder.join("images.tar");
    // Written aside: an archive cannot hold itself.
    let aside = folder.with_extension("tar");
    tar(&aside, folder, ".")?;
    fs::rename(&aside, &archive)?;
    Ok(())
}

fn configuration(image: &Image, layer: &str) -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": image.command},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
    })
}

fn tar(archive: &Path, folder: &Path, what: &str) -> Result<()> {
    let program =
        Program::new("tar").arg("--create").arg("--file").arg(archive).arg("--directory").arg(folder);
    program.args(["--owner=0", "--group=0", what]).read().map(drop)
}

fn digest(file: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        bail!("{} is empty", file.display());
    }
    Ok(hex(&Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_used_twice_and_none_lacks_its_registry() {
        let mut names: Vec<&str> = IMAGES.iter().flat_map(|image| image.names).copied().collect();
        for name in &names {
            assert!(name.split('/').next().is_some_and(|host| host.contains('.')), "{name}");
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
