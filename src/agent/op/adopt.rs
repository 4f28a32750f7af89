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
    Live, OpError, Operations,
    apply::Apply,
    report::{AGENT, Reporter},
    run::{Run, RunFolder},
    runner::told,
};
use crate::{
    clusters::ClusterClaim,
    frame::{Body, Ended, Fact, LeftBehind, Note, NoteKind, WireStatus},
    helm::ReleaseState,
    journal::Batch,
    session::{Meta, Owner, SessionId},
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
            self.adopt_one(id, run).await;
        }
        Ok(count)
    }

    async fn adopt_one(&self, id: SessionId, run: Run) {
        let ticket = self.inner.queue.enter(run.release_key(), id.clone());
        let masker = self.masker(&id, &run);
        let folder = RunFolder::of(&self.inner.context.data_dir, &id);
        let step = run.step.phase();
        let live = Live::enter(&self.inner, &id);
        let work = match self.work(run, folder, ticket, &masker, live.cancel.clone()) {
            Ok(work) => work,
            Err(error) => {
                tracing::warn!(session = %id, %error, "the sources of a running operation are gone");
                self.give_up(&id, "the operation's sources are gone, so it cannot go on").await;
                return;
            }
        };
        let place = step.map_or_else(String::new, |phase| format!(" in its phase {}", name_of(phase)));
        let text = format!(
            "the agent was started again (pid {}) and goes on with this operation{place}",
            std::process::id()
        );
        self.run(live, work, Some(text));
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
        let found = self.release_of(&journal.require(id).await?.meta).await;
        let notes = [(NoteKind::Lost, message.to_owned()), (NoteKind::ReleaseFound, told(found.as_ref()))];
        let facts = notes.map(|(kind, text)| {
            let note = Note { kind: kind.into(), text, principal: String::new() };
            masker.mask(Fact { body: Some(Body::Note(note)) })
        });
        let facts = facts.into();
        journal.append(id, Batch { producer: AGENT.to_owned(), counter: None, facts }).await?;
        let said = journal.last_counter(id, super::report::OPERATION).await?;
        let mut reporter = Reporter::new(journal.clone(), id.clone(), &masker, said);
        let (status, message) = (WireStatus::Lost.into(), message.to_owned());
        let left_behind = found.map(|state| LeftBehind {
            release_status: state.status,
            revision: state.revision,
            not_ready: Vec::new(),
        });
        reporter.end(Ended { status, exit_code: 1, message, left_behind }).await?;
        Ok(())
    }

    /// The release of a session of which nothing but its metadata is left.
    async fn release_of(&self, meta: &Meta) -> Option<ReleaseState> {
        let (name, context) = (meta.cluster.clone(), meta.context.clone());
        let claim = ClusterClaim { name, context, kubeconfig: Vec::new() };
        let target = self.inner.context.clusters.resolve(&claim).ok()?;
        let (helm, environment) = (self.helm().await.ok()?, target.environment());
        helm.status(&meta.release, &meta.namespace, target.context.as_deref(), &environment).await.ok()
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
