//! Serves one client over two byte streams, and outlives whatever the client does to them.
//!
//! Three threads and a task, each waiting for one thing only:
//!
//! ```text
//! input -> reader ----- messages -----> dispatch -> handlers (tasks)
//!             \---- answers to us ----> waiting handlers   |
//!                  refusals                                v
//! output <- writer <----------------- outbox <---- answers, notifications, requests
//! ```
//!
//! Promises: input is read whatever handlers and the client do. Messages are served in order, by their first step.
//! A request gets exactly one answer, also when its handler panics or is cancelled. A bad frame costs itself only.
//! When input ends, the client's process ends or `exit` comes, the server ends, whatever still runs.
//! Nothing here knows what the methods mean, save those of the life cycle.

mod codec;
mod dispatch;
mod message;
mod outbox;
mod parent;
mod phase;
mod reader;
mod requests;
mod uri;
mod writer;

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tower::Service;
use tower_lsp::ClientSocket;
use tower_lsp::jsonrpc::{Request, Response};

use self::dispatch::Dispatch;
use self::message::Incoming;
use self::outbox::{Outbox, Outgoing};

/// How many messages may wait for dispatch before the reader waits too. Answers never wait here.
const INBOX: usize = 256;
/// How long the client may take nothing of the last words before they are given up.
const FLUSH: Duration = Duration::from_secs(1);
/// How long the server may take to end once its client is gone.
const GRACE: Duration = Duration::from_secs(5);

/// How the conversation ended; the exit code hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The client had said `shutdown`.
    AfterShutdown,
    /// The client said `exit` or went away without it.
    WithoutShutdown,
}

/// What dispatch waits for.
enum Event {
    Message(Incoming),
    Lost(Loss),
}

/// How the client was lost.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// Its input ended.
    Input,
    /// It does not take output any more.
    Output,
    /// Its process ended.
    Parent,
}

/// Serves until the conversation ends. What was queued for the client by then is written first.
pub(crate) async fn serve<S>(
    service: S,
    socket: ClientSocket,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> io::Result<Ended>
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    let (events, inbox) = mpsc::channel(INBOX);
    let (mut requests, answers) = socket.split();
    let outbox = Outbox::default();
    writer::start(output, outbox.clone(), events.clone())?;
    reader::start(input, answers, outbox.clone(), events.clone())?;
    let mut dispatch = Dispatch::new(service, outbox.clone(), events);
    let forward = async {
        while let Some(request) = requests.next().await {
            outbox.push(Outgoing::Request(request));
        }
        std::future::pending::<Ended>().await
    };
    let ended = tokio::select! {
        ended = dispatch.run(inbox) => ended,
        never = forward => never,
    };
    outbox.close();
    if !outbox.wait_drained(FLUSH) {
        tracing::warn!("the client did not take its last messages");
    }
    Ok(ended)
}

/// Called by a thread that saw the client go: ends the process if nobody else does. An orphan that waits on a bug of
/// ours for ever is worse than one that ends without its last words.
#[allow(clippy::exit)] // The one place that must not depend on anything else to end.
fn last_resort() {
    thread::sleep(GRACE);
    tracing::error!("the server did not end after its client was gone");
    std::process::exit(1);
}
