//! An apply as a machine: sources, render, upgrade, rollout, done.
//!
//! Each step is a function from what is on the disk to the next step, and may be done again after a crash: what it
//! says is counted, and what runs outside runs under a shim that starts once. A cancel is honored before each step
//! and inside each wait.

#[cfg(test)]
pub(super) mod fixture;
mod helm;
mod render;
mod rollout;
mod sources;
mod upgrade;
mod watch;

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::watch::Watch;
use super::{
    finding::{Texts, to_fact},
    queue::Ticket,
    report::Reporter,
    run::{Run, RunFolder},
    suspect::Suspects,
};
use crate::{
    frame::{Body, Finding, PhaseName, Queued},
    shim::{LaunchError, Launcher},
    store::StoreError,
};
use ktl_chart::blame::{Case, Outcome, blame};

/// Where an apply stands. A step that began carries when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// It waits behind another operation on its release.
    Queue,
    /// It says what its sources are.
    Sources,
    /// `helm template`.
    Render,
    /// `helm upgrade --install`, the objects watched beside it.
    Upgrade {
        /// Unix nanoseconds.
        since: i64,
    },
    /// Helm is done, the objects are not yet.
    Rollout {
        /// When the upgrade began: the timeout counts from there.
        since: i64,
    },
    /// It ended.
    Done(Verdict),
}

/// How an apply ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// In one word.
    pub end: End,
    /// In one sentence.
    pub message: String,
}

/// The ends of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// As it was asked.
    Done,
    /// Not as it was asked.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Nobody knows.
    Lost,
}

/// What keeps a step from coming to any end.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The journal does not take facts.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run folder cannot be read or written.
    #[error("the run folder failed: {0}")]
    Folder(#[from] io::Error),
    /// There is no shim.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// What an apply works with.
pub struct Work {
    /// What was asked, and the step.
    pub run: Run,
    /// Where it lives on the disk.
    pub folder: RunFolder,
    /// How it speaks.
    pub reporter: Reporter,
    /// How it starts helm.
    pub launcher: Launcher,
    /// Cancelled when somebody wants it to stop.
    pub cancel: CancellationToken,
    /// Its place in the line before its release.
    pub ticket: Ticket,
    /// The sources as texts.
    pub texts: BTreeMap<String, String>,
    /// What the cluster says; from the upgrade on.
    pub watch: Option<Watch>,
    /// What may be secret, while no render has shown it.
    pub suspects: Option<Suspects>,
    /// Where this agent's own state can be read again.
    pub journal: crate::journal::Journal,
}

impl Apply {
    /// Does this step and says which one is next.
    pub async fn step(self, work: &mut Work) -> Result<Self, StepError> {
        if work.cancel.is_cancelled() && self.stops_at_once() {
            return Ok(Self::cancelled("before it changed anything"));
        }
        Ok(match self {
            Self::Queue => work.wait_for_turn().await?,
            Self::Sources => work.name_sources().await?,
            Self::Render => work.render().await?,
            Self::Upgrade { since } => work.upgrade(since).await?,
            Self::Rollout { since } => work.roll_out(since).await?,
            Self::Done(verdict) => Self::Done(verdict),
        })
    }

    /// The phase that a step is told as.
    pub fn phase(&self) -> Option<PhaseName> {
        match self {
            Self::Queue | Self::Done(_) => None,
            Self::Sources => Some(PhaseName::Sources),
            Self::Render => Some(PhaseName::Render),
            Self::Upgrade { .. } => Some(PhaseName::Upgrade),
            Self::Rollout { .. } => Some(PhaseName::Rollout),
        }
    }

    /// Whether nothing has happened in the cluster yet.
    fn stops_at_once(&self) -> bool {
        matches!(self, Self::Queue | Self::Sources)
    }

    fn done(message: impl Into<String>) -> Self {
        Self::Done(Verdict { end: End::Done, message: message.into() })
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::Done(Verdict { end: End::Failed, message: message.into() })
    }

    fn cancelled(when: &str) -> Self {
        Self::Done(Verdict { end: End::Cancelled, message: format!("cancelled {when}") })
    }

    fn lost(message: impl Into<String>) -> Self {
        Self::Done(Verdict { end: End::Lost, message: message.into() })
    }
}

impl Work {
    async fn wait_for_turn(&mut self) -> Result<Apply, StepError> {
        let Some(ahead) = self.ticket.ahead() else { return Ok(Apply::Sources) };
        let queued = Queued {
            session_ahead: ahead.to_string(),
            release: self.run.apply.release.clone(),
            namespace: self.run.namespace.clone(),
            cluster: self.run.target.name.clone(),
        };
        // Counted on its own: after a restart there may be nobody ahead any more, and nothing to say.
        self.reporter.relay("queue", 1, vec![Body::Queued(queued)]).await?;
        let seconds = self.run.apply.timeout_seconds;
        Ok(tokio::select! {
            () = self.ticket.turn() => Apply::Sources,
            () = self.cancel.cancelled() => Apply::cancelled("while it waited for its turn"),
            () = tokio::time::sleep(self.time_left(self.run.started)) => {
                // Not the one that was ahead when it came: that one may have given up meanwhile.
                let holder = self.ticket.holder().unwrap_or(ahead);
                Apply::failed(format!("session {holder} still worked on the release after {seconds} s, the timeout"))
            }
        })
    }

    /// What is left of the timeout that began at `since`.
    fn time_left(&self, since: i64) -> Duration {
        let passed = u64::try_from(crate::shim::now_nanos() - since).unwrap_or(0);
        Duration::from_secs(self.run.apply.timeout_seconds).saturating_sub(Duration::from_nanos(passed))
    }

    /// The findings of a failure, on the user's own lines.
    fn blame(&self, outcome: &Outcome) -> Vec<Finding> {
        let (chart, values) = (self.run.chart(), self.run.values());
        let config = self.run.apply.config_path.as_ref().map(ToString::to_string);
        let case = Case {
            sources: &self.texts,
            chart: &chart,
            values: &values,
            config_path: config.as_deref(),
            release: &self.run.apply.release,
        };
        let masker = self.reporter.masker();
        let suspects = self.suspects.as_ref();
        let texts = Texts { sources: &self.texts, manifest: &self.run.sources, masker, suspects };
        blame(&case, outcome).into_iter().map(|finding| to_fact(finding, texts)).collect()
    }

    fn helm_command(
        &self,
        args: Vec<String>,
        stdout: Option<PathBuf>,
        grace_seconds: u64,
    ) -> crate::shim::Command {
        let (program, folder) = (self.run.helm.program.clone(), self.folder.sources());
        crate::shim::Command { program, args, folder, stdout, grace_seconds }
    }
}

/// The first line of the first finding: what the end of a session says.
fn headline(findings: &[Finding]) -> String {
    let message = findings.first().map_or("", |finding| finding.message.as_str());
    message.lines().next().unwrap_or_default().to_owned()
}
