//! The third step: `helm upgrade --install`, with the objects watched beside it.

use ktl_chart::blame::{HelmStep, Outcome};

use super::{Apply, StepError, Work, headline, helm::HelmEnd};
use crate::{
    frame::{PhaseName, PhaseState},
    shim::{Exit, Tail},
};

/// How long helm may take to write down that it was stopped.
const GRACE_SECONDS: u64 = 30;
/// Words of helm that only say that it did not want to wait any longer: causes say more.
const NO_CAUSE: [&str; 8] = [
    "timed out waiting for the condition",
    "context deadline exceeded",
    "context canceled",
    "not ready. status:",
    "has been cancelled",
    "progress deadline exceeded",
    "BackoffLimitExceeded",
    "DeadlineExceeded",
];

impl Work {
    pub(super) async fn upgrade(&mut self, since: i64) -> Result<Apply, StepError> {
        let at = self.folder.upgrade();
        if self.cancel.is_cancelled() && !at.exists() {
            return Ok(Apply::cancelled("before it changed anything"));
        }
        self.reporter.phase(PhaseName::Upgrade, PhaseState::Running, "", since).await?;
        if self.run.apply.watches_rollout() {
            self.reporter.phase(PhaseName::Rollout, PhaseState::Running, "", since).await?;
            self.open_watch().await?;
        }
        // Who asked while the watch was opened has asked before anything was changed.
        if self.cancel.is_cancelled() && !at.exists() {
            self.reporter.phase(PhaseName::Upgrade, PhaseState::Cancelled, "", since).await?;
            self.close_rollout(PhaseState::Cancelled, "", since).await?;
            return Ok(Apply::cancelled("before it changed anything"));
        }
        self.launch_upgrade().await?;
        // Helm keeps to the timeout by itself, and undoes what it began only when nobody stops it.
        match self.follow_helm(&at, "helm", PhaseName::Upgrade, None).await? {
            HelmEnd::Gone | HelmEnd::TooLong => {
                Ok(Apply::lost("helm and its shim are gone without an answer"))
            }
            HelmEnd::Exit(exit) if exit.succeeded() => self.upgraded(since).await,
            HelmEnd::Exit(_) if self.cancel.is_cancelled() => {
                self.reporter.phase(PhaseName::Upgrade, PhaseState::Cancelled, "", since).await?;
                self.close_rollout(PhaseState::Cancelled, "", since).await?;
                Ok(Apply::cancelled("while helm ran"))
            }
            HelmEnd::Exit(exit) => self.upgrade_failed(exit, since).await,
        }
    }

    async fn launch_upgrade(&self) -> Result<(), StepError> {
        let (chart, values) = (self.run.chart_argument(), self.run.values());
        let args = self.run.deploy(&chart, &values).upgrade(self.run.helm.version.major);
        // Helm undoes an atomic release when it is stopped, and that takes what it takes.
        let undo = if self.run.apply.atomic { self.run.apply.timeout_seconds } else { 0 };
        let stdout = self.run.apply.dry_run.then(|| self.folder.dry_run());
        let command = self.helm_command(args, stdout, GRACE_SECONDS + undo);
        let environment = self.run.target.environment();
        Ok(self.launcher.launch(&self.folder.upgrade(), &command, &environment).await?)
    }

    async fn upgraded(&mut self, since: i64) -> Result<Apply, StepError> {
        self.reporter.phase(PhaseName::Upgrade, PhaseState::Succeeded, "", since).await?;
        if self.cancel.is_cancelled() {
            self.close_rollout(PhaseState::Cancelled, "", since).await?;
            return Ok(Apply::cancelled("after helm had finished"));
        }
        let release = &self.run.apply.release;
        if self.run.apply.dry_run {
            Ok(Apply::done(format!(
                "release {release} can be applied; this was a dry run, nothing was changed"
            )))
        } else if self.run.apply.watches_rollout() {
            Ok(Apply::Rollout { since })
        } else {
            Ok(Apply::done(format!("release {release} was applied; its rollout was not waited for")))
        }
    }

    async fn upgrade_failed(&mut self, exit: Exit, since: i64) -> Result<Apply, StepError> {
        self.listen_for(std::time::Duration::from_millis(300)).await?;
        let stderr = Tail::stderr(&self.folder.upgrade())?;
        let outcome = match (exit.error, exit.signal) {
            (Some(error), _) => Outcome::Message(format!("cannot run helm: {error}")),
            (None, Some(signal)) => {
                Outcome::Message(format!("helm was ended by signal {signal} from outside"))
            }
            (None, None) => {
                Outcome::Helm { step: HelmStep::Upgrade, major: self.major(), stderr: stderr.clone() }
            }
        };
        let mut findings = self.causes_at_the_end().await?;
        let is_explained = self.has_told_causes() || !findings.is_empty();
        let says_nothing = NO_CAUSE.iter().any(|words| stderr.contains(words));
        if !(is_explained && says_nothing) {
            findings.splice(0..0, self.blame(&outcome));
        }
        let message = match headline(&findings) {
            empty if empty.is_empty() => self.told_headline(),
            message => message,
        };
        self.reporter.findings(findings).await?;
        self.reporter.phase(PhaseName::Upgrade, PhaseState::Failed, &message, since).await?;
        // A rollout that nothing was heard of did not fail, it never began.
        let rollout = if is_explained { PhaseState::Failed } else { PhaseState::Skipped };
        self.close_rollout(rollout, "", since).await?;
        Ok(Apply::failed(message))
    }

    pub(super) async fn close_rollout(
        &mut self,
        state: PhaseState,
        message: &str,
        since: i64,
    ) -> Result<(), StepError> {
        if self.run.apply.watches_rollout() {
            self.reporter.phase(PhaseName::Rollout, state, message, since).await?;
        }
        Ok(())
    }
}
