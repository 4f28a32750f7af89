//! An apply of ours told as the public agent tells one: six phases, lines, a summary. Pure.
//!
//! Our upgrade is its `upgrade` or its `install`, our rollout its `wait`; `diff` and `post-hooks` are told because its
//! clients count phases. A failure ends with a status and no summary.

mod words;

use std::collections::BTreeMap;

use ktl_proto::api::v1::DeployEvent;
use serde_json::{Value, json};
use tonic::Status;

use self::words::{go_duration, place};
use super::Plan;
use crate::{
    frame::{
        Body, Ended, Finding, Frame, Level, Line, LineSource, Payload, Phase, PhaseName, PhaseState,
        Severity, WireStatus,
    },
    session::Timestamp,
};

/// The phases of the public agent.
const PHASES: [&str; 6] = ["render", "diff", "upgrade", "install", "wait", "post-hooks"];
/// What helm says when there is no such release yet.
const INSTALLING: &str = "does not exist. Installing it now.";

/// What was told so far.
pub(super) struct Story {
    release: String,
    namespace: String,
    chart: String,
    version: String,
    waits: bool,
    dry_run: bool,
    began: Timestamp,
    /// When each phase began and ended.
    times: BTreeMap<&'static str, (Timestamp, Timestamp)>,
    is_install: bool,
    notes: Option<Vec<String>>,
    end: Option<Result<(), Status>>,
}

impl Story {
    pub(super) fn new(plan: &Plan, namespace: String) -> Self {
        Self {
            release: plan.apply.release.clone(),
            namespace,
            chart: plan.chart_name.clone(),
            version: plan.chart_version.clone(),
            waits: plan.apply.helm_waits(),
            dry_run: plan.apply.dry_run,
            began: Timestamp::now(),
            times: BTreeMap::new(),
            is_install: false,
            notes: None,
            end: None,
        }
    }

    /// Every phase before anything happens. Only these carry a time.
    pub(super) fn pending() -> Vec<DeployEvent> {
        let ts = Timestamp::now().rfc3339();
        let event = |name| json!({ "kind": "phase", "ts": ts, "phase": { "name": name, "state": "pending", "status": "pending" } });
        PHASES.map(|name| said(&event(name))).into()
    }

    /// How it ended, once.
    pub(super) fn end(&mut self) -> Option<Result<(), Status>> {
        self.end.take()
    }

    /// What a frame says in public.
    pub(super) fn see(&mut self, frame: &Frame) -> Vec<DeployEvent> {
        let Payload::Fact(fact) = &frame.payload else { return Vec::new() };
        match &fact.body {
            Some(Body::Phase(phase)) => self.phase(phase, frame.at),
            Some(Body::Line(line)) => self.line(line, frame.at),
            Some(Body::Finding(finding)) => vec![finding_line(finding, frame.at)],
            Some(Body::Queued(queued)) => {
                let text =
                    format!("Waiting for session {}, which works on this release", queued.session_ahead);
                vec![log("info", &text, "agent", frame.at)]
            }
            Some(Body::Ended(ended)) => self.ended(ended, frame.at),
            _ => Vec::new(),
        }
    }

