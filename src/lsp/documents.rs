//! The texts that are open in the editor, as the editor last described them.
//!
//! Every change is applied at once and in order; a snapshot is a cheap copy of one moment. When a change cannot be
//! right (it starts behind the end of the text), our text and the editor's differ: the text is forgotten, and the
//! editor is told, because a diagnostic on a wrong line is worse than none. The next whole text heals it.
//! Nothing here parses anything.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lsp_types::{
    DidChangeTextDocumentParams, DidOpenTextDocumentParams, Range, TextDocumentContentChangeEvent, Uri,
};
use ropey::Rope;

use crate::capabilities::Encoding;
use crate::convert;

/// One document at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// As the client spells it; what is published goes under this name.
    pub(crate) uri: Uri,
    pub(crate) key: Key,
    /// Counts the changes of all documents, so of two snapshots the higher one is newer.
    pub(crate) generation: u64,
    pub(crate) text: Rope,
}

impl Snapshot {
    /// The last part of its name.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let path = self.key.path().unwrap_or_else(|| Path::new(self.uri.path().as_str()));
        path.file_name()?.to_str()
    }
}

/// What tells documents apart: the path of a file, else the URI. Editors spell one path in several ways.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    File(PathBuf),
    Other(String),
}

impl Key {
    pub(crate) fn of(uri: &Uri) -> Self {
        match path_of(uri) {
            Some(path) => Self::File(path),
            None => Self::Other(uri.as_str().to_owned()),
        }
    }

    /// The file's path; `None` for what is not a file, such as an untitled buffer.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Other(_) => None,
        }
    }
}

/// The path that a `file:` URI names.
pub(crate) fn path_of(uri: &Uri) -> Option<PathBuf> {
    let is_file = uri.scheme().as_str().eq_ignore_ascii_case("file");
    if is_file { uri.to_file_path().map(Cow::into_owned) } else { None }
}

/// Why a document was forgotten.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyncError {
    #[error("a change starts on line {line} of a text with {lines} lines")]
    BeyondText { line: u32, lines: usize },
    #[error("a change ends before it starts, on line {line}")]
    Backwards { line: u32 },
    #[error("a change is not what the protocol says: {why}")]
    Unreadable { why: String },
}

/// What a change did.
#[derive(Debug)]
pub(crate) enum Changed {
    To(Snapshot),
    /// The text is not known any more. Said once, not for each change that follows.
    Lost(SyncError),
    /// Nothing: the document is not open here, or was lost before.
    Ignored,
}

/// All open documents.
#[derive(Default)]
pub(crate) struct Documents {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    documents: HashMap<Key, Document>,
    generation: u64,
}

struct Document {
    uri: Uri,
    generation: u64,
    /// `None` after a change that could not be right.
    text: Option<Rope>,
}

impl Documents {
    /// Takes a document in; one that is open already is replaced.
    pub(crate) fn open(&self, params: &DidOpenTextDocumentParams) -> Snapshot {
        let uri = params.text_document.uri.clone();
        let key = Key::of(&uri);
        let text = Rope::from_str(&params.text_document.text);
        let mut open = self.lock();
        let generation = open.next_generation();
        let document = Document { uri: uri.clone(), generation, text: Some(text.clone()) };
        open.documents.insert(key.clone(), document);
        Snapshot { uri, key, generation, text }
    }

    /// Applies changes in their order.
    pub(crate) fn change(&self, params: &DidChangeTextDocumentParams, encoding: Encoding) -> Changed {
        let key = Key::of(&params.text_document.uri);
        let mut open = self.lock();
        let generation = open.next_generation();
        let Some(document) = open.documents.get_mut(&key) else { return Changed::Ignored };
        document.generation = generation;
        for change in &params.content_changes {
            if let Err(error) = document.apply(change, encoding) {
                document.text = None;
                return Changed::Lost(error);
            }
        }
        document.snapshot(&key).map_or(Changed::Ignored, Changed::To)
    }

    /// A change of a document could not be read, so its text is not known any more.
    pub(crate) fn lose(&self, uri: &Uri, why: String) -> Changed {
        let mut open = self.lock();
        let generation = open.next_generation();
        let known = open.documents.get_mut(&Key::of(uri)).filter(|document| document.text.is_some());
        let Some(document) = known else { return Changed::Ignored };
        document.generation = generation;
        document.text = None;
        Changed::Lost(SyncError::Unreadable { why })
    }

    /// Forgets a document.
    pub(crate) fn close(&self, uri: &Uri) {
        self.lock().documents.remove(&Key::of(uri));
    }

    /// The document that the client names so.
    pub(crate) fn get(&self, uri: &Uri) -> Option<Snapshot> {
        self.by_key(&Key::of(uri))
    }

    /// The open document of a file: what the user sees of it, saved or not.
    pub(crate) fn of_file(&self, path: &Path) -> Option<Snapshot> {
        self.by_key(&Key::File(path.to_owned()))
    }

    /// All open documents whose text is known.
    pub(crate) fn all(&self) -> Vec<Snapshot> {
        self.lock().documents.iter().filter_map(|(key, document)| document.snapshot(key)).collect()
    }

