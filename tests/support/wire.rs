//! The bytes between the test editor and the server: threads that never let a test hang on a pipe.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A body with its header.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    frame.extend_from_slice(body);
    frame
}

/// What came from the server.
pub(crate) enum Received {
    /// A message.
    Message(Value),
    /// Something that is none, in words.
    Garbage(String),
}

/// Reads messages on a thread; requests of the server go to `answer` first.
pub(crate) fn read(
    output: ChildStdout,
    gate: Gate,
    answer: impl Fn(&Value) + Send + 'static,
) -> Receiver<Received> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            gate.pass();
            let received = match read_one(&mut output) {
                Ok(None) => return,
                Ok(Some(message)) => {
                    if message.get("method").is_some() && message.get("id").is_some() {
                        answer(&message);
                    }
                    Received::Message(message)
                }
                Err(what) => {
                    let _ = sender.send(Received::Garbage(what));
                    return;
                }
            };
            if sender.send(received).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Strict on purpose: exactly one header, exactly as we write it.
fn read_one(output: &mut impl BufRead) -> Result<Option<Value>, String> {
    let mut header = String::new();
    if output.read_line(&mut header).map_err(|error| error.to_string())? == 0 {
        return Ok(None);
    }
    let length = header
        .strip_prefix("Content-Length: ")
        .and_then(|rest| rest.strip_suffix("\r\n"))
        .and_then(|number| number.parse::<usize>().ok())
        .ok_or_else(|| format!("standard output holds {header:?} where a header belongs"))?;
    let mut body = vec![0; length + 2];
    output
        .read_exact(&mut body)
        .map_err(|error| format!("a message of {length} bytes was cut off: {error}"))?;
    let body = body.strip_prefix(b"\r\n").ok_or("the header does not end in a blank line")?;
    serde_json::from_slice(body).map(Some).map_err(|error| format!("a message is no JSON: {error}"))
}

/// Lets the reader through, or not.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Nothing is read from now on.
    pub(crate) fn close(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    /// Reading goes on.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |closed| *closed).unwrap());
    }
}

/// The server's standard input, written by a thread of its own.
#[derive(Clone)]
pub(crate) struct Input {
    bytes: Sender<Option<Vec<u8>>>,
    left: Arc<(Mutex<usize>, Condvar)>,
}

impl Input {
    /// Takes the pipe over.
    pub(crate) fn start(mut pipe: ChildStdin) -> Self {
        let (bytes, receiver) = mpsc::channel::<Option<Vec<u8>>>();
        let left = Arc::new((Mutex::new(0), Condvar::new()));
        let counter = left.clone();
        thread::spawn(move || {
            while let Ok(Some(bytes)) = receiver.recv() {
                // A server that ended does not read; what that means is for the test to say.
                let _ = pipe.write_all(&bytes).and_then(|()| pipe.flush());
                *counter.0.lock().unwrap() -= 1;
                counter.1.notify_all();
            }
        });
        Self { bytes, left }
    }

    /// Queues bytes.
    pub(crate) fn send(&self, bytes: Vec<u8>) {
        *self.left.0.lock().unwrap() += 1;
        let _ = self.bytes.send(Some(bytes));
    }

    /// Closes the pipe once everything is written.
    pub(crate) fn close(self) {
        let _ = self.bytes.send(None);
    }

    /// Whether everything was taken in time.
    pub(crate) fn wait_taken(&self, patience: Duration) -> bool {
        let (left, changed) = &*self.left;
        let (left, _) = changed.wait_timeout_while(left.lock().unwrap(), patience, |left| *left > 0).unwrap();
        *left == 0
    }
}

/// What the server logs.
#[derive(Clone, Default)]
pub(crate) struct Stderr(Arc<(Mutex<String>, Condvar)>);

impl Stderr {
    /// Collects on a thread.
    pub(crate) fn collect(pipe: ChildStderr) -> Self {
        let stderr = Self::default();
        let log = stderr.clone();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.by_ref().read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                log.0.0.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                log.0.1.notify_all();
                line.clear();
            }
        });
        stderr
    }

    /// Whether the words were logged.
    pub(crate) fn contains(&self, words: &str) -> bool {
        self.0.0.lock().unwrap().contains(words)
    }

    /// The lines that contain the words.
    pub(crate) fn lines_with(&self, words: &str) -> Vec<String> {
        let log = self.0.0.lock().unwrap();
        log.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }

    /// Waits for the words.
    pub(crate) fn wait_for(&self, words: &str, patience: Duration) -> bool {
        let (log, changed) = &*self.0;
        let missing = |log: &mut String| !log.contains(words);
        let (log, _) = changed.wait_timeout_while(log.lock().unwrap(), patience, missing).unwrap();
        log.contains(words)
    }

    /// The last lines, for the words of a failure.
    pub(crate) fn tail(&self) -> String {
        let log = self.0.0.lock().unwrap();
        let lines: Vec<_> = log.lines().rev().take(15).collect();
        if lines.is_empty() {
            return String::new();
        }
        format!("\nthe server logged:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}
