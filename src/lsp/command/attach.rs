//! `ktl.cancel`, `ktl.attach`, `ktl.openReplay`, `ktl.showSessions`: commands about sessions that exist.

use std::{path::PathBuf, time::SystemTime};

use lsp_types::{MessageType, ProgressToken};
use serde_json::{Value, json};

use super::{
    Answer, Arguments, Command, Desk,
    watch::{Texts, all_sessions},
};
use crate::{
    agent::{Agent, AgentError, possible_roots, workspace_key},
    progress::token_of,
    runs::{Held, Run, Session, State, Watching, ago, status_word},
    task,
};

/// Sessions that are listed for a person.
const LISTED: u32 = 20;

impl Desk {
    /// Stops the session that is meant: the one that was named, else the only one that runs, or that may.
    pub(super) async fn cancel(&self, arguments: &Arguments) -> Result<Answer, String> {
        if let Some(session) = &arguments.session_id {
            return match self.runs().get(session) {
                Some(held) => self.stop(&held).await,
                // One that this editor did not start.
                None => Ok(self.cancel_unseen(self.agent(None).await?, session)),
            };
        }
        let of_release =
            |held: &Held| arguments.release.as_ref().is_none_or(|release| held.run.release == *release);
        let mut meant: Vec<Held> = self.runs().that(Run::is_running).into_iter().filter(of_release).collect();
        if meant.is_empty() {
            meant = self.runs().that(Run::is_in_doubt).into_iter().filter(of_release).collect();
        }
        match meant.as_slice() {
            [] => Err("nothing is running here; see ktl.showSessions".to_owned()),
            [held] => self.stop(held).await,
            several => {
                let choices: Vec<Value> = several.iter().map(choice).collect();
                self.offer("Cancel which run?", &choices, Command::Cancel);
                Ok(Answer::choices(choices))
            }
        }
    }

    /// One that is followed hears it from the one who follows it. The end of any other must be known to let it be.
    async fn stop(&self, held: &Held) -> Result<Answer, String> {
        let session = &held.run.session;
        if held.run.is_in_doubt() {
            return Ok(self.cancel_unseen(self.agent_of(Some(held)).await?, session));
        }
        if held.run.is_running() {
            held.cancel.notify_one();
        } else {
            self.say(MessageType::INFO, format!("nothing to cancel: {}", held.run.verdict())).await;
        }
        Ok(Answer::session(session, held.url.clone()))
    }

    /// Follows a session, with everything that the one who started it sees.
    pub(super) async fn attach(
        &self,
        arguments: &Arguments,
        token: Option<ProgressToken>,
    ) -> Result<Answer, String> {
        let session = self.meant(arguments)?;
        let held = self.runs().get(&session);
        let agent = self.agent_of(held.as_ref()).await?;
        self.runs().set_current(&session);
        let answer = Answer::session(
            &session,
            agent.url(&session).or(held.as_ref().and_then(|held| held.url.clone())),
        );
        self.remember_token(&session, token.as_ref());
        let desk = self.clone();
        match self.runs().claim(&session) {
            Some(watching) => task::spawn("attach", desk.join(agent, session, token, watching)),
            // It is followed already; only a progress that the client opened for this is missing.
            None => {
                if let Some(token) = token {
                    task::spawn("attach", desk.echo(session, token));
                }
            }
        }
        Ok(answer)
    }

    async fn join(self, agent: Agent, session: String, token: Option<ProgressToken>, _watching: Watching) {
        let found = match agent.session(&session).await {
            Ok(found) => found,
            Err(error) => {
                self.forget_token(&session);
                let message = format!("session {session} cannot be followed: {error}");
                return self.say(MessageType::ERROR, message).await;
            }
        };
        if self.runs().update(&session, |held| held.read_anew(&found)).is_none() {
            let key = found.meta.as_ref().map(|meta| meta.workspace.as_str()).unwrap_or_default();
            self.runs().add(Self::recorded_run(&agent, &found, root_of(&self.folders(), key)));
        }
        let meta = found.meta.unwrap_or_default();
        let title = format!("{} {} in {}/{}", meta.command, meta.release, meta.cluster, meta.namespace);
        let progress = self.progresses().start(self.editor(), token, token_of(&session), title);
        self.watch(agent, &session, progress, Texts::Recorded).await;
    }

    /// Opens the page of the session that is meant.
    pub(super) async fn open_replay(&self, arguments: &Arguments) -> Result<Answer, String> {
        let session = self.meant(arguments)?;
        let held = self.runs().get(&session);
        if let Some(held) = held.as_ref().filter(|held| matches!(held.run.state, State::NotStarted(_))) {
            return Err(format!("{}; there is no page of it", held.run.verdict()));
        }
        let agent = self.agent_of(held.as_ref()).await?;
        self.runs().set_current(&session);
        let answer = Answer::session(&session, agent.url(&session).or(held.and_then(|held| held.url)));
        self.reveal(agent, session);
        Ok(answer)
    }

