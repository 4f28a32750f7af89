//! One run with what this process knows of it beyond its frames: where it runs, whose it is, which texts it speaks of.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use ktl_chart::finding::Finding;
use tokio::sync::Notify;

use super::{Change, Frame, Run, Session};
use crate::{agent::Agent, releases::clean};

/// A run and what this process knows of it beyond its frames.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) run: Run,
    /// Where it runs; `None` before that is known.
    pub(crate) agent: Option<Agent>,
    /// The folder that paths in its frames count from; `None` for a session of a workspace that is not open here.
    pub(crate) root: Option<PathBuf>,
    /// The file that names the release: with its name, what tells releases apart here. Empty without a root.
    pub(crate) definition: PathBuf,
    /// Its page, once the agent has told its address.
    pub(crate) url: Option<String>,
    /// Why it was not started, for runs that never reached an agent. Places carry absolute paths.
    pub(crate) problems: Vec<Finding>,
    /// The texts that places in its findings count in, by absolute path.
    pub(crate) texts: HashMap<PathBuf, Arc<str>>,
    /// Told each time somebody wants it to stop; heard later by one who does not listen yet.
    pub(crate) cancel: Arc<Notify>,
    /// Of two runs of a release the one with the higher number is the newer.
    pub(crate) number: u64,
}

impl Held {
    pub(crate) fn new(run: Run, root: PathBuf, definition: PathBuf) -> Self {
        Self { root: Some(root), ..Self::foreign(run, definition) }
    }

    /// A session as the agent lists it. Without a root nothing that it says is about a file here.
    pub(crate) fn recorded(session: &Session, root: Option<PathBuf>) -> Self {
        let definition = root.as_ref().map(|root| root.join(".ktl.yaml")).unwrap_or_default();
        Self { root, ..Self::foreign(Run::recorded(session), definition) }
    }

    fn foreign(run: Run, definition: PathBuf) -> Self {
        Self {
            run,
            agent: None,
            root: None,
            definition,
            url: None,
            problems: Vec::new(),
            texts: HashMap::new(),
            cancel: Arc::default(),
            number: 0,
        }
    }

    /// Folds a frame in. A session that somebody else started says in its first frame which file names its release.
    pub(crate) fn apply(&mut self, frame: &Frame) -> Change {
        let change = self.run.apply(frame);
        let Some(root) = &self.root else { return change };
        if !self.run.config_path.is_empty() {
            self.definition = root.join(&self.run.config_path);
        } else if !self.run.chart.is_empty() {
            self.definition = clean(&root.join(&self.run.chart).join("Chart.yaml"));
        }
        change
    }

    /// Forgets what was read, because it will be read again from its first frame.
    pub(crate) fn read_anew(&mut self, session: &Session) {
        self.run = Run::recorded(session);
        self.problems.clear();
        self.texts.clear();
        // Whoever wanted to stop what was followed before did not mean this.
        self.cancel = Arc::default();
    }

    /// The history that was read is not the one of the session.
    pub(crate) fn restart(&mut self) {
        self.run.restart();
        self.texts.clear();
    }

    /// Whether what `older` found may no longer be true. A run that has not begun changed nothing, so it replaces only
    /// what did not begin either.
    pub(super) fn supersedes(&self, older: &Self) -> bool {
        self.number > older.number
            && self.is_of(&older.definition, &older.run.release)
            && (self.run.has_begun() || !older.run.has_begun())
    }

    /// The same release of the same file.
    pub(super) fn is_of(&self, definition: &Path, release: &str) -> bool {
        self.definition == definition && self.run.release == release
    }
}
