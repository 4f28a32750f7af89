//! The one runner: steps a machine to its end and says what was left behind.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    apply::{Apply, End, StepError, Verdict, Watch, Work},
    run::Run,
};
use crate::{
    frame::{Ended, LeftBehind, NoteKind, ObjectRef, WireStatus},
    helm::ReleaseState,
    shim::stop,
};

/// The pause before an end that could not be stored is stored again.
const AGAIN: Duration = Duration::from_secs(5);

/// Steps until the end is told, then removes the run folder. May be dropped at any point: what is on the disk is
/// enough to go on.
pub(super) async fn run_to_end(mut work: Work, adopted: Option<String>) {
    if let Some(text) = adopted {
        note(&work, NoteKind::Adopted, text).await;
    }
    let verdict = match step_to_end(&mut work).await {
        Ok(verdict) => verdict,
        Err(error) => fail(&work, &error).await,
    };
    let ended = ended(&work, verdict).await;
    // A session must not look as if it ran for as long as this agent lives.
    while let Err(error) = work.reporter.end(ended.clone()).await {
        tracing::error!(session = work.run.id, %error, "the end of an operation could not be told, trying again");
        sleep(AGAIN).await;
        if is_over(&work).await {
            break;
        }
    }
    if let Err(error) = work.folder.remove() {
        tracing::warn!(session = work.run.id, %error, "the run folder could not be removed");
    }
}

/// Whether the session has ended, or is gone, although we were told otherwise.
async fn is_over(work: &Work) -> bool {
    let session = work.journal.session(work.reporter.id()).await;
    session.is_ok_and(|session| session.is_none_or(|session| session.status.is_terminal()))
}

/// Says something that the operation does not depend on.
async fn note(work: &Work, kind: NoteKind, text: String) {
    if let Err(error) = work.reporter.note(kind, text).await {
        tracing::warn!(session = work.run.id, %error, "a note could not be kept");
    }
}

async fn step_to_end(work: &mut Work) -> Result<Verdict, StepError> {
    loop {
        let step = work.run.step.clone();
        if let Apply::Done(verdict) = step {
            return Ok(verdict);
        }
        work.run.step = step.step(work).await?;
        work.reporter.catch_up().await?;
        work.run.said = work.reporter.said();
        work.folder.save(&work.run)?;
    }
}

/// A failure of ours, not of the user's. Nobody watches helm from here on, so it is stopped before the session ends.
async fn fail(work: &Work, error: &StepError) -> Verdict {
    tracing::error!(session = work.run.id, %error, "an operation failed inside the agent");
    for at in [work.folder.render(), work.folder.upgrade()] {
        stop(&at).await;
    }
    Verdict { end: End::Failed, message: format!("the agent failed in this operation: {error}") }
}

async fn ended(work: &Work, verdict: Verdict) -> Ended {
    let found = release_state(&work.run).await;
    if verdict.end == End::Lost {
        note(work, NoteKind::Lost, verdict.message.clone()).await;
        note(work, NoteKind::ReleaseFound, told(found.as_ref())).await;
    }
    let (status, exit_code) = match verdict.end {
        End::Done => (WireStatus::Done, 0),
        End::Failed => (WireStatus::Error, 1),
        End::Cancelled => (WireStatus::Cancelled, 130),
        End::Lost => (WireStatus::Lost, 1),
    };
    let left_behind = LeftBehind {
        release_status: found.as_ref().map(|state| state.status.clone()).unwrap_or_default(),
        revision: found.map_or(0, |state| state.revision),
        not_ready: not_ready(work),
    };
    let (status, message) = (status.into(), verdict.message);
    Ended { status, exit_code, message, left_behind: Some(left_behind) }
}

/// A release that was found, in one sentence.
pub(super) fn told(found: Option<&ReleaseState>) -> String {
    match found {
        Some(state) if state.status == "none" => "the cluster has no such release".to_owned(),
        Some(state) => format!("the release is {} at revision {}", state.status, state.revision),
        None => "the cluster could not be asked for the release".to_owned(),
    }
}

async fn release_state(run: &Run) -> Option<ReleaseState> {
    let environment = run.target.environment();
    let context = run.target.context.as_deref();
    match run.helm.status(&run.apply.release, &run.namespace, context, &environment).await {
        Ok(state) => Some(state),
        Err(error) => {
            tracing::debug!(session = run.id, %error, "the release could not be asked for");
            None
        }
    }
}

fn not_ready(work: &Work) -> Vec<ObjectRef> {
    let board = work.watch.as_ref().map(Watch::left_behind);
    board.unwrap_or_default()
}
