//! The one runner: steps a machine to its end and says what was left behind.

use super::{
    apply::{Apply, End, StepError, Verdict, Watch, Work},
    run::Run,
};
use crate::{
    frame::{Ended, LeftBehind, NoteKind, ObjectRef, WireStatus},
    helm::ReleaseState,
};

/// Steps until the end is told, then removes the run folder. May be dropped at any point: what is on the disk is
/// enough to go on.
pub(super) async fn run_to_end(mut work: Work) {
    let ended = match step_to_end(&mut work).await {
        Ok(verdict) => finish(&mut work, verdict).await,
        Err(error) => fail(&mut work, error).await,
    };
    match ended {
        Ok(()) => {
            if let Err(error) = work.folder.remove() {
                tracing::warn!(session = work.run.id, %error, "the run folder could not be removed");
            }
        }
        // The next agent finds the run folder and tries again.
        Err(error) => {
            tracing::error!(session = work.run.id, %error, "the end of an operation could not be told");
        }
    }
}

async fn step_to_end(work: &mut Work) -> Result<Verdict, StepError> {
    loop {
        let step = work.run.step.clone();
        if let Apply::Done(verdict) = step {
            return Ok(verdict);
        }
        work.run.step = step.step(work).await?;
        work.run.said = work.reporter.said();
        work.folder.save(&work.run)?;
    }
}

/// A failure of ours, not of the user's: helm may still run, and its shim says so to whoever looks.
async fn fail(work: &mut Work, error: StepError) -> Result<(), StepError> {
    tracing::error!(session = work.run.id, %error, "an operation failed inside the agent");
    let message = format!("the agent failed in this operation: {error}");
    finish(work, Verdict { end: End::Failed, message }).await
}

async fn finish(work: &mut Work, verdict: Verdict) -> Result<(), StepError> {
    let found = release_state(&work.run).await;
    if verdict.end == End::Lost {
        work.reporter.note(NoteKind::Lost, verdict.message.clone()).await?;
        let text = match &found {
            Some(state) if state.status == "none" => "the cluster has no such release".to_owned(),
            Some(state) => format!("the release is {} at revision {}", state.status, state.revision),
            None => "the cluster could not be asked for the release".to_owned(),
        };
        work.reporter.note(NoteKind::ReleaseFound, text).await?;
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
    work.reporter.end(Ended { status, exit_code, message, left_behind: Some(left_behind) }).await?;
    Ok(())
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
