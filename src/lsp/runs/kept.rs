//! The runs that this process knows: one place, a short lock, and a signal when one of them changes.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::{Change, Frame, Held, Run, State};

/// Ended runs beyond this are forgotten, oldest first; the agent still has them.
const MAX_KEPT: usize = 200;

/// Runs from before our time have lower numbers.
const FIRST_ADDED: u64 = 1 << 32;

/// Handle; clones share the runs.
#[derive(Clone, Default)]
pub(crate) struct Runs {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    changed: Notify,
    /// For any number of readers that look at one run.
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Kept {
    held: HashMap<String, Held>,
    /// Sessions that a task follows.
    watched: HashSet<String>,
    /// Ever growing; nobody lives to see [`FIRST_ADDED`].
    numbers: u64,
    /// The session that somebody started, attached or opened last.
    current: Option<String>,
}

/// The right to follow a session, for one task at a time; dropping it gives it back.
pub(crate) struct Watching {
    runs: Runs,
    session: String,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.runs.lock().watched.remove(&self.session);
        self.runs.touch();
    }
}

impl Runs {
    /// Takes a run in, as the newest of its release; one of the same id is replaced.
    pub(crate) fn add(&self, held: Held) {
        self.take_in(held, FIRST_ADDED);
    }

    /// Takes a run in from before our time: newer than those that came so before it, and older than any other.
    pub(crate) fn add_earlier(&self, held: Held) {
        self.take_in(held, 0);
    }

    fn take_in(&self, mut held: Held, base: u64) {
        let mut kept = self.lock();
        kept.numbers += 1;
        held.number = base + kept.numbers;
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
        let superseded = |held: &Held| kept.held.values().any(|other| other.supersedes(held));
        kept.held.values().filter(|held| !superseded(held)).cloned().collect()
    }

    /// The newest run of one release that is as wanted.
    pub(crate) fn newest_of(
        &self,
        definition: &Path,
        release: &str,
        wanted: impl Fn(&Run) -> bool,
    ) -> Option<Held> {
        let kept = self.lock();
        kept.held
            .values()
            .filter(|held| held.is_of(definition, release) && wanted(&held.run))
            .max_by_key(|held| held.number)
            .cloned()
    }

    /// Sessions that are as wanted, newest first.
    pub(crate) fn that(&self, wanted: fn(&Run) -> bool) -> Vec<Held> {
        let mut found: Vec<Held> =
            self.lock().held.values().filter(|held| wanted(&held.run)).cloned().collect();
        found.sort_by_key(|held| std::cmp::Reverse(held.number));
        found
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
        self.shared.changes.send_replace(());
    }

    /// The right to follow a session; `None` when somebody follows it already.
    pub(crate) fn claim(&self, session: &str) -> Option<Watching> {
        let is_free = self.lock().watched.insert(session.to_owned());
        is_free.then(|| Watching { runs: self.clone(), session: session.to_owned() })
    }

    /// Whether somebody follows a session.
    pub(crate) fn is_watched(&self, session: &str) -> bool {
        self.lock().watched.contains(session)
    }

    /// Changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }

