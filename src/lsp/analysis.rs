//! Checks each document as it is typed, off the threads that serve the editor.
//!
//! A change starts work at once, without a timer. While a check of a document runs, the newest text waits and what
//! waited before is forgotten; a result whose text is not the newest any more is thrown away. So there is one check
//! per document at a time, however fast somebody types.

mod check;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lsp_types::{Diagnostic, MessageType, Uri};

use crate::board::Side;
use crate::documents::{Key, Snapshot, path_of};
use crate::editor::{Editor, display_name};
use crate::task;
use crate::workspace::{Buffers, has_config_name};

pub(crate) use check::Kind;

/// A text beyond this is not checked as it is typed: a tree of it would take many times its size.
const LARGEST: usize = 16 << 20;

/// A handle; clones share the work.
#[derive(Clone)]
pub(crate) struct Analysis {
    editor: Editor,
    slots: Arc<Mutex<HashMap<Key, Slot>>>,
}

/// A document that is being checked.
#[derive(Default)]
struct Slot {
    /// What to check next.
    waiting: Option<Snapshot>,
    /// The newest generation that was asked for.
    newest: u64,
    running: bool,
    /// The editor was told that the text is too large.
    told: bool,
}

impl Analysis {
    pub(crate) fn new(editor: Editor) -> Self {
        Self { editor, slots: Arc::default() }
    }

    /// Checks a document; the result goes to the board.
    pub(crate) fn start(&self, snapshot: Snapshot) {
        let Some(kind) = Kind::of(&snapshot) else { return };
        let uri = snapshot.uri.clone();
        self.start_one(kind, snapshot);
        self.file_changed(&uri);
    }

    /// What a file says that describes releases decides about other documents too, also where only the disk has it.
    pub(crate) fn file_changed(&self, uri: &Uri) {
        if !path_of(uri).is_some_and(|path| has_config_name(&path)) {
            return;
        }
        let open = self.editor.documents.all().into_iter();
        let unnamed = open.filter(|snapshot| Kind::of(snapshot) == Some(Kind::Unnamed));
        unnamed.for_each(|snapshot| self.start_one(Kind::Unnamed, snapshot));
    }

    fn start_one(&self, kind: Kind, snapshot: Snapshot) {
        let key = snapshot.key.clone();
        let mut slots = self.lock();
        let slot = slots.entry(key.clone()).or_default();
        slot.newest = snapshot.generation;
        if snapshot.text.len_bytes() > LARGEST {
            slot.waiting = None;
            return self.refuse(&snapshot, &mut slot.told);
        }
        slot.waiting = Some(snapshot);
        if !std::mem::replace(&mut slot.running, true) {
            let analysis = self.clone();
            task::spawn("analysis", async move { analysis.work(key, kind).await });
        }
    }

    /// Takes back what was said about a text that has become too large, and says once why.
    fn refuse(&self, snapshot: &Snapshot, told: &mut bool) {
        self.editor.board.show(Side::Text, &snapshot.uri, Vec::new());
        if std::mem::replace(told, true) {
            return;
        }
        let (name, limit) = (display_name(&snapshot.uri), LARGEST >> 20);
        let message = format!("ktl does not check {name} as you type: it is larger than {limit} MiB");
        let client = self.editor.client.clone();
        task::spawn("refusal", async move { client.log_message(MessageType::WARNING, message).await });
    }

    /// Forgets a document and takes back what was said about it.
    pub(crate) fn forget(&self, uri: &Uri) {
        let mut slots = self.lock();
        slots.remove(&Key::of(uri));
        self.editor.board.show(Side::Text, uri, Vec::new());
        drop(slots);
        self.file_changed(uri);
    }

    async fn work(&self, key: Key, kind: Kind) {
        while let Some(snapshot) = self.next(&key) {
            let encoding = self.editor.encoding();
            let (uri, generation) = (snapshot.uri.clone(), snapshot.generation);
            let buffers = self.buffers();
            let check = move || check::check(kind, &snapshot, &buffers, encoding);
            let diagnostics = task::blocking("check", check).await.unwrap_or_default();
            self.show(&key, &uri, generation, diagnostics);
        }
    }

    fn buffers(&self) -> Buffers {
        let open = self.editor.documents.all().into_iter();
        Buffers::new(
            open.filter_map(|snapshot| Some((snapshot.key.path()?.to_owned(), snapshot.text))).collect(),
        )
    }

    /// The text to check next; `None` ends the work.
    fn next(&self, key: &Key) -> Option<Snapshot> {
        let mut slots = self.lock();
        let slot = slots.get_mut(key)?;
        let next = slot.waiting.take();
        slot.running = next.is_some();
        next
    }

    /// Shown under the lock, so that a newer result cannot be shown before.
    fn show(&self, key: &Key, uri: &Uri, generation: u64, diagnostics: Vec<Diagnostic>) {
        let slots = self.lock();
        if slots.get(key).is_some_and(|slot| slot.newest == generation) {
            self.editor.board.show(Side::Text, uri, diagnostics);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
