//! A frame: one numbered fact of a session.
//!
//! The payload types are those of the contract (`ktl.control.v1`), because a second set of the same fields would
//! only drift from the first. What a client published through `ktl.api.v1` is kept as it came, masked.

pub use ktl_proto::control::v1::{
    Confidence, Edit, Ended, Excerpt, Fact, Finding, Fix, LeftBehind, Level, Line, LineSource, Note,
    NoteKind, ObjectEvent, ObjectList, ObjectRef, ObjectState, ObjectStatus, Phase, PhaseName, PhaseState,
    Place, Queued, RelatedPlace, Severity, SourceRef, Started, Status as WireStatus, fact::Body,
    frame::Payload,
};

use crate::session::{Cursor, Epoch, Seq, Status, Timestamp};

/// What a publisher can send; only the mask and the wire look inside.
pub mod published {
    pub use ktl_proto::api::v1::{
        BuildEvent, BuildResult, DeployEvent, LogLine, MirrorFrame, VerifyDone, VerifyEvent, VerifyFinding,
        VerifyProgress, VerifyStarted, VerifySubject, VerifySummary, build_event, mirror_frame, verify_event,
    };
}

/// One numbered fact of a session, as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The history that `seq` counts in.
    pub epoch: Epoch,
    /// Its number.
    pub seq: Seq,
    /// When the agent took it.
    pub at: Timestamp,
    /// Who said it.
    pub producer: String,
    /// What it says; masked.
    pub payload: Payload,
}

impl Frame {
    /// The place of this frame.
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, seq: self.seq }
    }
}

/// The state that an `ended` fact speaks of. An end that names no state, or "running", is an error: whoever wrote
/// it did not say that it went well.
pub fn ended_status(ended: &Ended) -> Status {
    match ended.status() {
        WireStatus::Done => Status::Done,
        WireStatus::Cancelled => Status::Cancelled,
        WireStatus::Lost => Status::Lost,
        WireStatus::Error | WireStatus::Running | WireStatus::Unspecified => Status::Error,
    }
}

/// The wire's name of a state.
pub fn wire_status(status: Status) -> WireStatus {
    match status {
        Status::Running => WireStatus::Running,
        Status::Done => WireStatus::Done,
        Status::Error => WireStatus::Error,
        Status::Cancelled => WireStatus::Cancelled,
        Status::Lost => WireStatus::Lost,
    }
}
