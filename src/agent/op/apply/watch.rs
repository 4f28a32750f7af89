//! The rollout as an apply sees it: what the cluster says becomes frames, causes become findings.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use ktl_chart::blame::Outcome;

use super::{StepError, Work};
use crate::{
    frame::{Body, Finding, Level, Line, LineSource, ObjectRef, Payload, PhaseName, Severity},
    journal::Followed,
    kube::{connect, logs::Life, pod::Certainty},
    op::{
        finding::to_chart,
        report::ROLLOUT,
        rollout::{Board, Cause, Feed, Logs, Said, Seen, Told},
    },
    session::Cursor,
};

/// What is watched and what was said of it.
pub struct Watch {
    pub(super) feed: Feed,
    pub(super) board: Board,
    pub(super) told: Told,
    logs: Logs,
}

impl Watch {
    /// The objects of the release that exist and are not ready now.
    pub fn left_behind(&self) -> Vec<ObjectRef> {
        self.board.left_behind()
    }
}

impl Work {
    /// Begins to watch the objects of the release, unless they are watched already. An earlier life's words are
    /// read back first, so that nothing is said twice.
    pub(super) async fn open_watch(&mut self) -> Result<(), StepError> {
        if self.watch.is_some() {
            return Ok(());
        }
        let rendered = self.rendered()?;
        let board = Board::new(&rendered);
        let told = self.recall().await?;
        let Some(connected) = self.cancel.run_until_cancelled(connect(&self.run.target)).await else {
            return Ok(());
        };
        match connected {
            Ok(client) => {
                let feed = Feed::open(&client, board.objects());
                self.watch = Some(Watch { feed, board, told, logs: Logs::new(client) });
            }
            // Helm will say the same in its own words, and those have a place on a line.
            Err(error) => tracing::debug!(%error, "the rollout is not watched"),
        }
        Ok(())
    }

    /// Takes a piece of news and says what follows from it. True when a cause is certain.
    pub(super) async fn see(&mut self, seen: Seen) -> Result<bool, StepError> {
        let Some(mut watch) = self.watch.take() else { return Ok(false) };
        watch.board.see(seen);
        let said = self.tell(&mut watch).await;
        self.watch = Some(watch);
        said
    }

    async fn tell(&mut self, watch: &mut Watch) -> Result<bool, StepError> {
        for (resource, namespace) in watch.board.take_denied() {
            let place =
                if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") };
            let text = format!(
                "this user may not watch {resource}{place}; going on with what helm says (needed: get, list and watch)"
            );
            self.reporter.remark(Level::Warn, PhaseName::Rollout, text).await?;
        }
        if watch.board.is_logged_out() && watch.told.is_first_logout() {
            let text = logged_out(&self.run.target.name);
            self.reporter.remark(Level::Error, PhaseName::Rollout, text).await?;
        }
        let masker = self.reporter.masker().clone();
        let states = watch.board.states().into_iter().filter(|state| watch.told.is_new_state(state));
        let mut bodies: Vec<Body> = states.map(Body::Object).collect();
        for warning in watch.board.warnings() {
            let masked = masker.mask(warning.clone());
            if watch.told.is_new_event(masked.get()) {
                bodies.push(Body::Event(masked.into_inner()));
            }
        }
        if !bodies.is_empty() {
            self.reporter.mention(ROLLOUT, bodies).await?;
        }
        let causes = watch.board.causes(Instant::now());
        let mut news: Vec<Cause> = watch.told.news(&causes).into_iter().cloned().collect();
        self.tell_last_words(watch, &mut news).await?;
        let findings: Vec<Finding> = news.iter().flat_map(|cause| self.findings_of(cause)).collect();
        watch.told.keep_headline(&findings);
        if !findings.is_empty() {
            self.reporter.mention(ROLLOUT, findings.into_iter().map(Body::Finding).collect()).await?;
        }
        Ok(causes.iter().any(|cause| cause.certainty == Certainty::Certain))
    }

    /// Says what the containers behind these causes said last, and adds it to them. A cancel does not wait for it.
    pub(super) async fn tell_last_words(
        &self,
        watch: &mut Watch,
        causes: &mut [Cause],
    ) -> Result<(), StepError> {
        let asked = self.cancel.run_until_cancelled(watch.logs.ask(causes)).await;
        let Said { lines, denied } = asked.unwrap_or_default();
        if let Some(namespace) = denied {
            let text = format!(
                "this user may not read the logs of pods in namespace {namespace}, which would say why they crash (needed: get on pods/log)"
            );
            self.reporter.remark(Level::Warn, PhaseName::Rollout, text).await?;
        }
        let bodies: Vec<Body> =
            lines.into_iter().flat_map(|(life, lines)| last_words(&life, lines)).collect();
        if !bodies.is_empty() {
            self.reporter.mention(ROLLOUT, bodies).await?;
        }
        Ok(())
    }

    /// The findings of one cause; what may pass is a warning.
    pub(super) fn findings_of(&self, cause: &Cause) -> Vec<Finding> {
        let field = Some(cause.field.clone()).filter(|field| !field.is_empty());
        let (object, reason, message) =
            (to_chart(&cause.object), cause.reason.clone(), cause.message.clone());
        let mut findings = self.blame(&Outcome::Object { object, field, reason, message });
        if cause.certainty == Certainty::MayPass {
            for finding in &mut findings {
                finding.set_severity(Severity::Warning);
            }
        }
        findings
    }

    /// What this session was told of its rollout so far.
    async fn recall(&self) -> Result<Told, StepError> {
        let mut told = Told::default();
        let mut frames = Box::pin(self.journal.recorded(self.reporter.id(), Cursor::START));
        while let Some(followed) = frames.next().await {
            if let Followed::Frame(frame) = followed?
                && frame.producer == ROLLOUT
                && let Payload::Fact(fact) = &frame.payload
            {
                told.recall(fact);
            }
        }
        Ok(told)
    }

    /// Listens on for a moment, so that what helm just changed is seen.
    pub(super) async fn listen_for(&mut self, moment: Duration) -> Result<(), StepError> {
        let until = tokio::time::Instant::now() + moment;
        while let Ok(seen) = tokio::time::timeout_at(until, super::helm::news(&mut self.watch)).await {
            self.see(seen).await?;
        }
        Ok(())
    }
}

fn last_words(life: &Life, lines: Vec<String>) -> impl Iterator<Item = Body> + use<> {
    let from = format!("{}/{}", life.pod, life.container);
    let (source, level, phase) =
        (LineSource::Container.into(), Level::Info.into(), PhaseName::Rollout.into());
    let line = move |text| Line { source, level, text: format!("{from}: {text}"), phase };
    lines.into_iter().map(move |text| Body::Line(line(text)))
}

fn logged_out(cluster: &str) -> String {
    format!("cluster {cluster} did not accept the credentials (401): log in again, then apply again")
}
