//! The work rpcs of the public API: each call is checked, recorded under its id or one of ours, and answered.
//!
//! What this version does not do yet checks its arguments as the public agent does; a call that is right ends with
//! `UNIMPLEMENTED`, and its session says so too. A caller that sent no id learns it from the initial metadata
//! ([`SESSION`]) and the first message.

mod apply;
mod build;
mod deploy;
mod logs;
mod verify;

use futures::{StreamExt as _, stream, stream::BoxStream};
use tonic::{Response, Status};

pub use self::deploy::Deploys;
pub(super) use self::{build::Builds, logs::Logs, verify::Verifies};
use super::{Services, status::session_id};
use crate::{
    mask::Masker,
    session::{Meta, Owner, Session, SessionId, Status as State, Tags, Timestamp},
    store::Report,
};

/// The initial metadata that says which session a call is recorded in.
const SESSION: &str = "ktl-session-id";

type Streamed<T> = BoxStream<'static, Result<T, Status>>;

/// A call that is being recorded.
struct Recording {
    services: Services,
    id: SessionId,
    is_minted: bool,
}

impl Recording {
    /// Records a call under the id that it brings, or under a fresh one.
    async fn begin(services: &Services, id: &str, meta: Meta, tags: Tags) -> Result<Self, Status> {
        let (id, is_minted) = id_of(id)?;
        let known = services.journal.session(&id).await?;
        refuse_operation(known.as_ref())?;
        let masker = services.journal.masker(&id, []);
        services.journal.annotate(&id, masker.mask(meta), masker.mask(tags)).await?;
        Ok(Self { services: services.clone(), id, is_minted })
    }

    fn masker(&self) -> Masker {
        self.services.journal.masker(&self.id, [])
    }

    /// Ends the session in error and the call with `status`. `said` is what the session keeps of it; `first` makes
    /// the message that names a session of ours.
    async fn refuse<T: Send + 'static>(
        self,
        status: Status,
        said: String,
        first: impl FnOnce(&SessionId) -> T,
    ) -> Result<Response<Streamed<T>>, Status> {
        let message = self.masker().mask(said);
        let report = Report { status: State::Error, exit_code: 1, message, completed: Timestamp::now() };
        self.services.journal.report(&self.id, report).await?;
        let named = self.is_minted.then(|| Ok(first(&self.id)));
        let messages: Vec<Result<T, Status>> = named.into_iter().chain([Err(status)]).collect();
        Ok(answer(&self.id, stream::iter(messages).boxed()))
    }

    /// Ends a call that is right, and whose work comes later.
    async fn not_yet<T: Send + 'static>(
        self,
        what: &str,
        first: impl FnOnce(&SessionId) -> T,
    ) -> Result<Response<Streamed<T>>, Status> {
        let instead = "it applies charts, and records what is published to it";
        let status =
            Status::unimplemented(format!("this version of the agent does not {what} yet: {instead}"));
        let said = status.message().to_owned();
        self.refuse(status, said, first).await
    }
}

/// The id of a call: its own, or a fresh one, which is then said.
fn id_of(text: &str) -> Result<(SessionId, bool), Status> {
    if text.trim().is_empty() { Ok((SessionId::mint(), true)) } else { Ok((session_id(text)?, false)) }
}

/// An operation's session belongs to the agent: no other call is recorded in it.
fn refuse_operation(known: Option<&Session>) -> Result<(), Status> {
    match known {
        Some(session) if session.owner == Owner::Agent => Err(Status::already_exists(format!(
            "session {} belongs to an operation of this agent: choose another id",
            session.id
        ))),
        _ => Ok(()),
    }
}

/// A stream with the name of its session in front.
fn answer<T>(id: &SessionId, messages: Streamed<T>) -> Response<Streamed<T>> {
    let mut response = Response::new(messages);
    // The alphabet of ids is a part of that of metadata.
    if let Ok(value) = id.as_str().parse() {
        response.metadata_mut().insert(SESSION, value);
    }
    response
}

/// A status as Go prints it, which is what sessions of the public agent keep.
fn as_go_prints(status: &Status) -> String {
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}

/// Fields that name what a client may not: programs, logs and credentials on the agent's machine.
fn refuse_fields(fields: &[(&str, bool)]) -> Result<(), Status> {
    match fields.iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => Err(Status::permission_denied(format!(
            "{field} is refused: a client does not name programs, logs or credentials of the agent's machine"
        ))),
        None => Ok(()),
    }
}
