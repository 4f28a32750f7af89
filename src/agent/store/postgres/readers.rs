//! Connections that read, each for one read at a time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep},
};

use super::{StoreError, address::PostgresUrl, link::Link};

/// Reads at the same time. More would only wait for the same server.
const CONNECTIONS: usize = 4;

/// How long a read waits for a server that does not answer before it says so.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits before it asks again.
const PAUSE: Duration = Duration::from_millis(200);

/// Connections that read.
pub(super) struct Readers {
    url: PostgresUrl,
    idle: Mutex<Vec<Link>>,
    free: Semaphore,
}

/// A turn to read, with its connection.
pub(super) struct Turn<'a> {
    readers: &'a Readers,
    _permit: SemaphorePermit<'a>,
    end: Instant,
}

impl Readers {
    pub(super) fn new(url: &PostgresUrl) -> Self {
        Self { url: url.clone(), idle: Mutex::default(), free: Semaphore::new(CONNECTIONS) }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, StoreError> {
        let permit = self.free.acquire().await.map_err(|_| StoreError::Closed)?;
        Ok(Turn { readers: self, _permit: permit, end: Instant::now() + PATIENCE })
    }

    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Turn<'_> {
    /// A connection, an idle one or a new one.
    pub(super) async fn link(&self) -> Result<Link, StoreError> {
        let idle = || self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(link) = idle() {
            if !link.is_closed() {
                return Ok(link);
            }
        }
        Link::open(&self.readers.url).await
    }

    /// Keeps the connection, unless it may be what is broken.
    pub(super) fn done(&self, link: Link, error: Option<&StoreError>) {
        let broken = matches!(error, Some(StoreError::Unavailable { .. } | StoreError::Failed { .. }));
        if !broken && !self.readers.free.is_closed() {
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
        }
    }

    /// Whether a read that failed so is to be tried once more; waits before it says so. Reading twice harms nobody.
    pub(super) async fn again(&self, error: &StoreError) -> bool {
        if !matches!(error, StoreError::Unavailable { .. }) || Instant::now() + PAUSE > self.end {
            return false;
        }
        sleep(PAUSE).await;
        true
    }
}

/// Reads with a connection from the pool, again while the server is away.
macro_rules! reading {
    ($readers:expr, $link:ident => $read:expr) => {{
        let turn = $readers.turn().await?;
        loop {
            let read = match turn.link().await {
                Ok(open) => {
                    let $link = &open;
                    let read = $read.await;
                    turn.done(open, read.as_ref().err());
                    read
                }
                Err(error) => Err(error),
            };
            match read {
                Err(error) if turn.again(&error).await => {}
                read => break read,
            }
        }
    }};
}
pub(super) use reading;
