//! Lines of sessions for the editor's log: bounded, so that a flood costs lines and neither memory nor the editor.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lsp_types::MessageType;
use tokio::sync::mpsc;
use tower_lsp::Client;

use crate::task;

/// Lines that may wait for the editor. Beyond, they are counted instead of kept.
const WAITING: usize = 1_000;

/// A handle; clones share the queue.
#[derive(Clone)]
pub(crate) struct Log {
    lines: mpsc::Sender<(MessageType, String)>,
    left_out: Arc<AtomicU64>,
}

impl Log {
    /// Sends lines to `client` for as long as a handle exists.
    pub(crate) fn to_client(client: Client) -> Self {
        let (log, mut lines) = Self::new();
        let left_out = log.left_out.clone();
        task::spawn("log", async move {
            while let Some((kind, line)) = lines.recv().await {
                client.log_message(kind, line).await;
                if let Some(missing) = missing(&left_out) {
                    client.log_message(MessageType::WARNING, missing).await;
                }
            }
        });
        log
    }

    /// Never waits.
    pub(crate) fn line(&self, kind: MessageType, line: String) {
        if self.lines.try_send((kind, line)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn new() -> (Self, mpsc::Receiver<(MessageType, String)>) {
        let (lines, receiver) = mpsc::channel(WAITING);
        (Self { lines, left_out: Arc::default() }, receiver)
    }
}

fn missing(left_out: &AtomicU64) -> Option<String> {
    match left_out.swap(0, Ordering::Relaxed) {
        0 => None,
        count => Some(format!("{count} lines were left out here; the session's page has all of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let (log, mut lines) = Log::new();
        for number in 0..WAITING + 7 {
            log.line(MessageType::INFO, number.to_string());
        }
        assert!(missing(&log.left_out).unwrap().starts_with("7 lines"));
        assert_eq!(missing(&log.left_out), None);
        assert_eq!(lines.try_recv().unwrap().1, "0");
    }
}
