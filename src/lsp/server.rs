//! The table: each method of the protocol is decoded, handed to the one thing that knows, and encoded.
//!
//! Two rules for every method here. Documents change before the first `.await`: that is what keeps edits in order.
//! No method waits for a run, for the agent or for an answer of the user: it starts the work, and answers.

mod unread;

use std::time::Duration;

use lsp_types::{
    CodeActionParams, CodeActionResponse, CodeLens, CodeLensParams, DidChangeConfigurationParams,
    DidChangeTextDocumentParams, DidChangeWatchedFilesParams, DidChangeWorkspaceFoldersParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, ExecuteCommandParams, Hover, HoverParams,
    InitializeParams, InitializeResult, InitializedParams, LSPAny, Uri, WorkDoneProgressCancelParams,
};
use tokio::time::timeout;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::{Client, ClientSocket, LanguageServer, LspService};

use crate::analysis::{Analysis, Kind};
use crate::capabilities::Agreed;
use crate::command::{COMMANDS, Command, Desk};
use crate::documents::{Changed, SyncError};
use crate::editor::{Editor, display_name};
use crate::{hover, task};

pub(crate) use unread::Reading;

/// How long a client may take to answer what nobody waits for.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Everything that the methods hand on to.
pub(crate) struct Server {
    /// Shared with everything that speaks to the editor, runs included.
    editor: Editor,
    analysis: Analysis,
    /// Carries out commands, and knows what runs.
    desk: Desk,
}

/// The service and its line to the client. Must be called inside a runtime.
pub(crate) fn service() -> (LspService<Server>, ClientSocket) {
    LspService::build(Server::new)
        .custom_method("window/workDoneProgress/cancel", Server::cancel_progress)
        .finish()
}

impl Server {
    fn new(client: Client) -> Self {
        let editor = Editor::new(client);
        Self { analysis: Analysis::new(editor.clone()), desk: Desk::new(editor.clone()), editor }
    }

    #[allow(clippy::unused_async)] // The router takes only async methods.
    async fn cancel_progress(&self, params: WorkDoneProgressCancelParams) {
        self.desk.cancel_progress(&params.token);
    }

    /// Asks the client to tell of files that change on disk.
    async fn watch_files(&self, deadline: Duration) {
        let registrations = self.editor.agreed().registrations();
        if registrations.is_empty() {
            return;
        }
        match timeout(deadline, self.editor.client.register_capability(registrations)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the client refused to watch files"),
            Err(_) => tracing::warn!("the client did not say whether it watches files"),
        }
    }

    /// A change that could not be read leaves us without the text. No diagnostic is better than one on a wrong line.
    fn misread(&self, uri: &Uri, why: String) {
        let Changed::Lost(error) = self.editor.documents.lose(uri, why) else { return };
        let (editor, message) = (self.editor.clone(), self.lost_track(uri, &error));
        task::spawn("misread", async move { editor.warn(message).await });
    }

    /// Forgets what was said about a document; what the user should know of it.
    fn lost_track(&self, uri: &Uri, error: &SyncError) -> String {
        self.analysis.forget(uri);
        let name = display_name(uri);
        format!("ktl lost track of {name}: {error}. Close the file and open it again to have it checked")
    }
}

