//! Debian packages.
//!
//! Promises: what is there already is left alone; what is not is installed when we are root, else named together with
//! the command that installs it. Does not know what the packages are for.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use anyhow::{Result, bail};

use crate::process::{self, Program};
use crate::say;

/// A program and the package that brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// A name to find in `PATH`, or a path.
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// One installation at a time in this process; `apt-get` waits for those of others.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs the packages whose programs are lacking.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let lacking: Vec<&str> =
        needs.iter().filter(|need| !is_there(need.program)).map(|need| need.package).collect();
    if lacking.is_empty() { Ok(()) } else { install(&lacking) }
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        fs::exists(program).unwrap_or(false)
    } else {
        process::find(program).is_some()
    }
}

/// Installs packages.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if process::find("apt-get").is_none() {
        bail!("this machine lacks {names} and has no apt-get: install them by hand");
    }
    if !fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0) {
        bail!("this machine lacks {names}: run `sudo apt-get install --no-install-recommends {names}`");
    }
    // A panic elsewhere says nothing about apt.
    let _held = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    say::step(&format!("installing Debian's {names}"), || {
        let get = |args: &[&str]| {
            let program = Program::new("apt-get").args(["-o", "DPkg::Lock::Timeout=600", "--quiet", "--yes"]);
            program.env("DEBIAN_FRONTEND", "noninteractive").args(args).read()
        };
        get(&["update"])?;
        get(&[&["install", "--no-install-recommends"], packages].concat())?;
        Ok(())
    })
}

/// The mirror that this machine takes its Debian from.
pub(super) fn mirror() -> Result<String> {
    let targets = || {
        let program = Program::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]);
        program.args(["Created-By: Packages", "Origin: Debian", "Component: main"]).read()
    };
    // Before the first update apt does not know whose the repositories are.
    let mut said = targets()?;
    if said.trim().is_empty() {
        Program::new("apt-get").args(["--quiet", "update"]).read()?;
        said = targets()?;
    }
    let Some(mirror) = said.lines().next() else {
        bail!("apt has no Debian repository configured: `apt-get indextargets` names none");
    };
    Ok(mirror.to_owned())
}
