//! What is remembered of a running cluster: the file `state.json` in its folder.
//!
//! Promises: written whole or not at all; a file that cannot be read is an error that names it, never a cluster that is
//! taken for gone. Does not know how the cluster is started or ended.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::processes::Identity;

/// What plays the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NodeKind {
    /// kubelet and containerd: pods are processes.
    Real,
    /// kwok: pods exist on paper only.
    Simulated,
}

impl NodeKind {
    /// The word that scripts see.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real node (kubelet and containerd)",
            Self::Simulated => "simulated node (kwok): pods run on paper only",
        })
    }
}

/// A cluster that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) node: NodeKind,
    /// The folder with the programs.
    pub(crate) assets: PathBuf,
    pub(crate) place: Place,
    /// The process that all others of the cluster descend from; none before it is started.
    pub(crate) init: Option<Identity>,
}

impl State {
    pub(crate) fn new(name: &str, assets: &Path, node: NodeKind, place: Place) -> Self {
        Self { name: name.to_owned(), node, assets: assets.to_owned(), place, init: None }
    }

    /// The state in the cluster folder `dir`, or none when nothing was started there.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let file = dir.join("state.json");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let state = serde_json::from_str(&text)
            .with_context(|| format!("{} is no cluster state: `cluster down` removes it", file.display()))?;
        Ok(Some(state))
    }

    /// The states of all clusters in the folder `clusters`. One that cannot be read is passed over: it holds no port.
    pub(crate) fn all(clusters: &Path) -> Result<Vec<Self>> {
        fs::create_dir_all(clusters).with_context(|| format!("cannot make {}", clusters.display()))?;
        let mut all = Vec::new();
        for entry in fs::read_dir(clusters)? {
            all.extend(Self::read(&entry?.path()).ok().flatten());
        }
        Ok(all)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let aside = dir.join(".state.json");
        fs::write(&aside, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&aside, dir.join("state.json")))
            .with_context(|| format!("cannot write {}", aside.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let place = super::super::place::choose(&[], 0).unwrap();
        let written = State::new("dev", Path::new("/assets"), NodeKind::Real, place);
        written.write(dir.path()).unwrap();
        let read = State::read(dir.path()).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{written:?}"));
    }

    #[test]
    fn an_empty_folder_has_no_state_and_a_broken_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(State::read(dir.path()).unwrap().is_none());
        fs::write(dir.path().join("state.json"), "{\"name\":").unwrap();
        let error = State::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains("state.json"), "{error}");
    }
}
