//! Operations: started by a request, owned by the agent, told by their frames.
//!
//! [`Operations::start`] makes the session and its run folder, then a task of ours steps the machine of
//! [`apply::Apply`] to its end. A caller that goes away changes nothing. Everything that a restart needs is in the
//! run folder ([`run`]), so an agent that dies at any point is replaced by one that adopts: see [`adopt`].

pub mod adopt;
pub mod apply;
pub mod canonical;
pub mod error;
pub mod finding;
pub mod queue;
pub mod rendered;
pub mod report;
pub mod request;
pub mod rollout;
pub mod run;
mod runner;
mod start;
pub mod suspect;
mod turns;

use std::{
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, resume_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use tokio::{
    sync::OnceCell,
    task::spawn_blocking,
    time::{interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{apply::Work, queue::Queue, run::RunFolder, turns::Turns};
use crate::{
    clusters::Clusters,
    frame::{Body, Fact, Note, NoteKind},
    helm::{Helm, HelmError},
    journal::{Batch, Journal},
    session::{Owner, Session, SessionId},
    shim::Launcher,
    sources::{Assembly, SourcePool},
    store::StoreError,
};

pub use canonical::DigestKey;
pub use error::OpError;
pub use request::{ApplyRequest, Claims, StartRequest};
pub use start::StartOutcome;

/// How often uploads that waited too long are forgotten.
const SWEEP: Duration = Duration::from_secs(20);

/// What operations need from their agent.
pub struct OpContext {
    /// Where sessions are kept.
    pub journal: Journal,
    /// The agent's data folder.
    pub data_dir: PathBuf,
    /// The clusters it reaches.
    pub clusters: Clusters,
    /// The helm it runs.
    pub helm: PathBuf,
    /// How it starts shims.
    pub launcher: Launcher,
    /// What request digests are made with.
    pub digests: DigestKey,
}

/// The operations of one agent. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Operations {
    inner: Arc<Inner>,
}

struct Inner {
    context: OpContext,
    helm: OnceCell<Helm>,
    pool: SourcePool,
    queue: Queue,
    live: Mutex<HashMap<SessionId, CancellationToken>>,
    /// Two starts of one id must not both find nothing there.
    turns: Turns,
    tasks: TaskTracker,
    /// Cancelled when this agent ends: tasks leave their work as it is, for the next agent.
    leave: CancellationToken,
}

impl Operations {
    /// Ready to start operations. Call [`Operations::adopt`] once before the first.
    pub fn new(context: OpContext) -> Self {
        let inner = Inner {
            context,
            helm: OnceCell::new(),
            pool: SourcePool::default(),
            queue: Queue::default(),
            live: Mutex::default(),
            turns: Turns::default(),
            tasks: TaskTracker::new(),
            leave: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The clusters that operations can go to.
    pub fn clusters(&self) -> &Clusters {
        &self.inner.context.clusters
    }

    /// Takes the pieces of one upload stream.
    pub fn upload(&self) -> Assembly {
        Assembly::new(self.inner.pool.clone())
    }

    /// How many operations run or wait.
    pub fn running(&self) -> usize {
        self.inner.live().len()
    }

    /// The helm of this agent, asked once; a helm that is not there is asked for again the next time.
    pub async fn helm(&self) -> Result<&Helm, HelmError> {
        self.inner.helm.get_or_try_init(|| Helm::detect(&self.inner.context.helm)).await
    }

    /// The helm of this agent, if it was asked already.
    pub fn known_helm(&self) -> Option<&Helm> {
        self.inner.helm.get()
    }

    /// Asks helm for its version in the background, so that clients can be told before the first operation. What is
    /// wrong with it is for the operation to say that needs it.
    pub fn ask_helm(&self) {
        let (operations, leave) = (self.clone(), self.inner.leave.clone());
        let ask = async move {
            if let Err(error) = operations.helm().await {
                tracing::warn!(%error, "no helm answers yet");
            }
        };
        self.inner.tasks.spawn(async move { leave.run_until_cancelled(ask).await });
    }

    /// Asks a running operation to stop. One that has ended stays as it is.
    pub async fn cancel(&self, id: &SessionId, principal: &str) -> Result<Session, OpError> {
        let inner = &self.inner;
        let session = inner.context.journal.require(id).await?;
        if session.owner == Owner::Publisher {
            return Err(OpError::Published(id.clone()));
        }
        // First of all it stops: a disk that is full must not keep helm running.
        if !session.status.is_terminal() && inner.stop(id) {
            self.keep_cancel(id, principal).await;
        }
        Ok(inner.context.journal.require(id).await?)
    }

    /// As [`Operations::cancel`], for a caller that has gone: of the public API, where leaving is how one cancels.
    pub fn abandon(&self, id: SessionId, principal: String) {
        let operations = self.clone();
        self.inner.tasks.spawn(async move {
            // A start that is still on its way is finished first.
            let _turn = operations.inner.turns.take(&id).await;
            match operations.cancel(&id, &principal).await {
                Ok(_) | Err(OpError::Store(StoreError::NotFound(_))) => {}
                Err(error) => tracing::warn!(session = %id, %error, "an abandoned operation goes on"),
            }
        });
    }

    /// Tells the next agent, and the session, that somebody asked.
    async fn keep_cancel(&self, id: &SessionId, principal: &str) {
        let folder = RunFolder::of(&self.inner.context.data_dir, id);
        match folder.request_cancel(principal) {
            // Not there yet, or gone as the operation has ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(session = %id, %error, "a cancel is not on the disk"),
            Ok(_) => {}
        }
        if let Err(error) = self.note_cancel(id, principal).await {
            tracing::warn!(session = %id, %error, "a cancel is not in its session");
        }
    }

    /// Leaves all work as it is: the shims go on, and the next agent adopts them. Waits for the tasks to let go;
    /// false when some did not within the grace.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.inner.leave.cancel();
        self.inner.tasks.close();
        timeout(grace, self.inner.tasks.wait()).await.is_ok()
    }

    /// Forgets uploads that nobody took in time, until this agent ends.
    pub fn sweep_uploads(&self) {
        let (pool, leave) = (self.inner.pool.clone(), self.inner.leave.clone());
        let sweep = async move {
            let mut ticks = interval(SWEEP);
            loop {
                ticks.tick().await;
                pool.sweep(Instant::now());
            }
        };
        self.inner.tasks.spawn(async move { leave.run_until_cancelled(sweep).await });
    }

    async fn note_cancel(&self, id: &SessionId, principal: &str) -> Result<(), OpError> {
        let journal = &self.inner.context.journal;
        let text = "cancel requested".to_owned();
        let note = Note { kind: NoteKind::CancelRequested.into(), text, principal: principal.to_owned() };
        let fact = journal.masker(id, []).mask(Fact { body: Some(Body::Note(note)) });
        let batch = Batch { producer: report::AGENT.to_owned(), counter: None, facts: vec![fact] };
        journal.append(id, batch).await?;
        Ok(())
    }

    /// Gives work to a task of its own. A panic in it ends the session, and neither the agent nor the line behind it.
    /// Work of an earlier agent says so first.
    fn run(&self, live: Live, work: Work, adopted: Option<String>) {
        let operations = self.clone();
        self.inner.tasks.spawn(async move {
            let ran = AssertUnwindSafe(runner::run_to_end(work, adopted)).catch_unwind();
            if let Some(Err(_)) = operations.inner.leave.run_until_cancelled(ran).await {
                operations
                    .give_up(
                        &live.id,
                        "the agent failed in this operation: a bug, report it with the agent's log",
                    )
                    .await;
            }
        });
    }
}

/// Work that waits for the disk, on a thread that may wait.
pub(crate) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Err(io::Error::other("the agent is stopping")),
    }
}

/// An operation that can be cancelled, until this is dropped.
struct Live {
    inner: Arc<Inner>,
    id: SessionId,
    cancel: CancellationToken,
}

impl Live {
    fn enter(inner: &Arc<Inner>, id: &SessionId) -> Self {
        let cancel = CancellationToken::new();
        inner.live().insert(id.clone(), cancel.clone());
        Self { inner: Arc::clone(inner), id: id.clone(), cancel }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.inner.live().remove(&self.id);
    }
}

impl Inner {
    /// Cancels an operation; true for the first who does.
    fn stop(&self, id: &SessionId) -> bool {
        let live = self.live();
        let Some(token) = live.get(id).filter(|token| !token.is_cancelled()) else { return false };
        token.cancel();
        true
    }

    fn live(&self) -> MutexGuard<'_, HashMap<SessionId, CancellationToken>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;
    use crate::{
        mask::MarkKey,
        session::{Meta, Tags},
        store::{NewSession, sqlite::SqliteStore},
    };

    fn operations(data_dir: PathBuf, journal: &Journal, helm: PathBuf) -> Operations {
        let (journal, clusters) = (journal.clone(), Clusters::default());
        let (launcher, digests) = (Launcher::new(PathBuf::from("none")), DigestKey::new([0; 32]));
        Operations::new(OpContext { journal, data_dir, clusters, helm, launcher, digests })
    }

    fn journal(home: &Path) -> Journal {
        Journal::new(Arc::new(SqliteStore::open(&home.join("sessions.db")).unwrap()), MarkKey::random())
    }

    #[tokio::test]
    async fn a_cancel_stops_first_and_is_noted_once_whatever_the_disk_says() {
        let home = tempfile::tempdir().unwrap();
        let journal = journal(home.path());
        // Below a file there is no run folder, and nobody can make one.
        let data_dir = home.path().join("file");
        std::fs::write(&data_dir, "").unwrap();
        let operations = operations(data_dir, &journal, PathBuf::from("helm"));
        let id = SessionId::mint();
        let masker = journal.masker(&id, []);
        let (meta, tags) = (masker.mask(Meta::default()), masker.mask(Tags::new()));
        let new = NewSession { id: id.clone(), meta, tags, owner: Owner::Agent, request: None };
        let live = Live::enter(&operations.inner, &id);
        journal.create(new).await.unwrap();
        for _ in 0..2 {
            let session = operations.cancel(&id, "somebody").await.unwrap();
            assert_eq!(session.head.0, 1, "one note");
        }
        assert!(live.cancel.is_cancelled());
        drop(live);
        assert_eq!(operations.running(), 0);
    }

    #[tokio::test]
    async fn helm_is_known_before_the_first_operation() {
        let home = tempfile::tempdir().unwrap();
        let helm = home.path().join("helm");
        std::fs::write(&helm, "#!/bin/sh\necho v4.0.1\n").unwrap();
        std::fs::set_permissions(&helm, std::fs::Permissions::from_mode(0o755)).unwrap();
        let operations = operations(home.path().to_owned(), &journal(home.path()), helm);
        assert_eq!(operations.known_helm(), None);
        operations.ask_helm();
        for _ in 0..1000 {
            if let Some(helm) = operations.known_helm() {
                assert_eq!(helm.version.text, "v4.0.1");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("helm was never asked");
    }
}