    fn phase(&mut self, phase: &Phase, at: Timestamp) -> Vec<DeployEvent> {
        use PhaseState::{Cancelled, Failed, Running, Skipped, Succeeded};
        let message = match phase.state() {
            Cancelled => "context canceled",
            _ => phase.message.as_str(),
        };
        match (phase.name(), phase.state()) {
            (PhaseName::Render, Running) => vec![self.began("render", at)],
            (PhaseName::Render, Succeeded) => self.rendered(at),
            (PhaseName::Render, Failed | Cancelled) => vec![self.over("render", "failed", message, at)],
            (PhaseName::Upgrade, Running) => vec![self.began("upgrade", at)],
            // Whether it would be an install is told by what is there at the end.
            (PhaseName::Upgrade, Succeeded) if self.dry_run => Vec::new(),
            (PhaseName::Upgrade, Succeeded) => {
                let mut events = vec![self.upgraded(at)];
                if !self.waits {
                    events.extend(self.no_install(at));
                }
                events
            }
            (PhaseName::Upgrade, Failed | Cancelled) => {
                let mut events = vec![self.over(self.worker(), "failed", message, at)];
                if self.waits {
                    let words = if self.is_install { "Install failed" } else { "Upgrade failed" };
                    events.push(self.over("wait", "failed", words, at));
                }
                events
            }
            (PhaseName::Rollout, Succeeded | Skipped)
                if self.waits && self.is_done(self.worker()) && !self.is_done("wait") =>
            {
                self.waited(at)
            }
            (PhaseName::Rollout, Failed | Cancelled)
                if self.is_done(self.worker()) && !self.is_done("wait") =>
            {
                vec![self.over("wait", "failed", message, at)]
            }
            _ => Vec::new(),
        }
    }

    fn rendered(&mut self, at: Timestamp) -> Vec<DeployEvent> {
        let deploying = format!("Deploying release {} in namespace {}", self.release, self.namespace);
        vec![
            self.over("render", "succeeded", &format!("Rendered chart {}", self.chart), at),
            log("info", &deploying, "helm", at),
            self.skip("diff", "Diff disabled", at),
            if self.waits { self.began("wait", at) } else { self.skip("wait", "Wait disabled", at) },
        ]
    }

    fn upgraded(&mut self, at: Timestamp) -> DeployEvent {
        let words = if self.is_install { "Release installed fresh" } else { "Release upgrade completed" };
        self.over(self.worker(), "succeeded", words, at)
    }

    fn waited(&mut self, at: Timestamp) -> Vec<DeployEvent> {
        let waited = self.over("wait", "succeeded", "Helm reported release ready", at);
        [waited].into_iter().chain(self.no_install(at)).collect()
    }

    fn no_install(&mut self, at: Timestamp) -> Option<DeployEvent> {
        (!self.is_install).then(|| self.skip("install", "Install fallback not required", at))
    }

    fn line(&mut self, line: &Line, at: Timestamp) -> Vec<DeployEvent> {
        let level = match line.level() {
            Level::Debug => "debug",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Info | Level::Unspecified => "info",
        };
        if let Some(notes) = &mut self.notes {
            notes.push(line.text.clone());
            return Vec::new();
        }
        let source = if line.source() == LineSource::Agent { "agent" } else { "helm" };
        match line.source() {
            LineSource::Stdout if line.text.trim_end() == "NOTES:" => {
                self.notes = Some(Vec::new());
                Vec::new()
            }
            LineSource::Stdout if line.text.contains(INSTALLING) && !self.is_install => self.installing(at),
            // Helm's own summary is told by ours.
            LineSource::Stdout => Vec::new(),
            _ => vec![log(level, &line.text, source, at)],
        }
    }

    fn installing(&mut self, at: Timestamp) -> Vec<DeployEvent> {
        let skipped = self.skip("upgrade", "No deployed release; installing fresh", at);
        self.is_install = true;
        vec![skipped, self.began("install", at)]
    }

    fn ended(&mut self, ended: &Ended, at: Timestamp) -> Vec<DeployEvent> {
        let left = ended.left_behind.clone().unwrap_or_default();
        self.end = Some(match ended.status() {
            WireStatus::Done => Ok(()),
            WireStatus::Cancelled => Err(Status::cancelled("context canceled")),
            _ if !self.is_done("diff") => Err(Status::unknown(&ended.message)),
            _ => Err(failure(self.worker(), &ended.message)),
        });
        if ended.status() != WireStatus::Done {
            return Vec::new();
        }
        let mut events = Vec::new();
        let mut release = left.release_status;
        if self.dry_run {
            let is_install = release == "none";
            release = String::from(if is_install { "pending-install" } else { "pending-upgrade" });
            if is_install {
                events.extend(self.installing(at));
            }
            events.push(self.upgraded(at));
            if self.waits {
                events.extend(self.waited(at));
            } else {
                events.extend(self.no_install(at));
            }
        }
        events.push(self.began("post-hooks", at));
        events.push(self.over("post-hooks", "succeeded", "Helm post-upgrade hooks completed", at));
        events.push(self.summary(&release, at));
        events
    }

