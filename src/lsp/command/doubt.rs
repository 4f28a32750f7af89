//! A wish to stop what cannot be seen: a run whose start was never answered, one that cannot be followed, or one whose
//! agent is away. It may run all the same, so the wish goes to the agent, and what the agent knows is told.

use std::time::Duration;

use lsp_types::MessageType;
use tokio::time::sleep;

use super::{Answer, Arguments, Desk, apply::CANCELLED};
use crate::{
    agent::{Agent, AgentError},
    runs::{Session, State, Status, status_word},
    task,
};

/// Between two questions to an agent that does not answer; each is patient by itself.
const AGAIN: Duration = Duration::from_secs(2);

impl Desk {
    /// Passes a wish to stop on for a session that nobody follows here, in a task.
    pub(super) fn cancel_unseen(&self, agent: Agent, session: &str) -> Answer {
        let answer = Answer::session(session, agent.url(session));
        let (desk, session) = (self.clone(), session.to_owned());
        task::spawn("cancel", async move {
            let asked = agent.cancel(&session).await;
            desk.tell_cancel(&session, asked).await;
        });
        answer
    }

    /// Passes a wish to stop on until the agent has answered, or the end of the session is known otherwise.
    pub(super) async fn insist_on_cancel(&self, agent: &Agent, session: &str) {
        let may_run = || {
            let held = self.runs().get(session);
            held.is_some_and(|held| held.run.is_running() || held.run.is_in_doubt())
        };
        loop {
            sleep(AGAIN).await;
            if !may_run() {
                return;
            }
            match agent.cancel(session).await {
                Err(error) if !error.is_final() => {}
                asked => return self.tell_cancel(session, asked).await,
            }
        }
    }

    /// Says what became of a wish to stop, and follows what turned out to be there.
    async fn tell_cancel(&self, session: &str, asked: Result<Session, AgentError>) {
        let held = self.runs().get(session).filter(|held| held.run.is_in_doubt());
        let (kind, message) = match asked {
            Ok(found) if found.status() == Status::Running => {
                (MessageType::INFO, format!("session {session} was asked to stop"))
            }
            Ok(found) => {
                let status = status_word(found.status());
                (MessageType::INFO, format!("session {session} has already ended: {status}"))
            }
            Err(error) if error.is_unknown_session() && held.is_some() => {
                let verdict = self.runs().update(session, |held| {
                    held.run.state = State::NotStarted(CANCELLED.to_owned());
                    held.run.verdict()
                });
                let verdict = verdict.unwrap_or_default();
                return self.say(MessageType::INFO, format!("{verdict} (session {session})")).await;
            }
            Err(error) => (MessageType::ERROR, format!("session {session} was not cancelled: {error}")),
        };
        self.say(kind, message).await;
        if held.is_some()
            && kind == MessageType::INFO
            && let Err(why) = self.attach(&Arguments::of_session(session), None).await
        {
            self.say(MessageType::ERROR, format!("session {session} cannot be followed: {why}")).await;
        }
    }
}
