//! What the test editor waits for, and what it makes of everything that comes.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

use serde_json::Value;

use super::{Editor, PATIENCE};
use crate::wire;

impl Editor {
    /// Waits for the answer to a request: the result, or the error object.
    pub(crate) fn response(&mut self, id: i64) -> Result<Value, Value> {
        let response = self.take(&format!("an answer to request {id}"), |message| {
            message.get("method").is_none() && message["id"] == id
        });
        match response.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(response["result"].clone()),
        }
    }

    /// Waits for the answer to a message that was sent by hand, with a text as its id.
    pub(crate) fn answer_to_text_id(&mut self, id: &str) -> Value {
        self.take(&format!("an answer to {id}"), |message| {
            message.get("method").is_none() && message["id"] == id
        })
    }

    /// Whether the answer to a request has come already.
    pub(crate) fn is_answered(&mut self, id: i64) -> bool {
        while let Ok(received) = self.inbox.try_recv() {
            self.accept(received);
        }
        self.answered.contains(&id)
    }

    /// Waits for an error response without an id, as bad frames get; its code and message.
    pub(crate) fn refusal(&mut self) -> (i64, String) {
        let refusal = self.take("a refusal", is_refusal);
        let error = &refusal["error"];
        (error["code"].as_i64().expect("a code"), error["message"].as_str().expect("a message").to_owned())
    }

    /// Waits for a notification or request of the server that fits.
    pub(crate) fn receive(&mut self, method: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.take(method, |message| message["method"] == method && fits(&message["params"]))
    }

    /// Waits for a `window/showMessage` that contains the words.
    pub(crate) fn message(&mut self, words: &str) -> String {
        let fits = |params: &Value| params["message"].as_str().is_some_and(|message| message.contains(words));
        let params = self.receive("window/showMessage", fits);
        params["params"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the diagnostics of a file are as wanted. A file without any has none.
    pub(crate) fn diagnostics(&mut self, uri: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown.get(uri).map_or(&[][..], Vec::as_slice);
            if wanted(shown) {
                return shown.to_vec();
            }
            if let Err(why) = self.pump(deadline) {
                panic!(
                    "diagnostics of {uri} {why} as wanted, but {:#?}{}",
                    self.shown.get(uri),
                    self.describe()
                );
            }
        }
    }

    /// Whether anything was ever said about a file.
    pub(crate) fn was_diagnosed(&self, uri: &str) -> bool {
        self.shown.contains_key(uri)
    }

    /// Everything of a method that came and was not taken.
    pub(crate) fn take_all(&mut self, method: &str) -> Vec<Value> {
        let (taken, left): (Vec<_>, _) =
            self.pending.drain(..).partition(|message| message["method"] == method);
        self.pending = left.into();
        taken
    }

    /// Waits until the server's log contains the words.
    pub(crate) fn logged(&self, words: &str) {
        assert!(self.stderr.wait_for(words, PATIENCE), "`{words}` was not logged{}", self.stderr.tail());
    }

    /// The lines of the server's log so far that contain the words.
    pub(crate) fn log_lines(&self, words: &str) -> Vec<String> {
        self.stderr.lines_with(words)
    }

    /// The first message that fits, from those that wait or those that come.
    fn take(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.pending.iter().skip(looked_at).position(&fits) {
                return self.pending.remove(looked_at + at).expect("it was just found");
            }
            looked_at = self.pending.len();
            if let Err(why) = self.pump(deadline) {
                panic!("{what} {why}{}", self.describe());
            }
        }
    }

    /// Takes the next message in; an error says why there is none.
    fn pump(&mut self, deadline: Instant) -> Result<(), &'static str> {
        match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(received) => {
                self.accept(received);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err("did not come in time"),
            Err(RecvTimeoutError::Disconnected) => Err("did not come before the server ended"),
        }
    }

    pub(super) fn accept(&mut self, received: wire::Received) {
        match received {
            wire::Received::Message(message) => {
                if message.get("method").is_none()
                    && let Some(id) = message["id"].as_i64()
                    && (!self.sent.contains(&id) || !self.answered.insert(id))
                {
                    self.unexpected.push(format!("a second answer, or one to nothing: {message}"));
                }
                if message["method"] == "textDocument/publishDiagnostics" {
                    let uri = message["params"]["uri"].as_str().unwrap_or_default().to_owned();
                    self.shown.insert(
                        uri,
                        message["params"]["diagnostics"].as_array().cloned().unwrap_or_default(),
                    );
                } else {
                    self.pending.push_back(message);
                }
            }
            wire::Received::Garbage(what) => self.unexpected.push(what),
        }
    }

    fn describe(&self) -> String {
        let last: Vec<_> =
            self.pending.iter().rev().take(5).map(|message| shorten(&message.to_string())).collect();
        format!("; waiting are {} messages, the last: {last:#?}{}", self.pending.len(), self.stderr.tail())
    }
}

/// An error response without an id.
pub(super) fn is_refusal(message: &Value) -> bool {
    message.get("error").is_some() && message["id"].is_null()
}

fn shorten(text: &str) -> String {
    text.chars().take(300).collect()
}
