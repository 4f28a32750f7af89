//! The table: each method of the protocol is decoded, handed to the one thing that knows, and encoded.
//!
//! Two rules for every method here. Documents change before the first `.await`: that is what keeps edits in order.
//! No method waits for a run, for the agent or for an answer of the user: it starts the work, and answers.

use lsp_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, ExecuteCommandParams,
    Hover, HoverParams, InitializeParams, InitializeResult, InitializedParams, LSPAny, Uri,
};
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::{Client, ClientSocket, LanguageServer, LspService};

use crate::analysis::{self, Analysis, Kind};
use crate::capabilities::Agreed;
use crate::documents::{Changed, SyncError};
use crate::editor::{Editor, display_name};
use crate::{hover, task};

/// Everything that the methods hand on to.
///
/// Where runs plug in: a field `runs`, made in [`Server::new`] from a clone of `editor`. `initialize` hands it folders
/// and settings, `execute_command` decodes and calls it, `code_lens` and `code_action` ask `features`, custom methods
/// (`window/workDoneProgress/cancel`) join [`service`], and [`COMMANDS`] becomes the list of `command`. What runs found
/// goes to `editor.board` as [`Side::Runs`](crate::board::Side); `editor.documents` has the unsaved texts.
pub(crate) struct Server {
    /// Shared with everything that speaks to the editor, runs included.
    editor: Editor,
    analysis: Analysis,
}

/// The service and its line to the client. Must be called inside a runtime.
pub(crate) fn service() -> (LspService<Server>, ClientSocket) {
    LspService::build(Server::new).finish()
}

impl Server {
    fn new(client: Client) -> Self {
        let editor = Editor::new(client);
        Self { analysis: Analysis::new(editor.clone()), editor }
    }

    async fn lost_track(&self, uri: &Uri, error: &SyncError) {
        self.analysis.forget(uri);
        let name = display_name(uri);
        let message =
            format!("ktl lost track of {name}: {error}. Close the file and open it again to have it checked");
        self.editor.warn(message).await;
    }
}

impl LanguageServer for Server {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let agreed = self.editor.agree(Agreed::from_params(&params));
        Ok(agreed.answer(COMMANDS))
    }

    async fn initialized(&self, _: InitializedParams) {
        let registrations = self.editor.agreed().registrations();
        if !registrations.is_empty()
            && let Err(error) = self.editor.client.register_capability(registrations).await
        {
            tracing::warn!(%error, "the client refused to watch files");
        }
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let snapshot = self.editor.documents.open(&params);
        self.analysis.start(snapshot);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        match self.editor.documents.change(&params, self.editor.encoding()) {
            Changed::To(snapshot) => self.analysis.start(snapshot),
            Changed::Lost(error) => self.lost_track(&params.text_document.uri, &error).await,
            Changed::Ignored => {}
        }
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        self.editor.documents.close(&params.text_document.uri);
        self.analysis.forget(&params.text_document.uri);
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let at = params.text_document_position_params;
        let Some(snapshot) = self.editor.documents.get(&at.text_document.uri) else { return Ok(None) };
        if analysis::kind_of(&snapshot) != Some(Kind::Config) {
            return Ok(None);
        }
        let encoding = self.editor.encoding();
        Ok(task::blocking("hover", move || hover::hover(&snapshot, at.position, encoding)).await.flatten())
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<LSPAny>> {
        #[cfg(feature = "fault-injection")]
        if let Some(outcome) = crate::fault::execute(&self.editor, &params).await {
            return outcome;
        }
        let known = COMMANDS.join(", ");
        Err(Error::invalid_params(format!("unknown command {}; known are: {known}", params.command)))
    }
}

#[cfg(not(feature = "fault-injection"))]
const COMMANDS: &[&str] = &[];
#[cfg(feature = "fault-injection")]
const COMMANDS: &[&str] = crate::fault::COMMANDS;
