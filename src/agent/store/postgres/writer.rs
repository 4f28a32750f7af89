//! The one task that writes: it takes all that waits, commits once, and then answers each.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{StoreError, Tell, flush::Flush, link::Link};
use crate::session::SessionId;

/// The most writes of one commit: a bound on how long the first of them waits for the others.
const GROUP: usize = 1024;
/// The most writes that wait for their turn; whoever comes then waits outside.
const QUEUE: usize = 4096;

/// How long a write waits for a server that does not answer before it is refused.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A transaction, and the token that it writes under.
pub(super) struct Tx {
    pub(super) link: Link,
    pub(super) token: i64,
}

/// What is done in a transaction with what was asked. It may be done again, when the server went away before it was
/// committed.
pub(super) type Work<I, T> = for<'a> fn(&'a Tx, &'a I) -> BoxFuture<'a, Result<T, StoreError>>;

/// A door to the writing task.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    tell: Arc<OnceLock<Tell>>,
}

/// A write that waits for its commit.
pub(super) trait Job: Send {
    /// Does the work inside the transaction; an error undoes it, and is its answer unless the store is unavailable.
    fn run<'a>(&'a mut self, tx: &'a Tx) -> BoxFuture<'a, Result<(), Refused>>;
    /// Whether it changes what others follow.
    fn moves(&self) -> bool;
    /// Answers. An error is why nothing of this group was stored.
    fn settle(self: Box<Self>, commit: Result<(), StoreError>);
}

/// Why a job did nothing.
pub(super) enum Refused {
    /// For a reason of its own, which it knows.
    Itself,
    /// Because the transaction is gone, with all of its jobs.
    Transaction(StoreError),
}

impl Writer {
    pub(super) fn start(flush: Flush) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let task = tokio::spawn(write_all(flush, jobs));
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(task)), tell: Arc::default() }
    }

    /// Does `work` in a transaction, alone or with others, and answers when the commit is durable. When it fails, what
    /// it did is undone and the others are not.
    pub(super) async fn run<I, T>(&self, input: I, work: Work<I, T>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.ask(input, work, None).await
    }

    /// As [`Writer::run`], and says afterwards that `session` has changed, whether or not the caller still waits.
    pub(super) async fn change<I, T>(
        &self,
        session: &SessionId,
        input: I,
        work: Work<I, T>,
    ) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.ask(input, work, Some((session.clone(), Arc::clone(&self.tell)))).await
    }

    async fn ask<I, T>(&self, input: I, work: Work<I, T>, changes: Option<Changes>) -> Result<T, StoreError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or(StoreError::Closed)?;
        let job = Pending { input, work, result: None, reply, changes };
        queue.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        drop(queue);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Sets who is told of changes.
    pub(super) fn tell(&self, tell: Tell) {
        // The first one stays: a store has one journal.
        let _ = self.tell.set(tell);
    }

    /// Who is told, once it is known.
    pub(super) fn teller(&self) -> Arc<OnceLock<Tell>> {
        Arc::clone(&self.tell)
    }

    /// Says that these sessions have changed.
    pub(super) fn say(&self, sessions: &[SessionId]) {
        if let Some(tell) = self.tell.get() {
            for session in sessions {
                tell(session);
            }
        }
    }

    /// Takes no more writes and waits for those that are queued.
    pub(super) async fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

type Changes = (SessionId, Arc<OnceLock<Tell>>);

struct Pending<I, T> {
    input: I,
    work: Work<I, T>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    changes: Option<Changes>,
}

impl<I: Send + Sync, T: Send> Job for Pending<I, T> {
    fn run<'a>(&'a mut self, tx: &'a Tx) -> BoxFuture<'a, Result<(), Refused>> {
        async move {
            match (self.work)(tx, &self.input).await {
                Err(gone @ StoreError::Unavailable { .. }) => Err(Refused::Transaction(gone)),
                result => {
                    let done = if result.is_ok() { Ok(()) } else { Err(Refused::Itself) };
                    self.result = Some(result);
                    done
                }
            }
        }
        .boxed()
    }

    fn moves(&self) -> bool {
        self.changes.is_some()
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

async fn write_all(mut flush: Flush, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, GROUP).await > 0 {
        flush.write(std::mem::take(&mut group)).await;
    }
}
