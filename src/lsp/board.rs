//! What the client is shown as diagnostics: per file, what its text says and what runs said about it.
//!
//! The two come from different places at different times, and the protocol knows only "all of a file". Each side
//! replaces its own part; one task sends the union, so an older union never overtakes a newer one. Sent without a
//! version: some editors drop what does not fit the version they are at, and a run knows no version.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lsp_types::{Diagnostic, Uri};
use tokio::sync::Notify;
use tower_lsp::Client;

use crate::task;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The checks of the text itself.
    Text,
    /// The outcomes of runs.
    Runs,
}

/// A handle to the board; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Board {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By the text of the URI; what is empty is not kept.
    files: HashMap<String, File>,
    unsent: VecDeque<Uri>,
}

#[derive(Default)]
struct File {
    text: Vec<Diagnostic>,
    runs: Vec<Diagnostic>,
}

impl Board {
    /// A board whose changes are sent to `client` for as long as the runtime lives.
    pub(crate) fn for_client(client: Client) -> Self {
        let board = Self::default();
        let sender = board.clone();
        task::spawn("diagnostics", async move { sender.send_all(client).await });
        board
    }

    /// Replaces what one side says about a file; nothing at all clears it.
    pub(crate) fn show(&self, side: Side, uri: &Uri, diagnostics: Vec<Diagnostic>) {
        if self.lock().show(side, uri, diagnostics) {
            self.shared.changed.notify_one();
        }
    }

    async fn send_all(&self, client: Client) {
        loop {
            while let Some((uri, diagnostics)) = self.take_unsent() {
                client.publish_diagnostics(uri, diagnostics, None).await;
            }
            self.shared.changed.notified().await;
        }
    }

    fn take_unsent(&self) -> Option<(Uri, Vec<Diagnostic>)> {
        self.lock().take_unsent()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether that changes what the client should see.
    fn show(&mut self, side: Side, uri: &Uri, diagnostics: Vec<Diagnostic>) -> bool {
        if diagnostics.is_empty() && !self.files.contains_key(uri.as_str()) {
            return false;
        }
        let file = self.files.entry(uri.as_str().to_owned()).or_default();
        let part = match side {
            Side::Text => &mut file.text,
            Side::Runs => &mut file.runs,
        };
        if *part == diagnostics {
            return false;
        }
        *part = diagnostics;
        if !self.unsent.contains(uri) {
            self.unsent.push_back(uri.clone());
        }
        true
    }

    fn take_unsent(&mut self) -> Option<(Uri, Vec<Diagnostic>)> {
        let uri = self.unsent.pop_front()?;
        let merged = self.files.get(uri.as_str()).map(merge).unwrap_or_default();
        if merged.is_empty() {
            self.files.remove(uri.as_str());
        }
        Some((uri, merged))
    }
}

/// The union. A problem that a run hit and the text check sees too is shown once, as the run tells it: that one
/// carries the session.
fn merge(file: &File) -> Vec<Diagnostic> {
    let told_by_run = |said: &&Diagnostic| {
        file.runs.iter().any(|run| run.range.start == said.range.start && run.code == said.code)
    };
    file.runs.iter().chain(file.text.iter().filter(|said| !told_by_run(said))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use lsp_types::{NumberOrString, Position, Range};

    use super::*;

    fn diagnostic(line: u32, code: &str, message: &str) -> Diagnostic {
        Diagnostic {
            range: Range::new(Position::new(line, 0), Position::new(line, 1)),
            code: Some(NumberOrString::String(code.to_owned())),
            message: message.to_owned(),
            ..Diagnostic::default()
        }
    }

    fn messages(state: &mut State) -> Option<(String, Vec<String>)> {
        let (uri, diagnostics) = state.take_unsent()?;
        Some((
            uri.as_str().to_owned(),
            diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect(),
        ))
    }

    #[test]
    fn each_side_replaces_its_own_part_only() {
        let uri: Uri = "file:///v".parse().unwrap();
        let mut state = State::default();
        state.show(Side::Text, &uri, vec![diagnostic(1, "a", "text")]);
        state.show(Side::Runs, &uri, vec![diagnostic(2, "b", "run")]);
        let sent = |words: &[&str]| {
            Some(("file:///v".to_owned(), words.iter().map(|&word| word.to_owned()).collect()))
        };
        assert_eq!(messages(&mut state), sent(&["run", "text"]));
        assert_eq!(messages(&mut state), None, "two changes of one file are one message");
        state.show(Side::Text, &uri, Vec::new());
        assert_eq!(messages(&mut state), sent(&["run"]));
        state.show(Side::Runs, &uri, Vec::new());
        assert_eq!(messages(&mut state), sent(&[]));
        assert!(state.files.is_empty());
    }

    #[test]
    fn a_file_without_problems_is_not_kept() {
        let mut state = State::default();
        assert!(!state.show(Side::Runs, &"file:///v".parse().unwrap(), Vec::new()));
        assert!(state.files.is_empty());
    }

    #[test]
    fn what_both_sides_see_is_shown_once_as_the_run_tells_it() {
        let uri: Uri = "file:///v".parse().unwrap();
        let mut state = State::default();
        state.show(Side::Text, &uri, vec![diagnostic(1, "a", "text"), diagnostic(3, "a", "other place")]);
        state.show(Side::Runs, &uri, vec![diagnostic(1, "a", "run")]);
        let (_, shown) = messages(&mut state).unwrap();
        assert_eq!(shown, ["run", "other place"]);
    }

    #[test]
    fn what_did_not_change_is_not_sent_again() {
        let uri: Uri = "file:///v".parse().unwrap();
        let mut state = State::default();
        assert!(state.show(Side::Text, &uri, vec![diagnostic(1, "a", "text")]));
        state.take_unsent();
        assert!(!state.show(Side::Text, &uri, vec![diagnostic(1, "a", "text")]));
        assert!(state.take_unsent().is_none());
    }
}
