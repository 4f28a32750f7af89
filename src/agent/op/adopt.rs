//! What an agent does with the work of the one before it.
//!
//! | found | done |
//! |---|---|
//! | a run folder, helm's shim alive or its exit there | the operation goes on in the same session, in the same step |
//! | a run folder, the shim gone without an exit | the step sees it and the session is lost, with the release found |
//! | a run folder between steps, or in the rollout | the step is done again; what it said before is not said again |
//! | a running session without a run folder | lost: its agent died before it began, or somebody removed the folder |
//! | a run folder without a running session | removed |

use std::collections::HashSet;

use super::{
    OpError, Operations,
    apply::Apply,
    report::{AGENT, Reporter},
    run::{Run, RunFolder},
};
use crate::{
    frame::{Body, Ended, Fact, Note, NoteKind, WireStatus},
    journal::Batch,
    session::{Owner, SessionId},
};

impl Operations {
    /// Goes on with every operation that was running when the last agent ended. Called once, before serving.
    pub async fn adopt(&self) -> Result<usize, OpError> {
        let data = &self.inner.context.data_dir;
        let running = self.inner.context.journal.running(Owner::Agent).await?;
        let ids: HashSet<String> = running.iter().map(|session| session.id.to_string()).collect();
        remove_leftovers(data, &ids);
        let mut found: Vec<(SessionId, Run)> = Vec::new();
        for session in running {
            match RunFolder::of(data, &session.id).load() {
                Ok(run) => found.push((session.id, run)),
                Err(error) => {
                    tracing::warn!(session = %session.id, %error, "a running operation has no run folder");
                    self.give_up(
                        &session.id,
                        "the operation's run folder is gone, so nobody knows how it went",
                    )
                    .await;
                }
            }
        }
        // Whoever had the release keeps it; the others wait in the order in which they came.
        found.sort_by_key(|(_, run)| (run.step == Apply::Queue, run.started));
        let count = found.len();
        for (id, run) in found {
            self.adopt_one(id, run).await?;
        }
        Ok(count)
    }

    async fn adopt_one(&self, id: SessionId, run: Run) -> Result<(), OpError> {
        let ticket = self.inner.queue.enter(run.release_key(), id.clone());
        let masker = self.masker(&id, &run);
        let folder = RunFolder::of(&self.inner.context.data_dir, &id);
        let step = run.step.phase();
        let work = match self.work(run, folder, ticket, &masker) {
            Ok(work) => work,
            Err(error) => {
                tracing::warn!(session = %id, %error, "the sources of a running operation are gone");
                self.give_up(&id, "the operation's sources are gone, so it cannot go on").await;
                return Ok(());
            }
        };
        let place = step.map_or_else(String::new, |phase| format!(" in its phase {}", name_of(phase)));
        let text = format!(
            "the agent was started again (pid {}) and goes on with this operation{place}",
            std::process::id()
        );
        work.reporter.note(NoteKind::Adopted, text).await?;
        self.run(id, work);
        Ok(())
    }

    /// Ends a session that nobody can go on with.
    pub(super) async fn give_up(&self, id: &SessionId, message: &str) {
        if let Err(error) = self.tell_lost(id, message).await {
            tracing::error!(session = %id, %error, "a lost operation could not be ended");
        }
    }

    async fn tell_lost(&self, id: &SessionId, message: &str) -> Result<(), OpError> {
        let journal = &self.inner.context.journal;
        let masker = journal.masker(id, []);
        let note = Note { kind: NoteKind::Lost.into(), text: message.to_owned(), principal: String::new() };
        let facts = vec![masker.mask(Fact { body: Some(Body::Note(note)) })];
        journal.append(id, Batch { producer: AGENT.to_owned(), counter: None, facts }).await?;
        let said = journal.last_counter(id, super::report::OPERATION).await?;
        let mut reporter = Reporter::new(journal.clone(), id.clone(), masker, said);
        let (status, message) = (WireStatus::Lost.into(), message.to_owned());
        reporter.end(Ended { status, exit_code: 1, message, left_behind: None }).await?;
        Ok(())
    }
}

fn remove_leftovers(data: &std::path::Path, running: &HashSet<String>) {
    for name in RunFolder::all(data) {
        if running.contains(&name) {
            continue;
        }
        let Ok(id) = SessionId::parse(&name) else { continue };
        if let Err(error) = RunFolder::of(data, &id).remove() {
            tracing::warn!(session = %id, %error, "an old run folder could not be removed");
        }
    }
}

fn name_of(phase: crate::frame::PhaseName) -> String {
    phase.as_str_name().trim_start_matches("PHASE_NAME_").to_lowercase()
}
