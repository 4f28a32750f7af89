//! The runs that this process knows: one place, a short lock, and a signal when one of them changes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ktl_chart::finding::Finding;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Change, Frame, Run};
use crate::{agent::Agent, releases::clean};

/// Ended runs beyond this are forgotten, oldest first; the agent still has them.
const MAX_KEPT: usize = 200;

/// A run and what this process knows of it beyond its frames.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) run: Run,
    /// Where it runs; `None` before that is known.
    pub(crate) agent: Option<Agent>,
    /// The folder that paths in its frames count from.
    pub(crate) root: PathBuf,
    /// The file that names the release: with its name, what tells releases apart here.
    pub(crate) definition: PathBuf,
    /// Its page, once the agent has told its address.
    pub(crate) url: Option<String>,
    /// Why it was not started, for runs that never reached an agent. Places carry absolute paths.
    pub(crate) problems: Vec<Finding>,
    /// The texts that places in its findings count in, by absolute path.
    pub(crate) texts: HashMap<PathBuf, Arc<str>>,
    /// Raised when somebody wants it to stop.
    pub(crate) cancel: CancellationToken,
    /// Of two runs of a release the one with the higher number is the newer.
    pub(crate) number: u64,
}

/// Handle; clones share the runs.
#[derive(Clone, Default)]
pub(crate) struct Runs {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Default)]
struct Kept {
    held: HashMap<String, Held>,
    /// Ever growing.
    numbers: u64,
    /// The session that somebody started, attached or opened last.
    current: Option<String>,
}

impl Held {
    pub(crate) fn new(run: Run, root: PathBuf, definition: PathBuf) -> Self {
        Self {
            run,
            agent: None,
            root,
            definition,
            url: None,
            problems: Vec::new(),
            texts: HashMap::new(),
            cancel: CancellationToken::new(),
            number: 0,
        }
    }

    /// Folds a frame in. A session that somebody else started says in its first frame which file names its release.
    pub(crate) fn apply(&mut self, frame: &Frame) -> Change {
        let change = self.run.apply(frame);
        if !self.run.config_path.is_empty() {
            self.definition = self.root.join(&self.run.config_path);
        } else if !self.run.chart.is_empty() {
            self.definition = clean(&self.root.join(&self.run.chart).join("Chart.yaml"));
        }
        change
    }

    /// The same release of the same file.
    fn is_of(&self, definition: &Path, release: &str) -> bool {
        self.definition == definition && self.run.release == release
    }
}

impl Runs {
    /// Takes a run in, as the newest of its release; one of the same id is replaced.
    pub(crate) fn add(&self, mut held: Held) {
        let mut kept = self.lock();
        kept.numbers += 1;
        held.number = kept.numbers;
        kept.held.insert(held.run.session.clone(), held);
        kept.forget_oldest();
        drop(kept);
        self.touch();
    }

    /// Changes a run, if it is known.
    pub(crate) fn update<T>(&self, session: &str, change: impl FnOnce(&mut Held) -> T) -> Option<T> {
        let result = self.lock().held.get_mut(session).map(change);
        self.touch();
        result
    }

    /// Folds a frame into a run. A mere line is nothing that lenses or findings are shown with.
    pub(crate) fn fold(&self, session: &str, frame: &Frame) -> Option<Change> {
        let change = self.lock().held.get_mut(session).map(|held| held.apply(frame))?;
        if change == Change::Picture {
            self.touch();
        }
        Some(change)
    }

    /// The release of a run, and what it is doing.
    pub(crate) fn words_of(&self, session: &str) -> Option<(String, String)> {
        self.lock().held.get(session).map(|held| (held.run.release.clone(), held.run.doing()))
    }

    /// Forgets a run.
    pub(crate) fn remove(&self, session: &str) {
        self.lock().held.remove(session);
        self.touch();
    }

    /// A copy of a run.
    pub(crate) fn get(&self, session: &str) -> Option<Held> {
        self.lock().held.get(session).cloned()
    }