impl LanguageServer for Server {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let agreed = self.editor.agree(Agreed::from_params(&params));
        self.desk.configure(&params);
        Ok(agreed.answer(&commands()))
    }

    async fn initialized(&self, _: InitializedParams) {
        self.desk.fetch_settings();
        self.desk.restore();
        self.watch_files(ANSWER_DEADLINE).await;
    }

    async fn shutdown(&self) -> Result<()> {
        self.desk.close().await;
        Ok(())
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        self.desk.change_settings(params.settings);
        self.desk.fetch_settings();
    }

    async fn did_change_workspace_folders(&self, params: DidChangeWorkspaceFoldersParams) {
        let added: Vec<Uri> = params.event.added.into_iter().map(|folder| folder.uri).collect();
        let removed: Vec<Uri> = params.event.removed.into_iter().map(|folder| folder.uri).collect();
        self.desk.change_folders(&added, &removed);
        self.desk.restore();
    }

    async fn did_change_watched_files(&self, params: DidChangeWatchedFilesParams) {
        for change in &params.changes {
            self.desk.file_changed(&change.uri);
            self.analysis.file_changed(&change.uri);
        }
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        Ok(self.desk.lenses(&params.text_document.uri).await)
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        Ok(self.desk.actions(&params).await)
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let snapshot = self.editor.documents.open(&params);
        self.desk.text_changed(&snapshot.uri);
        self.analysis.start(snapshot);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        match self.editor.documents.change(&params, self.editor.encoding()) {
            Changed::To(snapshot) => {
                self.desk.text_changed(&snapshot.uri);
                self.analysis.start(snapshot);
            }
            Changed::Lost(error) => {
                let message = self.lost_track(&params.text_document.uri, &error);
                self.editor.warn(message).await;
            }
            Changed::Ignored => {}
        }
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        self.editor.documents.close(&params.text_document.uri);
        self.analysis.forget(&params.text_document.uri);
        self.desk.text_changed(&params.text_document.uri);
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let at = params.text_document_position_params;
        let Some(snapshot) = self.editor.documents.get(&at.text_document.uri) else { return Ok(None) };
        if Kind::of(&snapshot) != Some(Kind::Config) {
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
        let (command, token) =
            Command::parse(params, &self.editor.agreed().command_prefix).map_err(Error::invalid_params)?;
        let session = command.session().map(str::to_owned);
        let answer = self.desk.carry_out(command, token).await.map_err(|why| {
            let mut error = Error::invalid_request();
            error.message = why.into();
            error.data = session.map(|session| serde_json::json!({ "sessionId": session }));
            error
        })?;
        Ok(Some(serde_json::json!(answer)))
    }
}

/// The ids of all commands that this build carries out.
fn commands() -> Vec<&'static str> {
    #[cfg(not(feature = "fault-injection"))]
    let faults: &[&str] = &[];
    #[cfg(feature = "fault-injection")]
    let faults = crate::fault::COMMANDS;
    COMMANDS.iter().chain(faults).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use serde_json::json;
    use tokio::{net::TcpListener, time::timeout};

    use super::*;
    use crate::command::Arguments;

    /// Opens a folder that names the agent at `listener`.
    fn open(server: &Server, folder: &Path, listener: &TcpListener) {
        let address = listener.local_addr().unwrap();
        std::fs::write(folder.join(".ktl.yaml"), format!("agent: {{ address: 'http://{address}' }}\n"))
            .unwrap();
        let root = format!("file://{}", folder.display());
        let params = json!({ "capabilities": {}, "workspaceFolders": [{ "uri": root, "name": "w" }] });
        server.desk.configure(&serde_json::from_value(params).unwrap());
    }

    #[tokio::test]
    async fn an_agent_that_the_folder_names_is_contacted_only_after_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (service, _socket) = service();
        let server = service.inner();
        open(server, folder.path(), &listener);
        server.desk.restore();
        let early = timeout(Duration::from_millis(500), listener.accept()).await;
        assert!(early.is_err(), "opening a folder contacted its agent");
        // A command that needs no agent itself; what was held back follows it.
        let _ = server.desk.carry_out(Command::OpenReplay(Arguments::default()), None).await;
        timeout(Duration::from_secs(10), listener.accept())
            .await
            .expect("restored after the command")
            .unwrap();
    }

    #[tokio::test]
    async fn a_refused_command_carries_the_session_that_it_named() {
        let (service, _socket) = service();
        let refused = |argument| {
            let params = json!({ "command": "ktl.apply", "arguments": [argument] });
            service.inner().execute_command(serde_json::from_value(params).unwrap())
        };
        let error = refused(json!({ "release": "no-such", "sessionId": "s-1" })).await.unwrap_err();
        assert_eq!(error.data, Some(json!({ "sessionId": "s-1" })), "{error:?}");
        assert_eq!(refused(json!({ "release": "no-such" })).await.unwrap_err().data, None);
    }

    #[tokio::test]
    async fn a_client_that_does_not_answer_holds_nothing_up() {
        // Requests go out only to a client that has initialized; nobody reads the socket, so no answer comes.
        let (mut service, _socket) = service();
        let watching = json!({ "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } } });
        let request = tower_lsp::jsonrpc::Request::build("initialize")
            .params(json!({ "capabilities": watching }))
            .id(1)
            .finish();
        tower::Service::call(&mut service, request).await.unwrap();
        let editor = &service.inner().editor;
        let unanswered = editor.client.register_capability(editor.agreed().registrations());
        assert!(timeout(Duration::from_millis(50), unanswered).await.is_err());
        let watched = service.inner().watch_files(Duration::from_millis(20));
        timeout(Duration::from_secs(10), watched).await.expect("it gave up waiting");
    }
}
