//! Why an operation was not started, or not cancelled. What goes wrong after its start is in its frames.

use crate::{
    clusters::ClusterError,
    helm::HelmError,
    session::{InvalidId, SessionId},
    sources::SourceError,
    store::StoreError,
};

use super::request::RequestError;

/// Why a call about an operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// A field does not say what it should.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The id is none.
    #[error("session_id: {0}")]
    Id(#[from] InvalidId),
    /// The sources were refused.
    #[error(transparent)]
    Sources(#[from] SourceError),
    /// The cluster is not to be reached.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// There is no helm.
    #[error(transparent)]
    Helm(#[from] HelmError),
    /// The id stands for another request.
    #[error("session {id} was started with another request: {difference}; choose another id")]
    OtherRequest {
        /// The id.
        id: SessionId,
        /// Where the requests differ.
        difference: String,
    },
    /// The id belongs to a session that a client publishes.
    #[error(
        "session {0} is published by a client, not run by this agent; choose another id, or stop it there"
    )]
    Published(SessionId),
    /// Somebody else works on the release, and the request does not want to wait.
    #[error(
        "release {release} in namespace {namespace} is being changed by session {ahead}; attach to it, or send queue: true to wait"
    )]
    Busy {
        /// The release.
        release: String,
        /// Its namespace.
        namespace: String,
        /// The session that holds it.
        ahead: SessionId,
    },
    /// The agent is on its way out.
    #[error("the agent is shutting down; try again in a moment")]
    ShuttingDown,
    /// The run folder could not be made.
    #[error("cannot write the run folder; see that the disk behind --data has space")]
    Folder(#[source] std::io::Error),
    /// The journal did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
