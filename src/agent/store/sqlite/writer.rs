//! The one thread that writes: it takes all that waits, commits once, and then answers each.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{StoreError, Tell, errors::failed};
use crate::session::SessionId;

/// The most writes of one commit: a bound on how long the first of them waits for the others.
const GROUP: usize = 1024;

/// A door to the writing thread.
pub(super) struct Writer {
    queue: Mutex<Option<Sender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    tell: Arc<OnceLock<Tell>>,
    store: String,
}

/// What the thread is asked to do.
enum Work {
    /// A write, committed with others.
    Grouped(Box<dyn Job>),
    /// Something between transactions.
    Alone(Box<dyn FnOnce(&Connection) + Send>),
}

/// A write that waits for its commit.
trait Job: Send {
    /// Does the work inside the transaction.
    fn run(&mut self, connection: &Connection) -> Result<(), ()>;
    /// Answers. An error is why nothing of this group was stored.
    fn settle(self: Box<Self>, commit: Result<(), StoreError>);
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let (queue, jobs) = channel();
        let store = path.display().to_string();
        let name = store.clone();
        let thread = thread::Builder::new()
            .name("ktl-store".into())
            .spawn(move || write_all(&connection, &jobs, &name))
            .map_err(|source| StoreError::Folder { path: store.clone(), source })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            tell: Arc::default(),
            store,
        })
    }

    /// Runs `work` in a transaction, alone or with others, and answers when the commit is durable. When `work`
    /// fails, what it did is undone and the others are not.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.ask(work, None).await
    }

    /// Runs `work` between transactions: what a transaction does not allow. Writers wait until it is done.
    pub(super) async fn alone<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Alone(Box::new(move |connection| {
            // Whoever asked may have gone.
            let _ = reply.send(work(connection));
        })))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// As [`Writer::run`], and says afterwards that `session` has changed, whether or not the caller still waits.
    pub(super) async fn change<T, F>(&self, session: &SessionId, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.ask(work, Some((session.clone(), Arc::clone(&self.tell)))).await
    }

    async fn ask<T, F>(
        &self,
        work: F,
        changes: Option<(SessionId, Arc<OnceLock<Tell>>)>,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Grouped(Box::new(Pending { work: Some(work), result: None, reply, changes })))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Sets who is told of changes.
    pub(super) fn tell(&self, tell: Tell) {
        // The first one stays: a store has one journal.
        let _ = self.tell.set(tell);
    }

    /// Says that these sessions have changed.
    pub(super) fn say(&self, sessions: &[SessionId]) {
        if let Some(tell) = self.tell.get() {
            for session in sessions {
                tell(session);
            }
        }
    }

    fn send(&self, job: Work) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().and_then(|queue| queue.send(job).ok()).ok_or(StoreError::Closed)
    }

    /// Takes no more writes and waits for those that are queued.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(|| thread.join().is_ok()).await;
        match joined {
            Ok(true) => Ok(()),
            _ => Err(StoreError::Failed { store: self.store.clone(), why: "its writer panicked".into() }),
        }
    }
}

struct Pending<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    changes: Option<(SessionId, Arc<OnceLock<Tell>>)>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), ()> {
        let Some(work) = self.work.take() else { return Err(()) };
        let result = work(connection);
        let done = if result.is_ok() { Ok(()) } else { Err(()) };
        self.result = Some(result);
        done
    }

    fn settle(self: Box<Self>, commit: Result<(), StoreError>) {
        let answer = match (commit, self.result) {
            // A refusal of its own says more than the failure of the group.
            (_, Some(Err(refused))) | (Err(refused), _) => Err(refused),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(StoreError::Closed),
        };
        if let (Ok(_), Some((session, tell))) = (&answer, &self.changes)
            && let Some(tell) = tell.get()
        {
            tell(session);
        }
        // Whoever asked may have gone; what was committed stays.
        let _ = self.reply.send(answer);
    }
}

fn write_all(connection: &Connection, works: &Receiver<Work>, store: &str) {
    while let Ok(first) = works.recv() {
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        let mut next = Some(first);
        while let Some(Work::Grouped(job)) = next {
            group.push(job);
            next = if group.len() < GROUP { works.try_recv().ok() } else { None };
        }
        if !group.is_empty() {
            write_group(connection, group, store);
        }
        if let Some(Work::Alone(work)) = next {
            work(connection);
        }
    }
}

fn write_group(connection: &Connection, mut group: Vec<Box<dyn Job>>, store: &str) {
    let mut committed = commit(connection, &mut group).map_err(|error| failed(store, error));
    if let Err(error) = &committed {
        tracing::error!(%error, writes = group.len(), "nothing of this group was stored");
    }
    for job in group {
        let answer = match &mut committed {
            Ok(()) => Ok(()),
            Err(error) => Err(error.again()),
        };
        job.settle(answer);
    }
}

/// Everything of a group in one transaction, each job behind a savepoint of its own.
fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), rusqlite::Error> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = run_all(connection, group).and_then(|()| connection.execute_batch("COMMIT"));
    if done.is_err() && !connection.is_autocommit() {
        // The connection must come out of this without a transaction, or every later group fails too.
        connection.execute_batch("ROLLBACK")?;
    }
    done
}

fn run_all(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), rusqlite::Error> {
    for job in group {
        connection.prepare_cached("SAVEPOINT job")?.execute([])?;
        if job.run(connection).is_err() {
            // A full disk undoes the whole transaction by itself: then there is no savepoint to go back to, and
            // this statement says so for the group.
            connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        connection.prepare_cached("RELEASE job")?.execute([])?;
    }
    Ok(())
}
