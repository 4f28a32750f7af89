//! Operations: started by a request, owned by the agent, told by their frames.
//!
//! [`Operations::start`] makes the session and its run folder, then a task of ours steps the machine of
//! [`apply::Apply`] to its end. A caller that goes away changes nothing. Everything that a restart needs is in the
//! run folder ([`run`]), so an agent that dies at any point is replaced by one that adopts: see [`adopt`].

pub mod adopt;
pub mod apply;
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

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use tokio::{
    sync::OnceCell,
    time::{interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{apply::Work, queue::Queue, run::RunFolder};
use crate::{
    clusters::Clusters,
    frame::{Body, Fact, Note, NoteKind},
    helm::{Helm, HelmError},
    journal::{Batch, Journal},
    session::{Owner, Session, SessionId},
    shim::Launcher,
    sources::{Assembly, SourcePool},
};

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
            tasks: TaskTracker::new(),
            leave: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
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

    /// Asks a running operation to stop. One that has ended stays as it is.
    pub async fn cancel(&self, id: &SessionId, principal: &str) -> Result<Session, OpError> {
        let inner = &self.inner;
        let session = inner.context.journal.require(id).await?;
        if session.owner == Owner::Publisher {
            return Err(OpError::Published(id.clone()));
        }
        let token = inner.live().get(id).cloned();
        if let Some(token) = token.filter(|_| !session.status.is_terminal()) {
            let folder = RunFolder::of(&inner.context.data_dir, id);
            // On the disk first: an agent that dies now must not forget what was asked.
            if folder.request_cancel(principal).map_err(OpError::Folder)? {
                self.note_cancel(id, principal).await?;
            }
            token.cancel();
        }
        Ok(inner.context.journal.require(id).await?)
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
    fn run(&self, id: SessionId, work: Work) {
        let operations = self.clone();
        self.inner.live().insert(id.clone(), work.cancel.clone());
        self.inner.tasks.spawn(async move {
            let ran = AssertUnwindSafe(runner::run_to_end(work)).catch_unwind();
            if let Some(Err(_)) = operations.inner.leave.run_until_cancelled(ran).await {
                operations
                    .give_up(&id, "the agent failed in this operation: a bug, report it with the agent's log")
                    .await;
            }
            operations.inner.live().remove(&id);
        });
    }
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, HashMap<SessionId, CancellationToken>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
