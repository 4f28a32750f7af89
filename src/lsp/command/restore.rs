//! After a restart of the editor: what ran is followed again, and what was found is shown again.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use lsp_types::MessageType;
use tokio::time::sleep;

use super::{Desk, watch::Texts};
use crate::{
    agent::{Agent, AgentError, Target},
    progress::token_of,
    runs::{Held, Session, Status, Watching},
    task,
};

/// Releases of one workspace whose last run is read again.
const MOST: usize = 20;
/// Sessions among which the last of each release is looked for: as many as an agent lists at once.
const LISTED: u32 = 1_000;
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
        let sessions = self.recorded(agent, LISTED).await?;
        // Oldest first, so that of two runs the younger one counts as the newer.
        for (session, root) in newest(sessions).into_iter().rev() {
            if self.runs().get(&session.session_id).is_some() {
                continue;
            }
            let Some(watching) = self.runs().claim(&session.session_id) else { continue };
            self.runs().add_earlier(Self::recorded_run(agent, &session, Some(root)));
            self.read(agent, &session.session_id).await;
            let folders = self.folders();
            if self.runs().get(&session.session_id).is_some_and(|held| is_elsewhere(&held, &folders)) {
                self.runs().remove(&session.session_id);
            } else if self.runs().is_running(&session.session_id) {
                self.go_on(agent.clone(), session, watching);
            }
        }
        Ok(())
    }

    fn go_on(&self, agent: Agent, session: Session, watching: Watching) {
        let desk = self.clone();
        self.runs().update(&session.session_id, |held| held.read_anew(&session));
        task::spawn("attach", async move {
            let meta = session.meta.unwrap_or_default();
            let title = format!("{} {} to {}/{}", meta.command, meta.release, meta.cluster, meta.namespace);
            let token = token_of(&session.session_id);
            let progress = desk.progresses().start(desk.editor(), None, token, title);
            desk.watch(agent, &session.session_id, progress, Texts::Recorded).await;
            drop(watching);
        });
    }
}

/// Of sessions, the last first, the last of each release, and those that run: before the last one others may be at
/// work.
fn newest(mut sessions: Vec<(Session, PathBuf)>) -> Vec<(Session, PathBuf)> {
    let mut seen = HashSet::new();
    sessions.retain(|(session, root)| {
        let meta = session.meta.clone().unwrap_or_default();
        let is_last = seen.insert((root.clone(), meta.cluster, meta.namespace, meta.release));
        is_last || session.status() == Status::Running
    });
    sessions.truncate(MOST);
    sessions
}

/// A folder above ours may hold other workspaces; what ran there is shown there. A session that waits has not said
/// yet what it is about.
fn is_elsewhere(held: &Held, folders: &[PathBuf]) -> bool {
    let has_said = !held.run.config_path.is_empty() || !held.run.chart.is_empty();
    has_said && !folders.iter().any(|folder| held.definition.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Run;

    fn session(id: &str, release: &str) -> (Session, PathBuf) {
        let mut session = Session { session_id: id.to_owned(), ..Session::default() };
        release.clone_into(&mut session.meta.get_or_insert_default().release);
        (session, "/w".into())
    }

    #[test]
    fn many_runs_of_one_release_do_not_hide_those_of_another() {
        let mut sessions: Vec<_> = (0..300).map(|number| session(&number.to_string(), "api")).collect();
        sessions.push(session("of-web", "web"));
        let ids: Vec<_> = newest(sessions).into_iter().map(|(session, _)| session.session_id).collect();
        assert_eq!(ids, ["0", "of-web"]);
    }

    #[test]
    fn a_run_that_another_one_waits_for_is_not_hidden_by_it() {
        let mut sessions = ["waits", "works", "ended"].map(|id| session(id, "web")).to_vec();
        for (session, _) in &mut sessions[..2] {
            session.set_status(Status::Running);
        }
        let ids: Vec<_> = newest(sessions).into_iter().map(|(session, _)| session.session_id).collect();
        assert_eq!(ids, ["waits", "works"]);
    }

    #[test]
    fn what_runs_in_a_workspace_beside_ours_is_elsewhere_once_it_has_said_so() {
        let folders = [PathBuf::from("/w/ours")];
        let mut held = Held::new(Run::new("s", "web"), "/w".into(), "/w/.ktl.yaml".into());
        assert!(!is_elsewhere(&held, &folders));
        held.run.config_path = "theirs/.ktl.yaml".to_owned();
        held.definition = "/w/theirs/.ktl.yaml".into();
        assert!(is_elsewhere(&held, &folders));
        held.definition = "/w/ours/.ktl.yaml".into();
        assert!(!is_elsewhere(&held, &folders));
    }
}
