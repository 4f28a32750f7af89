//! The one place that maps our errors to gRPC codes.

use tonic::Status;

use crate::{
    clusters::ClusterError,
    op::OpError,
    session::{InvalidId, SessionId},
    sources::{SourceError, local::LocalError},
    store::StoreError,
};

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        let words = error.to_string();
        match error {
            StoreError::NotFound(_) => Self::not_found(words),
            StoreError::TooLarge { .. } | StoreError::Invalid(_) => Self::invalid_argument(words),
            StoreError::ProducerGap { .. }
            | StoreError::Fenced { .. }
            | StoreError::Busy(_)
            | StoreError::Pinned { .. } => Self::failed_precondition(words),
            StoreError::Full(_) | StoreError::ReadOnly { .. } => Self::resource_exhausted(words),
            StoreError::Closed | StoreError::Unavailable { .. } => Self::unavailable(words),
            StoreError::Damaged { .. } => {
                tracing::error!(error = words, "the store is damaged");
                Self::data_loss(words)
            }
            StoreError::Newer { .. }
            | StoreError::Alien(_)
            | StoreError::Go(_)
            | StoreError::OtherDatabase(_)
            | StoreError::Failed { .. }
            | StoreError::Folder { .. } => {
                tracing::error!(error = words, "the store failed");
                Self::internal(words)
            }
        }
    }
}

impl From<OpError> for Status {
    fn from(error: OpError) -> Self {
        let words = error.to_string();
        match error {
            OpError::Store(error) => error.into(),
            OpError::Sources(SourceError::PoolFull { .. }) => Self::resource_exhausted(words),
            OpError::Request(_) | OpError::Id(_) | OpError::Sources(_) => Self::invalid_argument(words),
            OpError::OtherRequest { .. } | OpError::Published(_) => Self::already_exists(words),
            OpError::Cluster(ClusterError::NotNamed { .. }) => Self::permission_denied(words),
            OpError::Cluster(_) | OpError::Helm(_) | OpError::Busy { .. } => Self::failed_precondition(words),
            OpError::ShuttingDown => Self::unavailable(words),
            OpError::Folder(error) => {
                tracing::error!(%error, "a run folder failed");
                Self::resource_exhausted(words)
            }
        }
    }
}

impl From<LocalError> for Status {
    fn from(error: LocalError) -> Self {
        let words = error.to_string();
        match error {
            LocalError::Denied { .. } => Self::permission_denied(words),
            LocalError::Unreadable { .. } => Self::unknown(words),
            LocalError::Source(_) => Self::invalid_argument(words),
        }
    }
}

/// An id from a request, in the words that clients of the public API know.
pub(super) fn session_id(text: &str) -> Result<SessionId, Status> {
    SessionId::parse(text).map_err(|error| match error {
        InvalidId::Empty => Status::invalid_argument("session_id is required"),
        other => Status::invalid_argument(format!("session_id: {other}")),
    })
}