    /// Lists the sessions of the workspace in the log, and opens the newest.
    pub(super) async fn show_sessions(&self) -> Result<Answer, String> {
        let agent = self.agent(None).await?;
        let current = self.runs().current();
        let url = current.as_deref().and_then(|session| Some(all_sessions(&agent.url(session)?, session)));
        let desk = self.clone();
        task::spawn("sessions", async move {
            match desk.recorded(&agent, LISTED).await {
                Ok(sessions) => desk.tell(&agent, &sessions).await,
                Err(error) => {
                    desk.say(MessageType::ERROR, format!("the sessions cannot be listed: {error}")).await;
                }
            }
        });
        Ok(Answer { session_id: current, url, choices: Vec::new() })
    }

    /// The sessions of this workspace, the last seen first, each with the folder that its paths count from.
    /// At most `limit` of each folder.
    pub(super) async fn recorded(
        &self,
        agent: &Agent,
        limit: u32,
    ) -> Result<Vec<(Session, PathBuf)>, AgentError> {
        let mut roots: Vec<PathBuf> =
            self.folders().iter().flat_map(|folder| possible_roots(folder)).collect();
        roots.sort();
        roots.dedup();
        let mut sessions = Vec::new();
        for root in roots {
            let found = agent.sessions_of(&root, limit).await?;
            sessions.extend(found.into_iter().map(|session| (session, root.clone())));
        }
        sessions.sort_by_key(|(session, _)| std::cmp::Reverse(session.created_unix_nano));
        Ok(sessions)
    }

    async fn tell(&self, agent: &Agent, sessions: &[(Session, PathBuf)]) {
        let Some((newest, _)) = sessions.first() else {
            let message = "no sessions of this workspace yet; start one with ktl.apply".to_owned();
            return self.say(MessageType::INFO, message).await;
        };
        let now = SystemTime::now();
        for (session, _) in sessions {
            let url = agent.url(&session.session_id).unwrap_or_default();
            self.log().line(MessageType::INFO, format!("{} {url}", line(session, now)));
        }
        let message = format!("{}; the newest: {}", in_the_log(sessions.len()), line(newest, now));
        self.say(MessageType::INFO, message).await;
        self.reveal(agent.clone(), newest.session_id.clone());
    }

    /// A session that somebody else started, as a run that nothing is known of yet but what the agent lists.
    pub(super) fn recorded_run(agent: &Agent, session: &Session, root: Option<PathBuf>) -> Held {
        let mut held = Held::recorded(session, root);
        held.agent = Some(agent.clone());
        held.url = Some(session.url.clone())
            .filter(|url| !url.is_empty())
            .or_else(|| agent.url(&session.session_id));
        held
    }

    /// The session that was named, or the one of the release that was named, or the current one.
    fn meant(&self, arguments: &Arguments) -> Result<String, String> {
        if let Some(session) = &arguments.session_id {
            return Ok(session.clone());
        }
        let of_release = |release: &String| {
            let newest = self.runs().newest().into_iter().filter(|held| held.run.release == *release);
            newest.max_by_key(|held| held.number).map(|held| held.run.session)
        };
        match &arguments.release {
            Some(release) => of_release(release)
                .ok_or_else(|| format!("no session of {release} is known here; see ktl.showSessions")),
            None => self
                .runs()
                .current()
                .ok_or_else(|| "no session is known here yet; start one with ktl.apply".to_owned()),
        }
    }
}

fn choice(held: &Held) -> Value {
    json!({
        "sessionId": held.run.session,
        "release": held.run.release,
        "namespace": format!("{}/{}", held.run.cluster, held.run.namespace),
    })
}

/// The folder that paths of a session count from, if it is one of ours: others have the same file names.
fn root_of(folders: &[PathBuf], key: &str) -> Option<PathBuf> {
    folders.iter().flat_map(|folder| possible_roots(folder)).find(|root| workspace_key(root) == key)
}

fn in_the_log(count: usize) -> String {
    match count {
        1 => "1 session of this workspace is in the log".to_owned(),
        _ => format!("{count} sessions of this workspace are in the log"),
    }
}

fn line(session: &Session, now: SystemTime) -> String {
    let meta = session.meta.clone().unwrap_or_default();
    format!(
        "{} {} in {}/{} {} {} ({})",
        meta.command,
        meta.release,
        meta.cluster,
        meta.namespace,
        status_word(session.status()),
        ago(session.created_unix_nano, now),
        session.session_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_of_an_open_folder_or_of_one_above_has_a_root() {
        let folders = [PathBuf::from("/a/b"), PathBuf::from("/c")];
        for root in ["/a/b", "/a", "/c"] {
            assert_eq!(root_of(&folders, &workspace_key(root.as_ref())), Some(root.into()));
        }
        assert_eq!(root_of(&folders, &workspace_key("/a/other".as_ref())), None);
        assert_eq!(root_of(&folders, ""), None);
    }

    #[test]
    fn one_session_is_not_several() {
        assert!(in_the_log(1).starts_with("1 session of"));
        assert!(in_the_log(2).starts_with("2 sessions of"));
    }
}