    fn summary(&self, status: &str, at: Timestamp) -> DeployEvent {
        let durations = PHASES.map(|name| {
            let (began, over) = self.times.get(name).copied().unwrap_or_default();
            (name, go_duration(over.0 - began.0))
        });
        let mut summary = json!({
            "release": self.release, "namespace": self.namespace,
            "status": if status.is_empty() { "succeeded" } else { status },
        });
        let notes = self.notes.as_ref().map(|notes| notes.join("\n")).unwrap_or_default();
        for (key, text) in [("chart", &self.chart), ("version", &self.version), ("notes", &notes)] {
            if !text.trim().is_empty() {
                summary[key] = text.trim_end().into();
            }
        }
        summary["duration"] = go_duration(at.0 - self.began.0).into();
        summary["phaseDurations"] =
            durations.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect();
        said(&json!({ "kind": "summary", "ts": at.rfc3339(), "summary": summary }))
    }

    /// The phase in which helm works.
    fn worker(&self) -> &'static str {
        if self.is_install { "install" } else { "upgrade" }
    }

    fn is_done(&self, name: &str) -> bool {
        self.times.get(name).is_some_and(|(_, over)| over.0 > 0)
    }

    fn began(&mut self, name: &'static str, at: Timestamp) -> DeployEvent {
        self.times.insert(name, (at, Timestamp::default()));
        transition(name, "running", "", at, Timestamp::default())
    }

    fn over(&mut self, name: &'static str, state: &str, message: &str, at: Timestamp) -> DeployEvent {
        let began = self.times.get(name).map_or(at, |(began, _)| *began);
        self.times.insert(name, (began, at));
        transition(name, state, message, began, at)
    }

    fn skip(&mut self, name: &'static str, message: &str, at: Timestamp) -> DeployEvent {
        self.over(name, "skipped", message, at)
    }
}

/// A transition carries no time of its own, as the public agent's do not.
fn transition(name: &str, state: &str, message: &str, began: Timestamp, over: Timestamp) -> DeployEvent {
    let mut phase = json!({ "name": name, "state": state, "status": state });
    for (key, text) in
        [("message", message.to_owned()), ("startedAt", began.rfc3339()), ("completedAt", over.rfc3339())]
    {
        if !text.is_empty() {
            phase[key] = text.into();
        }
    }
    said(&json!({ "kind": "phase", "ts": "", "phase": phase }))
}

fn log(level: &str, message: &str, source: &str, at: Timestamp) -> DeployEvent {
    let log = json!({ "level": level, "message": message, "source": source });
    said(&json!({ "kind": "event", "ts": at.rfc3339(), "log": log }))
}

/// A finding as a line: its place in front, as compilers write it.
fn finding_line(finding: &Finding, at: Timestamp) -> DeployEvent {
    let level = if finding.severity() == Severity::Error { "error" } else { "warn" };
    log(level, &format!("{}{}", place(finding.place.as_ref()), finding.message), "agent", at)
}

fn failure(worker: &str, message: &str) -> Status {
    let words = format!("helm {worker}: {message}");
    if message.contains("context deadline exceeded") {
        Status::deadline_exceeded(words)
    } else {
        Status::unknown(words)
    }
}

fn said(event: &Value) -> DeployEvent {
    DeployEvent { json: event.to_string() }
}

#[cfg(test)]
mod tests;
