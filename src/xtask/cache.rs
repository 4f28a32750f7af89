//! The one folder where everything lives that xtask installs, builds or runs.
//!
//! Promises: an entry is there whole or not at all, however its making ended, and two runs that want the same entry make
//! it once. Does not know what the entries are.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::say;

/// The cache folder: `$KTL_CACHE`, or `~/.cache/ktl`.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the folder by the environment and makes it when it is not there.
    pub(crate) fn open() -> Result<Self> {
        let root = match std::env::var_os("KTL_CACHE") {
            Some(folder) if !folder.is_empty() => std::path::absolute(folder)?,
            _ => {
                let home = std::env::var_os("HOME").context("neither KTL_CACHE nor HOME is set")?;
                PathBuf::from(home).join(".cache/ktl")
            }
        };
        Self::at(root)
    }

    /// The cache in the folder `root`.
    pub(crate) fn at(root: PathBuf) -> Result<Self> {
        for folder in ["bin", "store", "locks", "logs"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(Self { root })
    }

    /// `name` inside the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A log file for the step `name`, emptied.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        let log = self.path("logs").join(format!("{name}.log"));
        // A log that cannot be removed is appended to, which reads just as well.
        let _ = fs::remove_file(&log);
        log
    }

    /// The entry `store/NAME`, made by `fill` when it is not there. `fill` gets an empty folder; the entry appears
    /// only when it ends well.
    pub(crate) fn entry(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let entry = self.path("store").join(name);
        if entry.exists() {
            return Ok(entry);
        }
        let _held = self.lock(name)?;
        if entry.exists() {
            return Ok(entry);
        }
        // Under the lock, so what lies here is from a run that died.
        let staging = self.path("store").join(format!(".{name}.partial"));
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        say::step(&format!("installing {name} into {}", self.root.display()), || fill(&staging))?;
        fs::rename(&staging, &entry).with_context(|| format!("cannot move {name} to its place"))?;
        Ok(entry)
    }

    /// Makes `bin/NAME` a link to `target`.
    pub(crate) fn link(&self, name: &str, target: &Path) -> Result<PathBuf> {
        self.put(name, |aside| std::os::unix::fs::symlink(target, aside))
    }

    /// Makes `bin/NAME` a script with this text.
    pub(crate) fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        self.put(name, |aside| {
            fs::write(aside, text)?;
            fs::set_permissions(aside, fs::Permissions::from_mode(0o755))
        })
    }

    /// Made aside and renamed over, so that nobody ever finds the name missing or half written.
    fn put(&self, name: &str, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<PathBuf> {
        let place = self.path("bin").join(name);
        let aside = self.path("bin").join(format!(".{name}.{}", std::process::id()));
        make(&aside)
            .and_then(|()| fs::rename(&aside, &place))
            .with_context(|| format!("cannot replace {}", place.display()))?;
        Ok(place)
    }

    /// Waits for the lock `name` and holds it until the answer is dropped; the kernel drops it with its holder.
    pub(crate) fn lock(&self, name: &str) -> Result<File> {
        let path = self.path("locks").join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if file.try_lock().is_err() {
            say::line(&format!("waiting for another run that holds {}", path.display()));
            file.lock()?;
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn scratch() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().to_owned()).unwrap();
        (folder, cache)
    }

    #[test]
    fn an_entry_whose_making_failed_is_not_there_and_is_made_again() {
        let (_folder, cache) = scratch();
        let failed = cache.entry("helm", |folder| {
            fs::write(folder.join("half"), "x")?;
            bail!("the network went away")
        });
        assert!(failed.is_err());
        assert!(!cache.path("store/helm").exists());
        let made = cache.entry("helm", |folder| Ok(fs::write(folder.join("whole"), "x")?)).unwrap();
        assert!(made.join("whole").exists());
        assert!(!made.join("half").exists());
    }

    #[test]
    fn an_entry_is_made_once_by_many_at_the_same_time() {
        let (_folder, cache) = scratch();
        let made = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let fill = |_: &Path| {
                        made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        Ok(())
                    };
                    cache.entry("once", fill).unwrap();
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn a_link_can_be_moved_to_another_target() {
        let (_folder, cache) = scratch();
        cache.link("helm", Path::new("/old")).unwrap();
        let link = cache.link("helm", Path::new("/new")).unwrap();
        assert_eq!(fs::read_link(link).unwrap(), Path::new("/new"));
    }
}