    fn by_key(&self, key: &Key) -> Option<Snapshot> {
        self.lock().documents.get(key)?.snapshot(key)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
}

impl Document {
    fn snapshot(&self, key: &Key) -> Option<Snapshot> {
        let text = self.text.clone()?;
        Some(Snapshot { uri: self.uri.clone(), key: key.clone(), generation: self.generation, text })
    }

    fn apply(
        &mut self,
        change: &TextDocumentContentChangeEvent,
        encoding: Encoding,
    ) -> Result<(), SyncError> {
        match (change.range, &mut self.text) {
            (None, text) => *text = Some(Rope::from_str(&change.text)),
            (Some(range), Some(text)) => replace(text, range, &change.text, encoding)?,
            (Some(_), None) => {}
        }
        Ok(())
    }
}

fn replace(text: &mut Rope, range: Range, new_text: &str, encoding: Encoding) -> Result<(), SyncError> {
    // One line behind the last is how some editors name the end of the text.
    if range.start.line as usize > text.len_lines() {
        return Err(SyncError::BeyondText { line: range.start.line + 1, lines: text.len_lines() });
    }
    if range.end < range.start {
        return Err(SyncError::Backwards { line: range.start.line + 1 });
    }
    let start = text.byte_to_char(convert::offset(text, range.start, encoding));
    let end = text.byte_to_char(convert::offset(text, range.end, encoding));
    text.remove(start..end);
    text.insert(start, new_text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use lsp_types::{Position, TextDocumentItem, VersionedTextDocumentIdentifier};

    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    fn opened(text: &str) -> Documents {
        let documents = Documents::default();
        let text_document = TextDocumentItem::new(uri("file:///a/v.yaml"), "yaml".into(), 1, text.into());
        documents.open(&DidOpenTextDocumentParams { text_document });
        documents
    }

    fn change(documents: &Documents, range: Option<[u32; 4]>, text: &str) -> Changed {
        let range = range.map(|[line, from, to_line, to]| {
            Range::new(Position::new(line, from), Position::new(to_line, to))
        });
        let params = DidChangeTextDocumentParams {
            text_document: VersionedTextDocumentIdentifier::new(uri("file:///a/v.yaml"), 2),
            content_changes: vec![TextDocumentContentChangeEvent {
                range,
                range_length: None,
                text: text.into(),
            }],
        };
        documents.change(&params, Encoding::Utf16)
    }

    fn text_after(before: &str, range: Option<[u32; 4]>, text: &str) -> String {
        let documents = opened(before);
        let Changed::To(snapshot) = change(&documents, range, text) else { panic!("the change was refused") };
        snapshot.text.to_string()
    }

    #[test]
    fn changes_replace_ranges_and_whole_texts() {
        assert_eq!(text_after("a: 1\nb: 2\n", Some([1, 3, 1, 4]), "3"), "a: 1\nb: 3\n");
        assert_eq!(text_after("a: 𝄞x\n", Some([0, 5, 0, 6]), "y"), "a: 𝄞y\n");
        assert_eq!(text_after("a\r\nb", Some([0, 1, 1, 0]), ""), "ab");
        assert_eq!(text_after("old", None, "new"), "new");
    }

    #[test]
    fn the_end_may_be_named_by_the_line_behind_it() {
        assert_eq!(text_after("a\nb", Some([0, 0, 2, 0]), ""), "");
        assert_eq!(text_after("a\nb", Some([0, 0, 99, 99]), "x"), "x");
        assert_eq!(text_after("a", Some([1, 0, 1, 0]), "\nb"), "a\nb");
        assert_eq!(text_after("ab\nc", Some([0, 99, 0, 99]), "!"), "ab!\nc");
    }

    #[test]
    fn an_impossible_change_loses_the_text_once_and_a_whole_text_heals_it() {
        let documents = opened("a\n");
        let lost = change(&documents, Some([9, 0, 9, 0]), "x");
        assert!(matches!(lost, Changed::Lost(SyncError::BeyondText { line: 10, lines: 2 })), "{lost:?}");
        assert!(matches!(change(&documents, Some([0, 0, 0, 0]), "x"), Changed::Ignored));
        assert!(documents.get(&uri("file:///a/v.yaml")).is_none());
        assert!(matches!(change(&documents, None, "whole"), Changed::To(_)));
    }

    #[test]
    fn a_backwards_range_is_no_change() {
        let documents = opened("abc");
        assert!(matches!(
            change(&documents, Some([0, 2, 0, 1]), "x"),
            Changed::Lost(SyncError::Backwards { line: 1 })
        ));
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let documents = opened("before");
        let before = documents.get(&uri("file:///a/v.yaml")).unwrap();
        let Changed::To(after) = change(&documents, None, "after") else { panic!("refused") };
        assert_eq!((before.text.to_string(), after.text.to_string()), ("before".into(), "after".into()));
        assert!(after.generation > before.generation);
    }

    #[test]
    fn one_file_is_one_document_however_its_uri_is_spelled() {
        let documents = opened("x");
        assert!(documents.get(&uri("file:///a/v%2Eyaml")).is_some());
        assert!(documents.of_file(Path::new("/a/v.yaml")).is_some());
        assert!(documents.get(&uri("untitled:/a/v.yaml")).is_none());
        documents.close(&uri("file:///a/%76.yaml"));
        assert!(documents.all().is_empty());
    }
}
