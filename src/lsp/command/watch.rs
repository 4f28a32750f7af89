//! Follows a session for the editor: progress, log, findings, and the verdict at its end.

use std::{path::Path, sync::Arc};

use lsp_types::{MessageType, ProgressToken};

use super::Desk;
use crate::{
    agent::{Agent, Followed, session_url},
    progress::{Progress, token_of},
    releases::{Sources, sha256},
    runs::{Change, Frame, Level, Place, Run, State, Status, files},
    task,
};

/// Where the texts are that findings count in.
pub(super) enum Texts {
    /// We sent them ourselves.
    Sent(Arc<Sources>),
    /// Somebody else did; the agent has masked copies.
    Recorded,
}

impl Desk {
    /// Follows to the end, showing everything.
    pub(super) async fn watch(&self, agent: Agent, session: &str, progress: Progress, texts: Texts) {
        let Some(held) = self.runs().get(session) else { return };
        let mut follower = agent.follow(session);
        loop {
            let followed = tokio::select! {
                followed = follower.next() => followed,
                () = held.cancel.notified() => {
                    progress.doing("cancelling".to_owned());
                    self.pass_cancel(agent.clone(), session.to_owned());
                    continue;
                }
            };
            let Some(followed) = followed else { break };
            match followed {
                Followed::Frame(frame) => {
                    self.note_texts(&agent, session, &frame, &texts).await;
                    self.take(session, &frame, &progress);
                }
                Followed::Away { why, retry } => {
                    let seconds = retry.as_secs_f32();
                    progress.doing(format!("the agent is away ({why}), trying again in {seconds:.1} s"));
                }
                other => self.take_other(session, &agent, other),
            }
        }
        self.finish(session, progress).await;
    }

    /// Shows a session that is followed already in one more progress, which the client opened.
    pub(super) async fn echo(self, session: String, token: ProgressToken) {
        let mut changes = self.runs().changes();
        let title = format!("Session {session}");
        let progress = self.progresses().start(self.editor(), Some(token), token_of(&session), title);
        while self.runs().is_watched(&session) {
            if let Some((release, doing)) = self.runs().words_of(&session) {
                progress.doing(format!("{release}: {doing}"));
            }
            if changes.changed().await.is_err() {
                break;
            }
        }
        progress.end(self.runs().get(&session).map(|held| held.run.verdict()).unwrap_or_default());
    }

    /// Reads what is recorded of a session, showing nothing but what it found.
    pub(super) async fn read(&self, agent: &Agent, session: &str) {
        let mut follower = agent.follow(session);
        while let Some(followed) = follower.next().await {
            match followed {
                Followed::Frame(frame) => {
                    self.note_texts(agent, session, &frame, &Texts::Recorded).await;
                    self.runs().fold(session, &frame);
                }
                Followed::CaughtUp if self.runs().is_running(session) => return,
                // The follower waits until it is back, and goes on where it was.
                Followed::Away { .. } => {}
                Followed::Failed(error) => {
                    return tracing::warn!(%error, session, "what a session found cannot be read");
                }
                other => self.take_other(session, agent, other),
            }
        }
    }

    /// Folds a frame, and shows what it says.
    fn take(&self, session: &str, frame: &Frame, progress: &Progress) {
        let Some(change) = self.runs().fold(session, frame) else { return };
        let Some((release, doing)) = self.runs().words_of(session) else { return };
        progress.doing(doing);
        if let Change::Line { level, text } = change {
            self.log().line(kind(level), format!("{release} {session}: {text}"));
        }
    }

    fn take_other(&self, session: &str, agent: &Agent, followed: Followed) {
        let url = agent.url(session);
        self.runs().update(session, |held| {
            held.url = url.or(held.url.take());
            match followed {
                Followed::Restarted => held.restart(),
                Followed::End(end) => held.run.end(&end),
                Followed::Failed(error) if held.run.is_running() => {
                    held.run.state = State::Ended {
                        status: Status::Unspecified,
                        exit_code: 1,
                        message: format!("it cannot be followed: {error}"),
                        left_behind: None,
                    };
                }
                _ => {}
            }
        });
    }

    async fn finish(&self, session: &str, progress: Progress) {
        self.forget_token(session);
        let Some(held) = self.runs().get(session) else { return };
        let verdict = held.run.verdict();
        progress.end(verdict.clone());
        let message = match &held.url {
            Some(url) => format!("{verdict} · {url}"),
            None => format!("{verdict} · session {session}"),
        };
        self.say(verdict_kind(&held.run.state), message).await;
    }

    fn pass_cancel(&self, agent: Agent, session: String) {
        let desk = self.clone();
        task::spawn("cancel", async move {
            let Err(error) = agent.cancel(&session).await else { return };
            if error.is_final() {
                let message = format!("session {session} was not cancelled: {error}");
                return desk.say(MessageType::ERROR, message).await;
            }
            let message = format!("session {session} is told to stop as soon as the agent answers: {error}");
            desk.say(MessageType::WARNING, message).await;
            desk.insist_on_cancel(&agent, &session).await;
        });
    }

    /// Keeps the texts that a finding counts in, so that it can move with them.
    async fn note_texts(&self, agent: &Agent, session: &str, frame: &Frame, texts: &Texts) {
        let Some(finding) = Run::finding_of(frame) else { return };
        let Some(held) = self.runs().get(session) else { return };
        let Some(root) = &held.root else { return };
        for place in files(finding) {
            let path = root.join(&place.file);
            if held.texts.contains_key(&path) {
                continue;
            }
            if let Some(text) = self.text_of(agent, session, &path, place, texts).await {
                self.runs().update(session, |held| held.texts.insert(path, text));
            }
        }
    }

    /// The text that ran: what we sent, or the file as it is if it is still the same, or the agent's copy.
    async fn text_of(
        &self,
        agent: &Agent,
        session: &str,
        path: &Path,
        place: &Place,
        texts: &Texts,
    ) -> Option<Arc<str>> {
        if let Texts::Sent(sources) = texts {
            let file = sources.files.get(&place.file)?;
            return Some(String::from_utf8_lossy(&file.bytes).into());
        }
        let (buffers, path) = (self.buffers(), path.to_owned());
        let now = task::blocking("read", move || buffers.text(&path).ok()).await.flatten();
        if let Some(now) = now.filter(|now| sha256(now.as_bytes()) == place.sha256) {
            return Some(now.into());
        }
        let recorded = agent.source(session, &place.file).await;
        let recorded =
            recorded.map_err(|error| tracing::warn!(%error, session, file = place.file, "no source"));
        recorded.ok().map(|recorded| String::from_utf8_lossy(&recorded.masked).into())
    }
}

fn kind(level: Level) -> MessageType {
    match level {
        Level::Error => MessageType::ERROR,
        Level::Warn => MessageType::WARNING,
        Level::Debug => MessageType::LOG,
        Level::Info | Level::Unspecified => MessageType::INFO,
    }
}

fn verdict_kind(state: &State) -> MessageType {
    match state {
        State::Ended { status: Status::Done, .. } => MessageType::INFO,
        State::Ended { status: Status::Cancelled, .. } => MessageType::WARNING,
        _ => MessageType::ERROR,
    }
}

/// The page of all sessions of an agent.
pub(super) fn all_sessions(url: &str, session: &str) -> String {
    url.strip_suffix(&session_url("", session)).unwrap_or(url).to_owned()
}
