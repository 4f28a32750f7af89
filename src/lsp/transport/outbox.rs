//! What waits to be written to the client: in order, and bounded where nothing is lost by it.
//!
//! A client that stops reading stops nobody. Answers, requests and messages wait for as long as it takes. Of
//! diagnostics of a file and of reports of a progress only the last one matters, so it replaces the one that still
//! waits. Log lines beyond a limit are dropped until half of it is free again, and their number takes their place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tower_lsp::jsonrpc::{Request, Response};

/// How many log lines, and bytes of them, may wait.
const LOG_LINES: usize = 2_000;
const LOG_BYTES: usize = 2 << 20;

/// A message to the client.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Outgoing {
    Response(Response),
    /// A request or a notification.
    Request(Request),
}

/// A handle to the queue; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Outbox {
    /// Queues a message. Never blocks on the client.
    pub(crate) fn push(&self, message: Outgoing) {
        self.lock().push(message);
        self.shared.changed.notify_all();
    }

    /// The next message; blocks until there is one. `None` after [`Outbox::close`], once everything was taken.
    pub(crate) fn next(&self) -> Option<Outgoing> {
        let mut queue = self.lock();
        loop {
            if let Some(message) = queue.pop() {
                return Some(message);
            }
            if queue.closed {
                return None;
            }
            queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether nothing waits, so what was written should be flushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Nothing comes any more; what is queued is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.shared.changed.notify_all();
    }

    /// The writer is done with everything.
    pub(crate) fn drained(&self) {
        self.lock().drained = true;
        self.shared.changed.notify_all();
    }

    /// Waits until the writer is done, for as long as it takes something within each `patience`; whether it is.
    pub(crate) fn wait_drained(&self, patience: Duration) -> bool {
        let mut queue = self.lock();
        loop {
            let taken = queue.taken;
            let waiting = |queue: &mut Queue| !queue.drained;
            let waited = self.shared.changed.wait_timeout_while(queue, patience, waiting);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if queue.drained || queue.taken == taken {
                return queue.drained;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// How many entries were ever taken: an entry's number less this is its index.
    taken: u64,
    /// Entries that a newer message of the same key replaces, by number.
    latest: HashMap<String, u64>,
    log_lines: usize,
    log_bytes: usize,
    /// Where dropped log lines are counted, while they are dropped.
    omitted: Option<u64>,
    closed: bool,
    drained: bool,
}

enum Entry {
    Message(Outgoing),
    Log {
        message: Outgoing,
        bytes: usize,
    },
    Latest {
        message: Outgoing,
        key: String,
    },
    /// So many log lines were dropped here.
    Omitted(usize),
}

/// How a message may be treated while it waits.
enum Class {
    Lossless,
    Log { bytes: usize },
    Latest { key: String },
}

impl Queue {
    fn push(&mut self, message: Outgoing) {
        let entry = match classify(&message) {
            Class::Lossless => Entry::Message(message),
            Class::Log { bytes } if self.must_omit(bytes) => return self.omit(),
            Class::Log { bytes } => {
                self.log_lines += 1;
                self.log_bytes += bytes;
                Entry::Log { message, bytes }
            }
            Class::Latest { key } => {
                if let Some(waiting) = self.latest.get(&key).and_then(|number| self.index(*number)) {
                    self.entries[waiting] = Entry::Latest { message, key };
                    return;
                }
                self.latest.insert(key.clone(), self.taken + self.entries.len() as u64);
                Entry::Latest { message, key }
            }
        };
        self.entries.push_back(entry);
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.taken)?).ok()
    }

    /// Once lines are dropped this goes on until there is real room again: the log has few gaps, and long ones.
    fn must_omit(&mut self, bytes: usize) -> bool {
        if self.omitted.is_some() && self.log_lines <= LOG_LINES / 2 && self.log_bytes <= LOG_BYTES / 2 {
            self.omitted = None;
        }
        self.omitted.is_some() || self.log_lines >= LOG_LINES || self.log_bytes + bytes > LOG_BYTES
    }

    fn omit(&mut self) {
        let waiting = self.omitted.and_then(|number| self.index(number));
        if let Some(Entry::Omitted(count)) = waiting.and_then(|index| self.entries.get_mut(index)) {
            *count += 1;
        } else {
            self.omitted = Some(self.taken + self.entries.len() as u64);
            self.entries.push_back(Entry::Omitted(1));
        }
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let entry = self.entries.pop_front()?;
        self.taken += 1;
        Some(match entry {
            Entry::Message(message) => message,
            Entry::Log { message, bytes } => {
                self.log_lines -= 1;
                self.log_bytes -= bytes;
                message
            }
            Entry::Latest { message, key } => {
                self.latest.remove(&key);
                message
            }
            Entry::Omitted(count) => omitted(count),
        })
    }
}

fn classify(message: &Outgoing) -> Class {
    let Outgoing::Request(request) = message else { return Class::Lossless };
    let params = request.params().unwrap_or(&Value::Null);
    match request.method() {
        "window/logMessage" => Class::Log { bytes: params["message"].as_str().map_or(0, str::len) },
        "textDocument/publishDiagnostics" => Class::Latest { key: format!("diagnostics {}", params["uri"]) },
        "$/progress" if params["value"]["kind"] == "report" => {
            Class::Latest { key: format!("progress {}", params["token"]) }
        }
        _ => Class::Lossless,
    }
}

fn omitted(count: usize) -> Outgoing {
    let message = format!("{count} log lines were left out here because the editor did not read them");
    // Type 2 is a warning.
    let params = json!({ "type": 2, "message": message });
    Outgoing::Request(Request::build("window/logMessage").params(params).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(method: &'static str, params: Value) -> Outgoing {
        Outgoing::Request(Request::build(method).params(params).finish())
    }

    fn log(text: &str) -> Outgoing {
        notification("window/logMessage", json!({"type": 4, "message": text}))
    }

    fn report(token: &str, percentage: u32) -> Outgoing {
        let value = json!({"kind": "report", "percentage": percentage});
        notification("$/progress", json!({"token": token, "value": value}))
    }

    fn diagnostics(uri: &str, items: &Value) -> Outgoing {
        notification("textDocument/publishDiagnostics", json!({"uri": uri, "diagnostics": items}))
    }

    fn drain(outbox: &Outbox) -> Vec<Value> {
        outbox.close();
        std::iter::from_fn(|| outbox.next()).map(|message| serde_json::to_value(message).unwrap()).collect()
    }

    #[test]
    fn messages_keep_their_order() {
        let outbox = Outbox::default();
        for number in 0..100 {
            outbox.push(Outgoing::Response(Response::from_ok(number.into(), Value::Null)));
            outbox.push(log(&number.to_string()));
        }
        let drained = drain(&outbox);
        let ids: Vec<_> = drained.iter().filter_map(|message| message["id"].as_i64()).collect();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
        assert_eq!(drained.len(), 200);
    }

    #[test]
    fn log_lines_beyond_the_limit_are_counted_and_everything_else_is_kept() {
        let outbox = Outbox::default();
        for number in 0..50_000 {
            outbox.push(log(&number.to_string()));
            if number % 10_000 == 0 {
                outbox.push(notification("window/showMessage", json!({"message": number})));
            }
        }
        let drained = drain(&outbox);
        let shown = drained.iter().filter(|message| message["method"] == "window/showMessage").count();
        assert_eq!(shown, 5);
        let lines = drained.len() - shown;
        let left_out: usize = drained
            .iter()
            .filter_map(|message| {
                message["params"]["message"].as_str()?.split_once(" log lines were left out")
            })
            .map(|(count, _)| count.parse::<usize>().unwrap())
            .sum();
        let marks = drained.iter().filter(|message| message["params"]["type"] == 2).count();
        assert_eq!(lines - marks + left_out, 50_000);
        assert!(lines <= LOG_LINES + marks, "{lines} lines kept");
    }

    #[test]
    fn a_slow_reader_gets_few_long_gaps() {
        let outbox = Outbox::default();
        for number in 0..100_000 {
            outbox.push(log(&number.to_string()));
            if number > 10_000 && number % 2 == 0 {
                assert!(outbox.next().is_some());
            }
        }
        let gaps = drain(&outbox).iter().filter(|message| message["params"]["type"] == 2).count();
        assert!((1..10).contains(&gaps), "{gaps}");
    }

    #[test]
    fn long_log_lines_are_bounded_by_their_bytes() {
        let outbox = Outbox::default();
        let long = "x".repeat(LOG_BYTES / 4);
        for _ in 0..100 {
            outbox.push(log(&long));
        }
        assert_eq!(drain(&outbox).len(), 4 + 1);
    }

    #[test]
    fn only_the_last_report_of_a_progress_waits() {
        let outbox = Outbox::default();
        outbox.push(notification("$/progress", json!({"token": "a", "value": {"kind": "begin"}})));
        for percentage in 0..100 {
            outbox.push(report("a", percentage));
            outbox.push(report("b", percentage));
        }
        outbox.push(notification("$/progress", json!({"token": "a", "value": {"kind": "end"}})));
        let kinds: Vec<_> = drain(&outbox)
            .iter()
            .map(|message| {
                let params = &message["params"];
                (
                    params["token"].to_string(),
                    params["value"]["kind"].to_string(),
                    params["value"]["percentage"].as_u64(),
                )
            })
            .collect();
        let quoted = |text: &str| format!("{text:?}");
        assert_eq!(
            kinds,
            [
                (quoted("a"), quoted("begin"), None),
                (quoted("a"), quoted("report"), Some(99)),
                (quoted("b"), quoted("report"), Some(99)),
                (quoted("a"), quoted("end"), None),
            ]
        );
    }

    #[test]
    fn the_last_diagnostics_of_each_file_are_always_delivered() {
        let outbox = Outbox::default();
        for round in 0..1_000 {
            outbox.push(diagnostics("file:///a", &json!([round])));
            outbox.push(diagnostics("file:///b", &json!([round])));
        }
        assert!(outbox.next().is_some());
        outbox.push(diagnostics("file:///a", &json!(["after"])));
        let left = drain(&outbox);
        let last: Vec<_> = left.iter().map(|message| message["params"]["diagnostics"].clone()).collect();
        assert_eq!(last, [json!([999]), json!(["after"])]);
    }
}
