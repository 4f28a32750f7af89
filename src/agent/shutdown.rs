//! How the agent ends: a signal, then everybody is told, then a grace, and then it says what it was.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What every long task watches, and where all of them are counted. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Shutdown {
    /// Cancelled when the agent stops.
    pub token: CancellationToken,
    /// Tasks that the agent waits for.
    pub tasks: TaskTracker,
    activity: Arc<Mutex<Activity>>,
}

struct Activity {
    connections: usize,
    last: Instant,
}

/// A connection, until it is dropped.
pub struct Connected(Arc<Mutex<Activity>>);

/// The items, or an error as the last one when the agent stops before they end: what was cut off must not look whole.
pub(crate) fn whole_or<T: Send + 'static, E: Send + 'static>(
    items: impl Stream<Item = Result<T, E>> + Send + 'static,
    stop: CancellationToken,
    cut: impl FnOnce() -> E + Send + 'static,
) -> BoxStream<'static, Result<T, E>> {
    let state = Some((items.boxed(), stop, cut));
    let stream = stream::unfold(state, |state| async move {
        let (mut items, stop, cut) = state?;
        tokio::select! {
            biased;
            () = stop.cancelled() => Some((Err(cut()), None)),
            item = items.next() => item.map(|item| (item, Some((items, stop, cut)))),
        }
    });
    stream.boxed()
}

/// Some tasks did not end within the grace.
#[derive(Debug, thiserror::Error)]
#[error("{0} tasks were still running after the grace")]
pub struct StillRunning(usize);

impl Default for Shutdown {
    fn default() -> Self {
        let activity = Arc::new(Mutex::new(Activity { connections: 0, last: Instant::now() }));
        Self { token: CancellationToken::new(), tasks: TaskTracker::new(), activity }
    }
}

impl Shutdown {
    /// Notes a connection.
    pub fn connected(&self) -> Connected {
        let mut activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        activity.connections += 1;
        Connected(Arc::clone(&self.activity))
    }

    /// How long nobody has been connected; none while somebody is.
    pub fn idle(&self) -> Option<Duration> {
        let activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        (activity.connections == 0).then(|| activity.last.elapsed())
    }

    /// Tells everybody to stop and waits for them.
    pub async fn drain(&self, grace: Duration) -> Result<(), StillRunning> {
        self.token.cancel();
        self.tasks.close();
        timeout(grace, self.tasks.wait()).await.map_err(|_| StillRunning(self.tasks.len()))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut activity = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        activity.connections -= 1;
        activity.last = Instant::now();
    }
}

/// Catches SIGTERM and SIGINT from now on. The future waits for one and says which.
pub fn signals() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_end_of_the_agent_cuts_off_does_not_look_whole() {
        let stop = CancellationToken::new();
        let items = || stream::iter([Ok(1), Ok(2)]);
        let whole: Vec<_> = whole_or(items(), stop.clone(), || "cut").collect().await;
        assert_eq!(whole, [Ok(1), Ok(2)]);
        let mut endless = whole_or(items().chain(stream::pending()), stop.clone(), || "cut");
        assert_eq!((endless.next().await, endless.next().await), (Some(Ok(1)), Some(Ok(2))));
        stop.cancel();
        assert_eq!((endless.next().await, endless.next().await), (Some(Err("cut")), None));
    }

    #[tokio::test]
    async fn a_task_that_watches_ends_and_one_that_does_not_is_named() {
        let shutdown = Shutdown::default();
        let token = shutdown.token.clone();
        shutdown.tasks.spawn(async move { token.cancelled().await });
        assert!(shutdown.drain(Duration::from_secs(5)).await.is_ok());
        shutdown.tasks.spawn(std::future::pending::<()>());
        let left = shutdown.drain(Duration::from_millis(5)).await.unwrap_err();
        assert_eq!(left.to_string(), "1 tasks were still running after the grace");
    }

    #[test]
    fn nobody_is_idle_while_somebody_is_connected() {
        let shutdown = Shutdown::default();
        let connection = shutdown.connected();
        assert_eq!(shutdown.idle(), None);
        drop(connection);
        assert!(shutdown.idle().is_some_and(|idle| idle < Duration::from_secs(5)));
    }
}
