//! What each session is doing, folded from its frames.
//!
//! Pure: a frame goes in, a picture of the run comes out, and the same frames always give the same picture. Who
//! follows sessions, and who shows runs, is elsewhere.

use std::collections::BTreeMap;

use ktl_proto::control::v1::{
    self as wire, LeftBehind, ObjectStatus, PhaseName, PhaseState, fact::Body, frame::Payload,
};

mod held;
mod kept;
mod moved;
mod shown;
mod words;

/// What those need who hand frames on without folding them.
pub(crate) use ktl_proto::control::v1::{Frame, Level, Place, Session, Status};

pub(crate) use held::Held;
pub(crate) use kept::{Runs, Watching};
pub(crate) use moved::Moves;
pub(crate) use shown::{Placed, files, message, placed};
pub(crate) use words::{ago, left_words, phase_word, status_word};

/// One session as far as it has been read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Run {
    pub(crate) session: String,
    pub(crate) release: String,
    pub(crate) namespace: String,
    pub(crate) cluster: String,
    /// As the user wrote it: a path inside the sources, or a reference.
    pub(crate) chart: String,
    /// The file that describes the release, inside the sources; empty for a bare chart.
    pub(crate) config_path: String,
    pub(crate) state: State,
    pub(crate) phases: BTreeMap<i32, PhaseState>,
    pub(crate) objects: BTreeMap<ObjectKey, wire::ObjectState>,
    pub(crate) findings: Vec<wire::Finding>,
    pub(crate) last_line: String,
    /// The session that this one waits for.
    pub(crate) ahead: Option<String>,
    /// Unix nanoseconds of the first and of the last frame.
    pub(crate) began: i64,
    pub(crate) last: i64,
}

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum State {
    /// We asked the agent, and it has not said anything yet.
    #[default]
    Starting,
    Running,
    /// It could not be started at all; the agent may not even know it.
    NotStarted(String),
    /// Its start went out, no answer came, and nobody waits for one any more: it may run.
    InDoubt(String),
    Ended {
        status: Status,
        exit_code: i32,
        message: String,
        left_behind: Option<LeftBehind>,
    },
}

/// Kind, namespace and name of an object.
pub(crate) type ObjectKey = (String, String, String);

/// What a frame changed, for those who show it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// Nothing that anybody shows.
    Nothing,
    /// The picture: phases, objects, findings.
    Picture,
    /// A line for the log.
    Line { level: wire::Level, text: String },
}

impl Run {
    pub(crate) fn new(session: &str, release: &str) -> Self {
        Self { session: session.to_owned(), release: release.to_owned(), ..Self::default() }
    }

    /// A session as the agent lists it, before any frame of it was read.
    pub(crate) fn recorded(session: &Session) -> Self {
        let meta = session.meta.clone().unwrap_or_default();
        let state = match session.status() {
            Status::Running | Status::Unspecified => State::Starting,
            status => State::Ended {
                status,
                exit_code: session.exit_code,
                message: session.message.clone(),
                left_behind: None,
            },
        };
        Self {
            state,
            namespace: meta.namespace,
            cluster: meta.cluster,
            last: session.completed_unix_nano,
            ..Self::new(&session.session_id, &meta.release)
        }
    }

    /// Whether anything of it was read.
    pub(crate) fn has_begun(&self) -> bool {
        self.began != 0
    }

    /// Folds the next frame in.
    pub(crate) fn apply(&mut self, frame: &Frame) -> Change {
        if self.began == 0 {
            self.began = frame.at_unix_nano;
        }
        self.last = frame.at_unix_nano;
        let Some(Payload::Fact(fact)) = &frame.payload else { return Change::Nothing };
        let Some(body) = &fact.body else { return Change::Nothing };
        self.fold(body)
    }

    /// The finding that a frame tells, if it tells one.
    pub(crate) fn finding_of(frame: &Frame) -> Option<&wire::Finding> {
        match frame.payload.as_ref()? {
            Payload::Fact(wire::Fact { body: Some(Body::Finding(finding)) }) => Some(finding),
            _ => None,
        }
    }

