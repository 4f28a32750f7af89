//! What the client and the server agree on: read once from `initialize`, asked everywhere else.
//!
//! A client's answer to a dynamic registration says nothing (some accept and ignore it), so what it can do is read
//! here and nowhere else. Registered dynamically is only the watching of files, which has no static form.

use lsp_types::{
    CodeActionKind, CodeActionOptions, CodeActionProviderCapability, CodeLensOptions,
    DidChangeWatchedFilesRegistrationOptions, ExecuteCommandOptions, FileSystemWatcher, GlobPattern,
    HoverProviderCapability, InitializeParams, InitializeResult, OneOf, PositionEncodingKind, Registration,
    SaveOptions, ServerCapabilities, ServerInfo, TextDocumentSyncCapability, TextDocumentSyncKind,
    TextDocumentSyncOptions, TextDocumentSyncSaveOptions, WorkspaceFoldersServerCapabilities,
    WorkspaceServerCapabilities,
};
use serde_json::{Value, json};

/// The files whose changes on disk matter to releases and their diagnostics. A release may name any YAML file as its
/// values (`envs/prod.yaml`), so no narrower name can be asked for; a change of a file that no run speaks of costs nothing.
const WATCHED: [&str; 2] = ["**/*.{yaml,yml}", "**/templates/**"];

/// In which units columns count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// Bytes: what we use inside, so it is taken when the client offers it.
    Utf8,
    /// What every client knows.
    #[default]
    Utf16,
}

/// What the client can do, as far as we use it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // A list of abilities, each asked for by name.
pub(crate) struct Agreed {
    pub(crate) encoding: Encoding,
    /// It shows progress that we start.
    pub(crate) progress: bool,
    /// It opens URLs and files for us.
    pub(crate) show_document: bool,
    /// It asks for lenses again when told to.
    pub(crate) lens_refresh: bool,
    /// It tells of files that change on disk when asked to.
    pub(crate) watch_files: bool,
    /// It answers `workspace/configuration`.
    pub(crate) configuration: bool,
    /// It takes code actions as literals, not only commands.
    pub(crate) action_literals: bool,
    /// It makes the code of a diagnostic a link.
    pub(crate) code_description: bool,
    /// It offers the actions of a message as buttons.
    pub(crate) message_actions: bool,
    /// It shows `relatedInformation` of diagnostics.
    pub(crate) related_information: bool,
    /// Put before every command id, because editors keep one table of them for all servers.
    pub(crate) command_prefix: String,
}

impl Agreed {
    pub(crate) fn from_params(params: &InitializeParams) -> Self {
        let client = &params.capabilities;
        let window = client.window.as_ref();
        let workspace = client.workspace.as_ref();
        let document = client.text_document.as_ref();
        Self {
            encoding: encoding(
                client.general.as_ref().and_then(|general| general.position_encodings.as_deref()),
            ),
            progress: window.and_then(|window| window.work_done_progress).unwrap_or(false),
            show_document: window
                .and_then(|window| window.show_document.as_ref())
                .is_some_and(|show| show.support),
            lens_refresh: workspace
                .and_then(|workspace| workspace.code_lens.as_ref())
                .and_then(|lens| lens.refresh_support)
                .unwrap_or(false),
            watch_files: workspace
                .and_then(|workspace| workspace.did_change_watched_files.as_ref())
                .and_then(|watched| watched.dynamic_registration)
                .unwrap_or(false),
            configuration: workspace.and_then(|workspace| workspace.configuration).unwrap_or(false),
            action_literals: document
                .and_then(|document| document.code_action.as_ref())
                .is_some_and(|action| action.code_action_literal_support.is_some()),
            code_description: document
                .and_then(|document| document.publish_diagnostics.as_ref())
                .and_then(|diagnostics| diagnostics.code_description_support)
                .unwrap_or(false),
            message_actions: window
                .and_then(|window| window.show_message.as_ref())
                .is_some_and(|message| message.message_action_item.is_some()),
            related_information: document
                .and_then(|document| document.publish_diagnostics.as_ref())
                .and_then(|diagnostics| diagnostics.related_information)
                .unwrap_or(false),
            command_prefix: command_prefix(params.initialization_options.as_ref()),
        }
    }

    /// A command's id as this client knows it.
    pub(crate) fn command_id(&self, command: &str) -> String {
        format!("{}{command}", self.command_prefix)
    }

