//! The editor at the other end, as everything in the server sees it: how to speak to it, what it can do, what it has
//! open, and what it is shown.

use std::sync::{Arc, OnceLock};

use lsp_types::{MessageType, Uri};
use tower_lsp::Client;

use crate::board::Board;
use crate::capabilities::{Agreed, Encoding};
use crate::documents::Documents;

/// A handle; clones share everything.
#[derive(Clone)]
pub(crate) struct Editor {
    /// Sends notifications and requests. Never awaited by a handler for longer than it takes to queue.
    pub(crate) client: Client,
    pub(crate) documents: Arc<Documents>,
    pub(crate) board: Board,
    agreed: Arc<OnceLock<Agreed>>,
}

impl Editor {
    /// Must be called inside a runtime: the board sends from a task.
    pub(crate) fn new(client: Client) -> Self {
        let board = Board::for_client(client.clone());
        Self { client, documents: Arc::default(), board, agreed: Arc::default() }
    }

    /// Keeps what `initialize` agreed on; the first word counts.
    pub(crate) fn agree(&self, agreed: Agreed) -> &Agreed {
        self.agreed.get_or_init(|| agreed)
    }

    /// What client and server agreed on; before `initialize`, the least.
    pub(crate) fn agreed(&self) -> &Agreed {
        self.agreed.get_or_init(Agreed::default)
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.agreed().encoding
    }

    /// Says something that the user should see now.
    pub(crate) async fn warn(&self, message: String) {
        self.client.show_message(MessageType::WARNING, message).await;
    }
}

/// How a file is called in messages: its path, or the URI of what has none.
pub(crate) fn display_name(uri: &Uri) -> String {
    crate::documents::path_of(uri).map_or_else(|| uri.as_str().to_owned(), |path| path.display().to_string())
}