    /// Forgets what was folded, because the session turned out to have another history.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(&self.session, &self.release);
    }

    fn fold(&mut self, body: &Body) -> Change {
        if matches!(self.state, State::Starting) {
            self.state = State::Running;
        }
        match body {
            Body::Started(started) => self.started(started),
            Body::Queued(queued) => {
                self.ahead = Some(queued.session_ahead.clone());
                Change::Picture
            }
            Body::Phase(phase) => {
                self.phases.insert(phase.name, phase.state());
                Change::Picture
            }
            Body::Line(line) => {
                self.last_line.clone_from(&line.text);
                Change::Line { level: line.level(), text: line.text.clone() }
            }
            Body::Objects(list) => {
                for object in &list.objects {
                    let state =
                        wire::ObjectState { object: Some(object.clone()), ..wire::ObjectState::default() };
                    self.objects.entry(key(object)).or_insert(state);
                }
                Change::Picture
            }
            Body::Object(state) => {
                if let Some(object) = &state.object {
                    self.objects.insert(key(object), state.clone());
                }
                Change::Picture
            }
            Body::Event(event) => event_line(event),
            Body::Finding(finding) => {
                // What was a warning while it could pass is said again as an error: the later word counts.
                self.findings.retain(|said| !is_said_again(said, finding));
                self.findings.push(finding.clone());
                Change::Picture
            }
            Body::Note(note) => Change::Line { level: wire::Level::Info, text: note.text.clone() },
            Body::Ended(ended) => {
                self.state = State::Ended {
                    status: ended.status(),
                    exit_code: ended.exit_code,
                    message: ended.message.clone(),
                    left_behind: ended.left_behind.clone(),
                };
                Change::Picture
            }
        }
    }

    fn started(&mut self, started: &wire::Started) -> Change {
        self.release.clone_from(&started.release);
        self.namespace.clone_from(&started.namespace);
        self.cluster.clone_from(&started.cluster);
        self.chart.clone_from(&started.chart);
        self.config_path.clone_from(&started.config_path);
        self.ahead = None;
        for name in started.phases() {
            self.phases.entry(name as i32).or_insert(PhaseState::Pending);
        }
        Change::Picture
    }

    /// A terminal state that was said beside the frames, for a session whose last frame is gone.
    pub(crate) fn end(&mut self, end: &wire::End) {
        if !matches!(self.state, State::Ended { .. }) {
            self.state = State::Ended {
                status: end.status(),
                exit_code: end.exit_code,
                message: end.message.clone(),
                left_behind: None,
            };
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Starting | State::Running)
    }

    /// Whether it is out of our sight, and its end is not recorded here.
    pub(crate) fn is_in_doubt(&self) -> bool {
        matches!(self.state, State::InDoubt(_) | State::Ended { status: Status::Unspecified, .. })
    }

    /// The phase that runs now.
    pub(crate) fn phase(&self) -> Option<PhaseName> {
        let running = self.phases.iter().find(|(_, state)| **state == PhaseState::Running);
        running.and_then(|(name, _)| PhaseName::try_from(*name).ok())
    }

    /// Objects of the release that are ready, and all of them. Pods stand for the objects that own them.
    pub(crate) fn readiness(&self) -> (usize, usize) {
        let own = || self.objects.values().filter(|state| state.owner.is_none());
        (own().filter(|state| state.status() == ObjectStatus::Ready).count(), own().count())
    }

    /// The first object in trouble, in words.
    pub(crate) fn trouble(&self) -> Option<String> {
        let failed = self.objects.values().find(|state| state.status() == ObjectStatus::Failed)?;
        let object = failed.object.as_ref()?;
        Some(format!("{} {}: {}", object.kind, object.name, failed.reason))
    }
}

/// Whether two findings differ in their severity at most.
fn is_said_again(said: &wire::Finding, finding: &wire::Finding) -> bool {
    let leveled = wire::Finding { severity: finding.severity, ..said.clone() };
    leveled == *finding
}

fn key(object: &wire::ObjectRef) -> ObjectKey {
    (object.kind.clone(), object.namespace.clone(), object.name.clone())
}

