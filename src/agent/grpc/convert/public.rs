//! To the public API: each frame is exactly one `MirrorFrame` with the same sequence.

use ktl_proto::api::v1 as api;
use serde_json::{Value, json};

use crate::{
    frame::{Body, Fact, Frame, Level, Line, LineSource, Payload, Phase, PhaseName, PhaseState},
    session::{Meta, Owner, Session, SessionId, Status, Timestamp},
};

/// The exit code by which the public API tells a cancelled session from a done one.
const CANCELLED: i32 = 130;

/// A frame of the session `id`.
pub(crate) fn mirror_frame(frame: Frame, id: &SessionId) -> api::MirrorFrame {
    let payload = match frame.payload {
        Payload::Published(published) => published.payload,
        Payload::Fact(fact) => Some(fact_payload(fact, frame.at)),
    };
    api::MirrorFrame {
        session_id: id.to_string(),
        producer: frame.producer,
        sequence: frame.seq.0,
        received_unix_nano: frame.at.0,
        payload,
    }
}

/// Phases and lines have a public form. Everything else goes into the field that only our clients know.
fn fact_payload(fact: Fact, at: Timestamp) -> api::mirror_frame::Payload {
    let event = match &fact.body {
        Some(Body::Phase(phase)) => phase_event(phase),
        Some(Body::Line(line)) => Some(line_event(line, at)),
        _ => None,
    };
    match event {
        Some(event) => api::mirror_frame::Payload::Deploy(api::DeployEvent { json: event.to_string() }),
        None => api::mirror_frame::Payload::Control(fact),
    }
}

/// Public transitions have an empty `ts`, and a cancelled phase has failed.
fn phase_event(phase: &Phase) -> Option<Value> {
    let name = match phase.name() {
        PhaseName::Render => "render",
        PhaseName::Upgrade => "upgrade",
        PhaseName::Rollout => "wait",
        PhaseName::Sources | PhaseName::Unspecified => return None,
    };
    let state = match phase.state() {
        PhaseState::Pending => "pending",
        PhaseState::Running => "running",
        PhaseState::Succeeded => "succeeded",
        PhaseState::Skipped => "skipped",
        PhaseState::Failed | PhaseState::Cancelled => "failed",
        PhaseState::Unspecified => return None,
    };
    let mut phase_json = json!({ "name": name, "state": state, "status": state });
    let optional = [
        ("message", phase.message.clone()),
        ("startedAt", Timestamp(phase.started_unix_nano).rfc3339()),
        ("completedAt", Timestamp(phase.completed_unix_nano).rfc3339()),
    ];
    for (key, value) in optional {
        if !value.is_empty() {
            phase_json[key] = value.into();
        }
    }
    Some(json!({ "kind": "phase", "ts": "", "phase": phase_json }))
}

fn line_event(line: &Line, at: Timestamp) -> Value {
    let level = match line.level() {
        Level::Debug => "debug",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Info | Level::Unspecified => "info",
    };
    let source = match line.source() {
        LineSource::Agent => "agent",
        LineSource::Container => "pod",
        LineSource::Stdout | LineSource::Stderr | LineSource::Unspecified => "helm",
    };
    let log = json!({ "level": level, "message": line.text, "source": source });
    json!({ "kind": "event", "ts": at.rfc3339(), "log": log })
}

/// A session as the public API shows it.
pub(crate) fn mirror_session(session: Session) -> api::MirrorSession {
    let status = mirror_status(&session);
    let Meta { command, args, requester, cluster, context, namespace, release, chart, .. } = session.meta;
    let meta = api::MirrorSessionMeta {
        command,
        args,
        requester,
        cluster,
        kube_context: context,
        namespace,
        release,
        chart,
    };
    api::MirrorSession {
        session_id: session.id.to_string(),
        created_unix_nano: session.created.0,
        last_seen_unix_nano: session.last_seen.0,
        last_sequence: session.head.0,
        meta: (meta != api::MirrorSessionMeta::default()).then_some(meta),
        tags: session.tags.into_iter().collect(),
        status: Some(status),
    }
}

