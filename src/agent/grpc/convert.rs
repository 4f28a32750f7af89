//! Our types to those of the wire and back.

mod public;

use ktl_proto::control::v1 as wire;

pub(super) use self::public::{meta as public_meta, state as public_state};
pub(crate) use self::public::{mirror_frame, mirror_list, mirror_session};
use crate::{
    frame::{Frame, wire_status},
    journal::Followed,
    session::{Cursor, Epoch, Meta, Pin, Repository, Seq, Session, Status, Timestamp},
    store::{InvalidToken, SessionPage, SessionQuery, TimeRange},
};

/// A session; `base` is where browsers reach this agent.
pub fn session(session: Session, base: &str) -> wire::Session {
    wire::Session {
        url: url(base, session.id.as_str()),
        session_id: session.id.to_string(),
        epoch: session.epoch.0,
        head: session.head.0,
        status: wire_status(session.status).into(),
        exit_code: session.exit_code,
        message: session.message,
        created_unix_nano: session.created.0,
        last_seen_unix_nano: session.last_seen.0,
        completed_unix_nano: session.completed.0,
        meta: Some(meta(session.meta)),
        tags: session.tags.into_iter().collect(),
        first: session.first.0,
        pin: session.pin.map(pin),
        damage: session.damage,
        bytes: session.bytes,
    }
}

fn pin(pin: Pin) -> wire::Pin {
    wire::Pin {
        reason: pin.reason,
        until_unix_nano: pin.until.0,
        principal: pin.principal,
        at_unix_nano: pin.at.0,
    }
}

/// The page of a session. Ids need no escaping in a path.
pub fn url(base: &str, id: &str) -> String {
    format!("{base}/s/{id}")
}

/// A frame.
pub fn frame(frame: Frame) -> wire::Frame {
    wire::Frame {
        epoch: frame.epoch.0,
        seq: frame.seq.0,
        at_unix_nano: frame.at.0,
        producer: frame.producer,
        payload: Some(frame.payload),
    }
}

/// What a follower is told.
pub(super) fn followed(followed: Followed) -> wire::FollowEvent {
    use wire::follow_event::Event;
    let event = match followed {
        Followed::Frame(next) => Event::Frame(frame(next)),
        Followed::CaughtUp { head } => Event::CaughtUp(wire::CaughtUp { head: head.0 }),
        Followed::Gap { from, to, reason } => {
            Event::Gap(wire::Gap { from: from.0, to: to.0, reason: reason.into() })
        }
        Followed::Resync { epoch, first, head } => {
            Event::Resync(wire::Resync { epoch: epoch.0, first: first.0, head: head.0 })
        }
        Followed::Heartbeat { head } => Event::Heartbeat(wire::Heartbeat { head: head.0 }),
        Followed::End { status, exit_code, message } => {
            Event::End(wire::End { status: wire_status(status).into(), exit_code, message })
        }
    };
    wire::FollowEvent { event: Some(event) }
}

/// Where a follower wants to go on.
pub(super) fn cursor(cursor: Option<wire::Cursor>) -> Cursor {
    let cursor = cursor.unwrap_or_default();
    Cursor { epoch: Epoch(cursor.epoch), seq: Seq(cursor.seq) }
}

/// A state to filter by; none for any.
pub(super) fn status(status: wire::Status) -> Option<Status> {
    match status {
        wire::Status::Unspecified => None,
        wire::Status::Running => Some(Status::Running),
        wire::Status::Done => Some(Status::Done),
        wire::Status::Error => Some(Status::Error),
        wire::Status::Cancelled => Some(Status::Cancelled),
        wire::Status::Lost => Some(Status::Lost),
    }
}

fn meta(meta: Meta) -> wire::Meta {
    let repository = meta.repository;
    let known = repository != Repository::default();
    let Repository { remote, commit, branch, dirty } = repository;
    wire::Meta {
        command: meta.command,
        args: meta.args,
        requester: meta.requester,
        cluster: meta.cluster,
        context: meta.context,
        namespace: meta.namespace,
        release: meta.release,
        chart: meta.chart,
        principal: meta.principal,
        workspace: meta.workspace,
        repository: known.then_some(wire::Repository { remote, commit, branch, dirty }),
        versions: meta.versions.into_iter().collect(),
        agent: meta.agent,
    }
}

/// Metadata to filter by, or that a client claims.
pub(super) fn wanted(meta: wire::Meta) -> Meta {
    Meta {
        command: meta.command,
        args: meta.args,
        requester: meta.requester,
        cluster: meta.cluster,
        context: meta.context,
        namespace: meta.namespace,
        release: meta.release,
        chart: meta.chart,
        principal: meta.principal,
        workspace: meta.workspace,
        repository: repository(meta.repository),
        versions: meta.versions.into_iter().collect(),
        agent: meta.agent,
    }
}

/// Where files came from, as a client says.
pub(super) fn repository(repository: Option<wire::Repository>) -> Repository {
    let wire::Repository { remote, commit, branch, dirty } = repository.unwrap_or_default();
    Repository { remote, commit, branch, dirty }
}

/// A span of time to filter by.
fn range(range: Option<wire::TimeRange>) -> TimeRange {
    let wire::TimeRange { from_unix_nano, to_unix_nano } = range.unwrap_or_default();
    TimeRange { from: Timestamp(from_unix_nano), to: Timestamp(to_unix_nano) }
}

/// What a list is asked.
pub(super) fn query(request: wire::ListRequest) -> Result<SessionQuery, InvalidToken> {
    let after = match request.page_token.as_str() {
        "" => None,
        token => Some(token.parse()?),
    };
    let statuses = request.statuses().chain([request.status()]).filter_map(status).collect();
    Ok(SessionQuery {
        limit: usize::try_from(request.limit).unwrap_or(usize::MAX),
        status: statuses,
        tags: request.tags.into_iter().collect(),
        meta: wanted(request.meta.unwrap_or_default()),
        last_seen: range(request.last_seen),
        created: range(request.created),
        completed: range(request.completed),
        text: request.text,
        pinned: request.pinned,
        after,
        ..SessionQuery::default()
    })
}

/// A page of a list.
pub fn listed(page: SessionPage, base: &str) -> wire::ListResponse {
    wire::ListResponse {
        sessions: page.sessions.into_iter().map(|it| session(it, base)).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    }
}