/// Only warnings: the rest of what Kubernetes says of itself is noise in a log that a person reads.
fn event_line(event: &wire::ObjectEvent) -> Change {
    let Some(object) = event.object.as_ref().filter(|_| event.warning) else { return Change::Nothing };
    let text = format!("{} {}: {}: {}", object.kind, object.name, event.reason, event.message);
    Change::Line { level: wire::Level::Warn, text }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn frame(seq: u64, body: Body) -> Frame {
        Frame {
            epoch: 1,
            seq,
            at_unix_nano: i64::try_from(seq).unwrap() * 1_000_000_000,
            payload: Some(Payload::Fact(wire::Fact { body: Some(body) })),
            ..Frame::default()
        }
    }

    fn object(kind: &str, name: &str, status: ObjectStatus) -> Body {
        let object =
            wire::ObjectRef { kind: kind.to_owned(), name: name.to_owned(), ..wire::ObjectRef::default() };
        Body::Object(wire::ObjectState {
            object: Some(object),
            status: status.into(),
            reason: "ImagePullBackOff".to_owned(),
            ..wire::ObjectState::default()
        })
    }

    fn phase(name: PhaseName, state: PhaseState) -> Body {
        Body::Phase(wire::Phase { name: name.into(), state: state.into(), ..wire::Phase::default() })
    }

    fn folded(bodies: impl IntoIterator<Item = Body>) -> Run {
        let mut run = Run::new("s", "web");
        for (number, body) in bodies.into_iter().enumerate() {
            run.apply(&frame(number as u64 + 1, body));
        }
        run
    }

    fn started() -> Body {
        Body::Started(wire::Started {
            release: "web".to_owned(),
            namespace: "shop".to_owned(),
            cluster: "dev".to_owned(),
            phases: vec![PhaseName::Render.into(), PhaseName::Upgrade.into()],
            ..wire::Started::default()
        })
    }

    #[test]
    fn a_run_is_what_its_frames_say() {
        let run = folded([
            started(),
            phase(PhaseName::Render, PhaseState::Succeeded),
            phase(PhaseName::Upgrade, PhaseState::Running),
            object("Deployment", "web", ObjectStatus::Ready),
            object("Service", "web", ObjectStatus::Pending),
        ]);
        assert!(run.is_running());
        assert_eq!((run.cluster.as_str(), run.namespace.as_str()), ("dev", "shop"));
        assert_eq!(run.phase(), Some(PhaseName::Upgrade));
        assert_eq!(run.readiness(), (1, 2));
        assert_eq!((run.began, run.last), (1_000_000_000, 5_000_000_000));
    }

    #[test]
    fn an_object_in_trouble_is_named_with_its_reason() {
        let run = folded([started(), object("Pod", "web-1", ObjectStatus::Failed)]);
        assert_eq!(run.trouble().unwrap(), "Pod web-1: ImagePullBackOff");
    }

    #[test]
    fn a_session_that_waits_names_the_one_ahead_until_it_starts() {
        let queued =
            Body::Queued(wire::Queued { session_ahead: "other".to_owned(), ..wire::Queued::default() });
        assert_eq!(folded([queued.clone()]).ahead.as_deref(), Some("other"));
        assert_eq!(folded([queued, started()]).ahead, None);
    }

    #[test]
    fn the_end_stays_what_the_frame_said() {
        let ended =
            Body::Ended(wire::Ended { status: Status::Error.into(), exit_code: 1, ..wire::Ended::default() });
        let mut run = folded([started(), ended]);
        run.end(&wire::End { status: Status::Done.into(), ..wire::End::default() });
        let State::Ended { status, exit_code, .. } = &run.state else { panic!() };
        assert_eq!((*status, *exit_code), (Status::Error, 1));
    }

    #[test]
    fn a_warning_that_became_an_error_is_one_finding() {
        let finding = |severity: wire::Severity, message: &str| {
            Body::Finding(wire::Finding {
                severity: severity.into(),
                message: message.to_owned(),
                ..wire::Finding::default()
            })
        };
        let (warning, error) = (wire::Severity::Warning, wire::Severity::Error);
        let run = folded([
            started(),
            finding(warning, "no node"),
            finding(warning, "other"),
            finding(error, "no node"),
        ]);
        let said: Vec<_> = run.findings.iter().map(|said| (said.severity(), said.message.as_str())).collect();
        assert_eq!(said, [(warning, "other"), (error, "no node")]);
    }

    #[test]
    fn another_history_starts_with_nothing_from_the_old_one() {
        let mut run = folded([started(), Body::Finding(wire::Finding::default())]);
        run.restart();
        assert_eq!(run, Run::new("s", "web"));
    }

    #[test]
    fn a_session_that_ended_is_not_running_before_its_frames_are_read() {
        let mut session = Session {
            session_id: "s".to_owned(),
            status: Status::Error.into(),
            message: "no".to_owned(),
            completed_unix_nano: 7,
            ..Session::default()
        };
        let run = Run::recorded(&session);
        assert!(!run.is_running() && !run.has_begun());
        assert_eq!(run.last, 7);
        assert!(run.verdict().contains("failed: no"), "{}", run.verdict());
        session.status = Status::Running.into();
        assert!(Run::recorded(&session).is_running());
    }

    #[test]
    fn frames_that_nobody_understands_change_nothing() {
        let mut run = Run::new("s", "web");
        assert_eq!(run.apply(&Frame::default()), Change::Nothing);
        let empty = Frame { payload: Some(Payload::Fact(wire::Fact::default())), ..Frame::default() };
        assert_eq!(run.apply(&empty), Change::Nothing);
    }
}
