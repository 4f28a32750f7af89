//! After a restart of the editor: what ran is followed again, and what was found is shown again.

use std::{collections::HashSet, path::Path, time::Duration};

use lsp_types::MessageType;
use tokio::time::sleep;

use super::{Desk, watch::Texts};
use crate::{
    agent::{Agent, AgentError, Target},
    progress::token_of,
    runs::{Session, Status},
    task,
};

/// Releases of one workspace whose last run is read again.
const MOST: usize = 20;
/// How long to leave an agent in peace that is away.
const AGAIN: Duration = Duration::from_secs(15);

impl Desk {
    /// Finds the sessions of this workspace, in a task. A local agent that never ran is not started for this, and an
    /// agent that only the workspace's files name is not contacted before the user ran a command.
    pub(crate) fn restore(&self) {
        let desk = self.clone();
        task::spawn("restore", async move {
            if !desk.may_ask_unasked().await {
                let message = "the agent is one that .ktl.yaml chose: it is not contacted, and earlier sessions are not \
                               shown, before you run a command such as ktl.showSessions";
                desk.log().line(MessageType::INFO, message.to_owned());
                return;
            }
            match desk.agent(None).await {
                Ok(agent) => desk.restore_from(&agent).await,
                Err(mistakes) => desk.say(MessageType::WARNING, format!("no agent: {mistakes}")).await,
            }
        });
    }

    /// An agent that is away when the editor starts is asked again.
    async fn restore_from(&self, agent: &Agent) {
        while let Err(error) = self.restored(agent).await {
            if !matches!(error, AgentError::Unreachable { .. }) {
                tracing::info!(%error, "no sessions were restored");
                return;
            }
            sleep(AGAIN).await;
        }
    }

    async fn restored(&self, agent: &Agent) -> Result<(), AgentError> {
        if let Target::Local(local) = agent.target()
            && !local.has_history()
        {
            return Ok(());
        }
        let sessions = self.recorded(agent).await?;
        let mut seen = HashSet::new();
        let mut newest = Vec::new();
        for (session, root) in sessions {
            let meta = session.meta.clone().unwrap_or_default();
            if self.runs().get(&session.session_id).is_none()
                && seen.insert((root.clone(), meta.cluster, meta.namespace, meta.release))
            {
                newest.push((session, root));
            }
        }
        newest.truncate(MOST);
        // Oldest first, so that of two runs the younger one counts as the newer.
        for (session, root) in newest.into_iter().rev() {
            self.add_recorded(agent, &session, root);
            if session.status() == Status::Running {
                self.go_on(agent.clone(), session);
            } else {
                self.read(agent, &session.session_id).await;
                self.forget_foreign(&session.session_id);
            }
        }
        Ok(())
    }

    /// A folder above ours may hold other workspaces; what ran there is shown there.
    fn forget_foreign(&self, session: &str) {
        let folders = self.folders();
        let foreign = |path: &Path| !folders.iter().any(|folder| path.starts_with(folder));
        if self.runs().get(session).is_some_and(|held| foreign(&held.definition)) {
            self.runs().remove(session);
        }
    }

    fn go_on(&self, agent: Agent, session: Session) {
        let desk = self.clone();
        task::spawn("attach", async move {
            let meta = session.meta.unwrap_or_default();
            let title = format!("{} {} to {}/{}", meta.command, meta.release, meta.cluster, meta.namespace);
            let token = token_of(&session.session_id);
            let progress = desk.progresses().start(desk.editor(), None, token, title);
            desk.watch(agent, &session.session_id, progress, Texts::Recorded).await;
        });
    }
}
