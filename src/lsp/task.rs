//! The one place where the language server spawns tasks, so that each of them has a panic barrier.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::task::JoinHandle;

/// Runs `work` beside everything else. A panic ends this task only, and is logged under `name`.
pub(crate) fn spawn(name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    drop(start(name, work));
}

/// Like [`spawn`], for a task that somebody may abort or wait for.
pub(crate) fn start(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            tracing::error!(task = name, panic = panic_words(panic.as_ref()), "task panicked");
        }
    })
}

/// Runs work that takes more than a few milliseconds off the threads that serve the client; `None` when it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Some(result),
        // The server ends, and nobody waits for the result any more.
        Err(error) if error.is_cancelled() => None,
        Err(error) => {
            tracing::error!(task = name, %error, "task panicked");
            None
        }
    }
}

/// What a panic said.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}
