//! The run folder of an operation: everything that the next agent needs to go on with it.
//!
//! `DATA/runs/ID` has `run.json` (what was asked and the step), `src/` (the sources), `render/` and `upgrade/` (one
//! shim each) and, once somebody asked, `cancel.json`. It is 0700, in plain text, and gone when the operation ends.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    apply::Apply,
    queue::ReleaseKey,
    request::{ApplyRequest, Claims},
};
use crate::{
    clusters::Target,
    helm::{Deploy, Helm, SetValue},
    session::SessionId,
    shim::write_json,
    sources::{Manifest, folder, pool::Content},
};

/// What an operation is and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its session.
    pub id: String,
    /// What was asked.
    pub apply: ApplyRequest,
    /// On which files.
    pub sources: Manifest,
    /// Where.
    pub target: Target,
    /// The namespace that is meant.
    pub namespace: String,
    /// With which helm.
    pub helm: Helm,
    /// Who the caller says it is.
    pub requester: String,
    /// Unix nanoseconds of the start.
    pub started: i64,
    /// The step it is in.
    pub step: Apply,
    /// How many facts it had said of itself when the step began.
    pub said: u64,
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl Run {
    /// A run before its first step.
    pub fn new(
        id: &SessionId,
        apply: ApplyRequest,
        sources: Manifest,
        target: Target,
        helm: Helm,
        claims: &Claims,
    ) -> Self {
        let namespace = match apply.namespace.as_str() {
            "" => target.namespace.clone(),
            named => named.to_owned(),
        };
        let (id, requester, started) = (id.to_string(), claims.requester.clone(), crate::shim::now_nanos());
        Self { id, apply, sources, target, namespace, helm, requester, started, step: Apply::Queue, said: 0 }
    }

    /// What this run changes; no other may do so at the same time.
    pub fn release_key(&self) -> ReleaseKey {
        let cluster = (self.target.name.clone(), self.target.context.clone());
        ReleaseKey { cluster, namespace: self.namespace.clone(), release: self.apply.release.clone() }
    }

    /// The arguments for helm. `chart` and `values` are what [`Run::chart`] and [`Run::values`] gave.
    pub fn deploy<'a>(&'a self, chart: &'a str, values: &'a [String]) -> Deploy<'a> {
        let set: &[SetValue] = &self.apply.set;
        Deploy {
            release: &self.apply.release,
            namespace: &self.namespace,
            context: self.target.context.as_deref(),
            chart,
            chart_version: Some(self.apply.chart_version.as_str()).filter(|version| !version.is_empty()),
            values,
            set,
            wait: self.apply.helm_waits(),
            atomic: self.apply.atomic,
            timeout_seconds: self.apply.timeout_seconds,
            create_namespace: self.apply.create_namespace,
            install: !self.apply.upgrade_only,
            dry_run: self.apply.dry_run,
        }
    }

    /// The chart as findings name it.
    pub fn chart(&self) -> String {
        self.apply.chart_place(&self.sources)
    }

    /// The chart as helm gets it: what lies in the sources is told from a reference by its `./`.
    pub fn chart_argument(&self) -> String {
        let chart = self.chart();
        let is_source = crate::sources::SourcePath::parse(&chart)
            .is_ok_and(|path| self.sources.has_folder(&path) || self.sources.has_file(&path));
        if is_source { format!("./{chart}") } else { chart }
    }

    /// The values layers as texts.
    pub fn values(&self) -> Vec<String> {
        self.apply.values.iter().map(ToString::to_string).collect()
    }
}

impl RunFolder {
    /// The folder of this session below the agent's data.
    pub fn of(data: &Path, id: &SessionId) -> Self {
        Self(data.join("runs").join(id.as_str()))
    }

    /// The folders that are there, by the names of their sessions.
    pub fn all(data: &Path) -> Vec<String> {
        let entries = fs::read_dir(data.join("runs")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Makes the folder with its sources. Leftovers of a start that never came this far are removed first.
    pub fn create(&self, files: &[(crate::sources::SourcePath, Content)]) -> io::Result<()> {
        self.remove()?;
        folder::private_folder(&self.0)?;
        folder::write(&self.sources(), files).map_err(io::Error::other)
    }

    /// Keeps the state of the run, in one step.
    pub fn save(&self, run: &Run) -> io::Result<()> {
        write_json(&self.0.join("run.json"), run)
    }

    /// The state of the run, as it was kept.
    pub fn load(&self) -> io::Result<Run> {
        Ok(serde_json::from_slice(&fs::read(self.0.join("run.json"))?)?)
    }

    /// The sources as texts.
    pub fn read_sources(&self, manifest: &Manifest) -> io::Result<BTreeMap<String, String>> {
        folder::read(&self.sources(), manifest)
    }

    /// Notes that somebody wants it to stop; false when it was noted before.
    pub fn request_cancel(&self, principal: &str) -> io::Result<bool> {
        if self.is_cancel_requested() {
            return Ok(false);
        }
        write_json(&self.cancel_note(), &principal).map(|()| true)
    }

    /// Whether somebody wants it to stop.
    pub fn is_cancel_requested(&self) -> bool {
        self.cancel_note().exists()
    }

    /// Where the sources are; helm runs in it.
    pub fn sources(&self) -> PathBuf {
        self.0.join("src")
    }

    /// The shim of `helm template`.
    pub fn render(&self) -> PathBuf {
        self.0.join("render")
    }

    /// What `helm template` printed.
    pub fn manifest(&self) -> PathBuf {
        self.0.join("manifest.yaml")
    }

    /// Forgets what `helm template` did, so that it can be done again. An orphan of it that still writes does so
    /// into a file that nobody reads any more.
    pub fn forget_render(&self) -> io::Result<()> {
        match fs::remove_file(self.manifest()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::remove_dir_all(self.render())
    }

    /// The shim of `helm upgrade`.
    pub fn upgrade(&self) -> PathBuf {
        self.0.join("upgrade")
    }

    /// What a dry run of `helm upgrade` printed: the whole release, with its secrets.
    pub fn dry_run(&self) -> PathBuf {
        self.0.join("dry-run.txt")
    }

    /// Removes the folder and everything in it.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn cancel_note(&self) -> PathBuf {
        self.0.join("cancel.json")
    }
}