    /// The answer to `initialize`. `commands` are the ids without prefix.
    pub(crate) fn answer(&self, commands: &[&str]) -> InitializeResult {
        InitializeResult {
            capabilities: self.server_capabilities(commands),
            server_info: Some(ServerInfo {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        }
    }

    fn server_capabilities(&self, commands: &[&str]) -> ServerCapabilities {
        let folders = WorkspaceFoldersServerCapabilities {
            supported: Some(true),
            change_notifications: Some(OneOf::Left(true)),
        };
        ServerCapabilities {
            position_encoding: Some(match self.encoding {
                Encoding::Utf8 => PositionEncodingKind::UTF8,
                Encoding::Utf16 => PositionEncodingKind::UTF16,
            }),
            text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::INCREMENTAL),
                save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions {
                    include_text: Some(false),
                })),
                ..TextDocumentSyncOptions::default()
            })),
            hover_provider: Some(HoverProviderCapability::Simple(true)),
            // Not tied to the client's own ability: some show lenses without having said so.
            code_lens_provider: Some(CodeLensOptions { resolve_provider: Some(false) }),
            code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
                code_action_kinds: Some(vec![CodeActionKind::QUICKFIX, CodeActionKind::EMPTY]),
                ..CodeActionOptions::default()
            })),
            // Some clients refuse a lens whose command is not in this list.
            execute_command_provider: Some(ExecuteCommandOptions {
                commands: commands.iter().map(|command| self.command_id(command)).collect(),
                ..ExecuteCommandOptions::default()
            }),
            workspace: Some(WorkspaceServerCapabilities {
                workspace_folders: Some(folders),
                file_operations: None,
            }),
            ..ServerCapabilities::default()
        }
    }

    /// What to register once the client is ready; empty when it cannot.
    pub(crate) fn registrations(&self) -> Vec<Registration> {
        if !self.watch_files {
            return Vec::new();
        }
        let watcher =
            |glob: &str| FileSystemWatcher { glob_pattern: GlobPattern::String(glob.to_owned()), kind: None };
        let options = DidChangeWatchedFilesRegistrationOptions { watchers: WATCHED.map(watcher).to_vec() };
        vec![Registration {
            id: "ktl-watch".to_owned(),
            method: "workspace/didChangeWatchedFiles".to_owned(),
            register_options: Some(json!(options)),
        }]
    }
}

/// UTF-8 if it is offered at all, else UTF-16; never simply the first, which can be UTF-32.
fn encoding(offered: Option<&[PositionEncodingKind]>) -> Encoding {
    if offered.is_some_and(|offered| offered.contains(&PositionEncodingKind::UTF8)) {
        Encoding::Utf8
    } else {
        Encoding::Utf16
    }
}

fn command_prefix(options: Option<&Value>) -> String {
    options.and_then(|options| options.get("commandPrefix")?.as_str()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(params: Value) -> Agreed {
        Agreed::from_params(&serde_json::from_value(params).unwrap())
    }

    fn encoding_for(offered: &Value) -> Encoding {
        agreed(json!({"capabilities": {"general": {"positionEncodings": offered}}})).encoding
    }

    #[test]
    fn utf8_is_taken_when_offered_and_utf16_otherwise() {
        assert_eq!(encoding_for(&json!(["utf-32", "utf-8", "utf-16"])), Encoding::Utf8);
        assert_eq!(encoding_for(&json!(["utf-32", "utf-16"])), Encoding::Utf16);
        assert_eq!(encoding_for(&json!(["utf-32"])), Encoding::Utf16);
        assert_eq!(encoding_for(&json!(null)), Encoding::Utf16);
    }

    #[test]
    fn a_client_that_says_nothing_can_do_nothing() {
        let agreed = agreed(json!({"capabilities": {}}));
        assert_eq!(agreed, Agreed::default());
        assert!(agreed.registrations().is_empty());
    }

    #[test]
    fn file_watching_is_registered_only_where_it_works() {
        let agreed = agreed(json!({"capabilities": {
            "workspace": {"didChangeWatchedFiles": {"dynamicRegistration": true}}
        }}));
        let registrations = agreed.registrations();
        assert_eq!(registrations.len(), 1);
        assert_eq!(registrations[0].method, "workspace/didChangeWatchedFiles");
    }

    #[test]
    fn commands_carry_the_prefix_that_was_asked_for() {
        let agreed = agreed(json!({"capabilities": {}, "initializationOptions": {"commandPrefix": "left."}}));
        let answer = serde_json::to_value(agreed.answer(&["ktl.apply"])).unwrap();
        assert_eq!(answer["capabilities"]["executeCommandProvider"]["commands"], json!(["left.ktl.apply"]));
        assert_eq!(answer["capabilities"]["positionEncoding"], "utf-16");
        assert_eq!(answer["capabilities"]["textDocumentSync"]["change"], 2);
    }
}
