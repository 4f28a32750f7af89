//! Opens a session's page: in the browser if the client can, else as a link that the user can follow.

use std::time::Duration;

use lsp_types::{MessageType, ShowDocumentParams};
use tokio::time::timeout;

use super::Desk;
use crate::{agent::Agent, runs::State, task};

/// How long a client may take to open something.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a session that was asked for a moment ago may take to be known to its agent.
const START: Duration = Duration::from_secs(30);

impl Desk {
    /// Opens the page of a session, in a task.
    pub(super) fn reveal(&self, agent: Agent, session: String) {
        let desk = self.clone();
        task::spawn("reveal", async move {
            // Before its start the agent knows no such page. One that takes longer is shown as it is.
            let _ = timeout(START, desk.runs().left_start(&session)).await;
            let held = desk.runs().get(&session);
            if let Some(held) = held.filter(|held| matches!(held.run.state, State::NotStarted(_))) {
                let message = format!("session {session} has no page: {}", held.run.verdict());
                return desk.editor().client.show_message(MessageType::ERROR, message).await;
            }
            if let Err(error) = agent.reach().await {
                let message = format!("the page of session {session} cannot be opened: {error}");
                return desk.editor().client.show_message(MessageType::ERROR, message).await;
            }
            if !desk.open(&agent, &session).await {
                let message = match agent.url(&session) {
                    Some(url) => format!("session {session}: {url}"),
                    None => format!(
                        "the agent does not say where browsers reach it; set agent.http in .ktl.yaml to see session {session}"
                    ),
                };
                desk.editor().client.show_message(MessageType::INFO, message).await;
            }
        });
    }

    /// Whether the client opened it. The link works once and carries a code, so it goes to the client and nowhere else.
    async fn open(&self, agent: &Agent, session: &str) -> bool {
        if !self.editor().agreed().show_document {
            return false;
        }
        let url = match agent.mint(session).await {
            Ok(url) => url,
            Err(error) => {
                tracing::warn!(%error, session, "no code for the page");
                return false;
            }
        };
        let Ok(uri) = url.parse() else { return false };
        let params =
            ShowDocumentParams { uri, external: Some(true), take_focus: Some(true), selection: None };
        match timeout(PATIENCE, self.editor().client.show_document(params)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the client opens no pages");
                false
            }
            Err(_) => false,
        }
    }
}
