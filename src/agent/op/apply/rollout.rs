//! The last step: helm is done; watch on until the objects are ready, have failed, or the time is over.

use std::time::{Duration, Instant};

use super::{Apply, StepError, Work, headline, helm::news};
use crate::{
    frame::{Finding, Level, PhaseName, PhaseState},
    kube::pod::Certainty,
    op::rollout::{Cause, Progress, Seen},
};

/// How long the objects may take to look ready to us after they did to helm.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How long pods may lag behind what their workload says of them.
const PODS_CATCH_UP: Duration = Duration::from_secs(2);

/// How a rollout ended.
enum RolledOut {
    Ready,
    Failed,
    TimedOut,
    Cancelled,
    Unwatched,
}

impl Work {
    pub(super) async fn roll_out(&mut self, since: i64) -> Result<Apply, StepError> {
        self.open_watch().await?;
        if let Some(watch) = &mut self.watch {
            watch.board.helm_is_done();
        }
        // Helm's end makes objects ready of which the cluster has nothing more to say.
        self.see(Seen::Tick).await?;
        let release = self.run.apply.release.clone();
        let end = self.wait_until_ready(since).await?;
        if matches!(end, RolledOut::Ready) {
            self.let_pods_catch_up().await?;
        }
        let (state, message, next) = match end {
            RolledOut::Ready => (
                PhaseState::Succeeded,
                String::new(),
                Apply::done(format!("release {release} is applied{}", self.known_of_readiness())),
            ),
            RolledOut::Unwatched => {
                let text = "the cluster does not let itself be watched; helm's word is all there is";
                self.reporter.remark(Level::Warn, PhaseName::Rollout, text.to_owned()).await?;
                (PhaseState::Skipped, text.to_owned(), Apply::done(format!("release {release} is applied")))
            }
            RolledOut::Cancelled => {
                (PhaseState::Cancelled, String::new(), Apply::cancelled("while its objects became ready"))
            }
            end @ (RolledOut::Failed | RolledOut::TimedOut) => {
                let mut findings = self.causes_at_the_end().await?;
                if matches!(end, RolledOut::TimedOut) && findings.is_empty() && !self.has_told_causes() {
                    findings = self.silences();
                }
                let message = match headline(&findings) {
                    empty if empty.is_empty() => self.told_headline(),
                    message => message,
                };
                self.reporter.findings(findings).await?;
                (PhaseState::Failed, message.clone(), Apply::failed(message))
            }
        };
        self.close_rollout(state, &message, since).await?;
        Ok(next)
    }

    /// What an end without a failure may say: helm's word counts, and an object that nobody may watch is not ready
    /// for that.
    fn known_of_readiness(&self) -> String {
        let unseen = self.watch.as_ref().map_or(0, |watch| watch.board.unseen());
        match unseen {
            0 => " and ready".to_owned(),
            _ if self.run.apply.helm_waits() => " and ready by helm's word".to_owned(),
            1 => "; whether one of its objects is ready is not known, because this user may not watch it"
                .to_owned(),
            some => format!(
                "; whether {some} of its objects are ready is not known, because this user may not watch them"
            ),
        }
    }

    async fn wait_until_ready(&mut self, since: i64) -> Result<RolledOut, StepError> {
        // Helm waited by its own rules and was content; ours are stricter and get a moment to agree.
        let helm_waited = self.run.apply.helm_waits();
        let patience = if helm_waited { CATCH_UP } else { self.time_left(since) };
        let until = tokio::time::Instant::now() + patience;
        loop {
            let Some(watch) = self.watch.as_ref().filter(|watch| !watch.board.is_logged_out()) else {
                return Ok(RolledOut::Unwatched);
            };
            match watch.board.progress() {
                Progress::Ready => return Ok(RolledOut::Ready),
                Progress::Failed if !helm_waited => return Ok(RolledOut::Failed),
                _ => {}
            }
            tokio::select! {
                seen = news(&mut self.watch) => {
                    let is_certain = self.see(seen).await?;
                    if is_certain && self.run.apply.fail_fast && !helm_waited {
                        return Ok(RolledOut::Failed);
                    }
                }
                () = self.cancel.cancelled() => return Ok(RolledOut::Cancelled),
                () = tokio::time::sleep_until(until) => {
                    return Ok(if helm_waited { RolledOut::Ready } else { RolledOut::TimedOut });
                }
            }
        }
    }

    /// A workload can be heard of before its pods; the last word on each pod should not be an old one.
    async fn let_pods_catch_up(&mut self) -> Result<(), StepError> {
        let until = Instant::now() + PODS_CATCH_UP;
        while Instant::now() < until && self.watch.as_ref().is_some_and(|watch| !watch.board.pods_are_ready())
        {
            let seen = news(&mut self.watch).await;
            self.see(seen).await?;
        }
        Ok(())
    }

    /// The causes that were not told as failures yet, now that there is nothing more to wait for: single crashes, and
    /// what could have passed and did not.
    pub(super) async fn causes_at_the_end(&mut self) -> Result<Vec<Finding>, StepError> {
        let Some(mut watch) = self.watch.take() else { return Ok(Vec::new()) };
        let mut causes = watch.board.causes(Instant::now());
        causes.retain(|cause| watch.told.is_new_cause(cause) || cause.certainty == Certainty::MayPass);
        for cause in &mut causes {
            cause.certainty = cause.certainty.max(Certainty::Failing);
        }
        let told = self.tell_last_words(&mut watch, &mut causes).await;
        self.watch = Some(watch);
        told?;
        Ok(causes.iter().flat_map(|cause| self.findings_of(cause)).collect())
    }

    /// One finding for each object that is not ready and about which nobody says why.
    fn silences(&self) -> Vec<Finding> {
        let Some(watch) = &self.watch else { return Vec::new() };
        let seconds = self.run.apply.timeout_seconds;
        let silent = watch.board.not_ready();
        silent
            .iter()
            .flat_map(|(object, health)| self.findings_of(&Cause::of_silence(object, health, seconds)))
            .collect()
    }

    pub(super) fn has_told_causes(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.told.headline().is_some())
    }

    /// The sentence for an end whose causes were told before.
    pub(super) fn told_headline(&self) -> String {
        let told = self.watch.as_ref().and_then(|watch| watch.told.headline());
        told.unwrap_or("objects of the release did not become ready").to_owned()
    }
}