/// Sessions as the public API lists them.
pub(crate) fn mirror_list(sessions: Vec<Session>) -> api::MirrorListSessionsResponse {
    api::MirrorListSessionsResponse { sessions: sessions.into_iter().map(mirror_session).collect() }
}

fn mirror_status(session: &Session) -> api::MirrorSessionStatus {
    use api::MirrorSessionState as State;
    let (state, exit_code, error_message) = match session.status {
        Status::Running => (State::Running, 0, String::new()),
        // The last word of an operation is no error; what a client reported comes back to it.
        Status::Done if session.owner == Owner::Agent => (State::Done, session.exit_code, String::new()),
        Status::Done => (State::Done, session.exit_code, session.message.clone()),
        Status::Cancelled => (State::Done, CANCELLED, String::new()),
        Status::Error => (State::Error, session.exit_code, session.message.clone()),
        Status::Lost => {
            (State::Error, session.exit_code.max(1), format!("lost after sequence {}", session.head))
        }
    };
    let is_claim = session.owner == Owner::Publisher && session.status != Status::Lost;
    let completed_unix_nano = if is_claim { session.claimed.0 } else { session.completed.0 };
    api::MirrorSessionStatus { state: state.into(), exit_code, error_message, completed_unix_nano }
}

/// The state that a public client means; none for "unspecified".
pub(in crate::grpc) fn state(state: api::MirrorSessionState, exit_code: i32) -> Option<Status> {
    use api::MirrorSessionState as State;
    match state {
        State::Unspecified => None,
        State::Running => Some(Status::Running),
        State::Done if exit_code == CANCELLED => Some(Status::Cancelled),
        State::Done => Some(Status::Done),
        State::Error => Some(Status::Error),
    }
}

/// Metadata that a public client sends.
pub(in crate::grpc) fn meta(meta: Option<api::MirrorSessionMeta>) -> Meta {
    let api::MirrorSessionMeta {
        command,
        args,
        requester,
        cluster,
        kube_context: context,
        namespace,
        release,
        chart,
    } = meta.unwrap_or_default();
    Meta { command, args, requester, cluster, context, namespace, release, chart, ..Meta::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Epoch, Seq};

    fn shown(body: Body) -> api::mirror_frame::Payload {
        let frame = Frame {
            epoch: Epoch(1),
            seq: Seq(7),
            at: Timestamp(1_700_000_000_000_000_001),
            producer: "helm".into(),
            payload: Payload::Fact(Fact { body: Some(body) }),
        };
        let shown = mirror_frame(frame, &SessionId::mint());
        assert_eq!((shown.sequence, shown.received_unix_nano), (7, 1_700_000_000_000_000_001));
        shown.payload.unwrap()
    }

    #[test]
    fn phases_and_lines_take_their_public_form_and_the_rest_goes_into_field_15() {
        let phase = Phase {
            name: PhaseName::Rollout.into(),
            state: PhaseState::Cancelled.into(),
            ..Phase::default()
        };
        let api::mirror_frame::Payload::Deploy(event) = shown(Body::Phase(phase)) else {
            panic!("not deploy")
        };
        let event: Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!(
            (&event["ts"], &event["phase"]["name"], &event["phase"]["state"]),
            (&"".into(), &"wait".into(), &"failed".into())
        );
        let line = Line { text: "hello".into(), ..Line::default() };
        let api::mirror_frame::Payload::Deploy(event) = shown(Body::Line(line)) else { panic!("not deploy") };
        let event: Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!((&event["kind"], &event["log"]["message"]), (&"event".into(), &"hello".into()));
        let sources =
            Phase { name: PhaseName::Sources.into(), state: PhaseState::Running.into(), ..Phase::default() };
        assert!(matches!(shown(Body::Phase(sources)), api::mirror_frame::Payload::Control(_)));
    }
}