    /// Whether a run is known and has not ended.
    pub(crate) fn is_running(&self, session: &str) -> bool {
        self.lock().held.get(session).is_some_and(|held| held.run.is_running())
    }

    /// The newest run of each release: what an older one found may no longer be true.
    pub(crate) fn newest(&self) -> Vec<Held> {
        let kept = self.lock();
        let superseded = |held: &Held| {
            kept.held
                .values()
                .any(|other| other.number > held.number && other.is_of(&held.definition, &held.run.release))
        };
        kept.held.values().filter(|held| !superseded(held)).cloned().collect()
    }

    /// The newest run of one release.
    pub(crate) fn newest_of(&self, definition: &Path, release: &str) -> Option<Held> {
        let kept = self.lock();
        kept.held
            .values()
            .filter(|held| held.is_of(definition, release))
            .max_by_key(|held| held.number)
            .cloned()
    }

    /// Sessions that have not ended, newest first.
    pub(crate) fn running(&self) -> Vec<Held> {
        let mut running: Vec<Held> =
            self.lock().held.values().filter(|held| held.run.is_running()).cloned().collect();
        running.sort_by_key(|held| std::cmp::Reverse(held.number));
        running
    }

    /// The session that commands without one mean: the one used last, else the newest.
    pub(crate) fn current(&self) -> Option<String> {
        let kept = self.lock();
        let newest =
            || kept.held.values().max_by_key(|held| held.number).map(|held| held.run.session.clone());
        kept.current.clone().filter(|session| kept.held.contains_key(session)).or_else(newest)
    }

    pub(crate) fn set_current(&self, session: &str) {
        self.lock().current = Some(session.to_owned());
    }

    /// Says that something that runs are shown with has changed: one of them, or a text.
    pub(crate) fn touch(&self) {
        self.shared.changed.notify_one();
    }

    /// Waits for the next change. For one reader.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Whether a finding of some run is about this file.
    pub(crate) fn speaks_of(&self, path: &Path) -> bool {
        self.lock().held.values().any(|held| held.texts.contains_key(path))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget_oldest(&mut self) {
        while self.held.len() > MAX_KEPT {
            let ended = self.held.values().filter(|held| !held.run.is_running());
            let Some(oldest) = ended.min_by_key(|held| held.number).map(|held| held.run.session.clone())
            else {
                return;
            };
            self.held.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::State;

    fn add(runs: &Runs, session: &str, release: &str) {
        runs.add(Held::new(Run::new(session, release), "/w".into(), "/w/.ktl.yaml".into()));
    }

    #[test]
    fn a_newer_run_of_a_release_supersedes_the_older_one() {
        let runs = Runs::default();
        add(&runs, "old", "web");
        add(&runs, "other", "db");
        add(&runs, "new", "web");
        let mut newest: Vec<_> = runs.newest().into_iter().map(|held| held.run.session).collect();
        newest.sort();
        assert_eq!(newest, ["new", "other"]);
        assert_eq!(runs.newest_of(Path::new("/w/.ktl.yaml"), "web").unwrap().run.session, "new");
        assert!(runs.newest_of(Path::new("/elsewhere/.ktl.yaml"), "web").is_none());
    }

    #[test]
    fn the_current_session_is_the_one_used_last_else_the_newest() {
        let runs = Runs::default();
        assert_eq!(runs.current(), None);
        add(&runs, "a", "web");
        add(&runs, "b", "db");
        assert_eq!(runs.current().as_deref(), Some("b"));
        runs.set_current("a");
        assert_eq!(runs.current().as_deref(), Some("a"));
    }

    #[test]
    fn running_sessions_are_never_forgotten() {
        let runs = Runs::default();
        add(&runs, "running", "web");
        for number in 0..MAX_KEPT + 5 {
            let session = number.to_string();
            add(&runs, &session, "web");
            runs.update(&session, |held| held.run.state = State::NotStarted(String::new()));
        }
        assert!(runs.is_running("running"));
        assert!(runs.get("0").is_none());
        assert_eq!(runs.running().len(), 1);
    }
}
