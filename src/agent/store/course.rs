//! How a session moves when something is written to it: the same in every store. Pure but for the clock.

use super::{Append, Report, StoreError};
use crate::session::{Event, Owner, Session, Status, Timestamp};

/// Frames came, and its end with them or not.
pub(super) fn appended(session: &mut Session, append: &Append) {
    let before = session.status;
    let event = append.end.as_ref().map_or(Event::Frame, |end| Event::Ended(end.status));
    session.status = before.after(event, session.owner);
    match &append.end {
        Some(end) if session.status != before => {
            session.exit_code = end.exit_code;
            session.message.clone_from(end.message.get());
            // Not before the frame that ended it, whatever the clock says.
            session.completed = session.last_seen;
        }
        None if session.status != before => {
            session.exit_code = 0;
            session.message.clear();
            session.completed = Timestamp::default();
            session.claimed = Timestamp::default();
        }
        _ => {}
    }
}

/// A client says how it stands. An operation that runs is not for clients to end.
pub(super) fn reported(session: &mut Session, report: &Report) -> Result<(), StoreError> {
    if session.owner == Owner::Agent && !session.status.is_terminal() {
        let id = &session.id;
        let why = format!("session {id} is an operation of an agent and still runs: cancel it instead");
        return Err(StoreError::Busy(why));
    }
    session.status = session.status.after(Event::Reported(report.status), session.owner);
    if session.status.is_terminal() && session.status == report.status {
        session.exit_code = report.exit_code;
        if !report.message.get().is_empty() {
            session.message.clone_from(report.message.get());
        }
        let completed = if report.completed.0 > 0 { report.completed } else { Timestamp::now() };
        if session.completed.0 == 0 || report.completed.0 > 0 {
            session.completed = session.completed.max(completed);
        }
        session.claimed = session.claimed.max(report.completed);
    }
    session.last_seen = session.last_seen.max(Timestamp::now());
    Ok(())
}

/// Nobody says any more how it went.
pub(super) fn lost(session: &mut Session) {
    session.status = session.status.after(Event::Ended(Status::Lost), session.owner);
    session.exit_code = 1;
    session.message = format!("lost after sequence {}", session.head);
    session.completed = Timestamp::now();
}