    /// Waits until a run is past its start, one way or another.
    pub(crate) async fn left_start(&self, session: &str) {
        let is_starting = || {
            let kept = self.lock();
            kept.held.get(session).is_some_and(|held| held.run.state == State::Starting)
        };
        let mut changes = self.changes();
        while is_starting() && changes.changed().await.is_ok() {}
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
    use ktl_proto::control::v1::{Finding as Found, Session, Started, Status, fact::Body};

    use super::*;
    use crate::runs::tests::frame;

    fn begin(runs: &Runs, session: &str) {
        runs.fold(session, &frame(1, Body::Finding(Found::default())));
    }

    fn newest(runs: &Runs) -> Vec<String> {
        let mut newest: Vec<_> = runs.newest().into_iter().map(|held| held.run.session).collect();
        newest.sort();
        newest
    }

    fn add(runs: &Runs, session: &str, release: &str) {
        runs.add(Held::new(Run::new(session, release), "/w".into(), "/w/.ktl.yaml".into()));
    }

    #[test]
    fn a_newer_run_of_a_release_supersedes_the_older_one() {
        let runs = Runs::default();
        add(&runs, "old", "web");
        add(&runs, "other", "db");
        add(&runs, "new", "web");
        begin(&runs, "old");
        begin(&runs, "new");
        assert_eq!(newest(&runs), ["new", "other"]);
        let of = |definition: &str, wanted: fn(&Run) -> bool| {
            let newest = runs.newest_of(Path::new(definition), "web", wanted);
            newest.map(|held| held.run.session)
        };
        assert_eq!(of("/w/.ktl.yaml", |_| true).as_deref(), Some("new"));
        assert_eq!(of("/w/.ktl.yaml", |run| run.session != "new").as_deref(), Some("old"));
        assert_eq!(of("/elsewhere/.ktl.yaml", |_| true), None);
    }

    #[test]
    fn a_run_from_before_our_time_is_older_than_one_that_was_started_before_it_was_found() {
        let runs = Runs::default();
        let held = |session| Held::new(Run::new(session, "web"), "/w".into(), "/w/.ktl.yaml".into());
        runs.add(held("started"));
        runs.add_earlier(held("oldest"));
        runs.add_earlier(held("earlier"));
        let found: Vec<_> = runs.that(|_| true).into_iter().map(|held| held.run.session).collect();
        assert_eq!(found, ["started", "earlier", "oldest"]);
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
    fn a_run_that_has_not_begun_leaves_the_last_one_that_did_as_it_is() {
        let runs = Runs::default();
        add(&runs, "ran", "web");
        begin(&runs, "ran");
        add(&runs, "refused", "web");
        runs.update("refused", |held| held.run.state = State::NotStarted(String::new()));
        assert_eq!(newest(&runs), ["ran", "refused"]);
        add(&runs, "starting", "web");
        assert_eq!(newest(&runs), ["ran", "starting"]);
        begin(&runs, "starting");
        assert_eq!(newest(&runs), ["starting"]);
    }

    #[test]
    fn a_session_that_is_read_again_is_told_once() {
        let runs = Runs::default();
        add(&runs, "s", "web");
        begin(&runs, "s");
        let ended = Session { session_id: "s".into(), status: Status::Error.into(), ..Session::default() };
        runs.update("s", |held| {
            held.texts.insert("/w/values.yaml".into(), "a: 1\n".into());
            held.cancel.notify_one();
            held.read_anew(&ended);
            assert!(held.run.findings.is_empty());
        });
        begin(&runs, "s");
        let held = runs.get("s").unwrap();
        assert_eq!((held.run.findings.len(), held.texts.len()), (1, 0));
        assert!(!held.run.is_running());
    }

    #[test]
    fn a_session_is_followed_by_one_task_at_a_time() {
        let runs = Runs::default();
        let watching = runs.claim("s");
        assert!(watching.is_some());
        assert!(runs.claim("s").is_none());
        assert!(runs.claim("other").is_some());
        assert!(runs.is_watched("s"));
        drop(watching);
        assert!(!runs.is_watched("s"));
        assert!(runs.claim("s").is_some());
    }

    #[test]
    fn a_session_of_another_workspace_is_about_no_file_here() {
        let runs = Runs::default();
        runs.add(Held::recorded(&Session { session_id: "s".into(), ..Session::default() }, None));
        let started =
            Started { release: "web".into(), config_path: ".ktl.yaml".into(), ..Started::default() };
        runs.fold("s", &frame(1, Body::Started(started)));
        assert_eq!(runs.get("s").unwrap().definition, Path::new(""));
    }

    #[tokio::test]
    async fn each_wish_to_stop_is_heard_also_one_before_anybody_listens() {
        let runs = Runs::default();
        add(&runs, "s", "web");
        let held = runs.get("s").unwrap();
        for _ in 0..2 {
            runs.get("s").unwrap().cancel.notify_one();
            held.cancel.notified().await;
        }
    }

    #[tokio::test]
    async fn the_start_of_a_run_can_be_waited_for() {
        let runs = Runs::default();
        runs.left_start("unknown").await;
        add(&runs, "s", "web");
        let begins = async {
            tokio::task::yield_now().await;
            begin(&runs, "s");
        };
        tokio::join!(runs.left_start("s"), begins);
        assert!(runs.get("s").unwrap().run.has_begun());
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
        assert_eq!(runs.that(Run::is_running).len(), 1);
    }
}
