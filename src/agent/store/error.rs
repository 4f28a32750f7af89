//! Why a store refuses, in words that say what to do.

use std::io;

use crate::session::SessionId;

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such session.
    #[error("session {0} is not known")]
    NotFound(SessionId),
    /// A numbered frame that leaves some out.
    #[error("producer {producer} sent frame {got}, expected {expected}: send the frames between again")]
    ProducerGap {
        /// Who.
        producer: String,
        /// The number that would have been right.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A newer producer has taken the name.
    #[error(
        "producer {producer} of epoch {epoch} was replaced by one of epoch {newer}: it must not write any more"
    )]
    Fenced {
        /// Who.
        producer: String,
        /// The epoch that came.
        epoch: u64,
        /// The epoch that writes now.
        newer: u64,
    },
    /// Something is larger than its limit.
    #[error("{what} is {actual}, the limit is {limit}")]
    TooLarge {
        /// The thing and its unit.
        what: &'static str,
        /// What came.
        actual: usize,
        /// What may.
        limit: usize,
    },
    /// A value that means nothing here.
    #[error("{0}")]
    Invalid(String),
    /// The session runs, or belongs to an operation of this agent.
    #[error("{0}")]
    Busy(String),
    /// The session is pinned.
    #[error("session {id} is pinned{}: unpin it first, or force the deletion", because(.reason))]
    Pinned {
        /// The session.
        id: SessionId,
        /// Why.
        reason: String,
    },
    /// No space.
    #[error("the disk that holds {0} is full: free some space, then try again")]
    Full(String),
    /// The store cannot be written now.
    #[error("{store} cannot be written: {why}")]
    ReadOnly {
        /// The file.
        store: String,
        /// What the system said.
        why: String,
    },
    /// What is stored cannot be read.
    #[error("{store} is damaged: {why}")]
    Damaged {
        /// The file, or the session in it.
        store: String,
        /// What is wrong.
        why: String,
    },
    /// The file was written by a newer agent.
    #[error("{store} has format {found}, this agent knows up to {known}: start a newer ktl-agent on it")]
    Newer {
        /// The file.
        store: String,
        /// The format of the file.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
    /// The file is something else.
    #[error("{0} is not a store of ktl-agent: name another folder with --data")]
    Alien(String),
    /// The file belongs to the public Go agent.
    #[error(
        "{0} was written by the Go ktl-agent and is left as it is: bring its sessions over with `ktl-agent import {0} --data DIR`"
    )]
    Go(String),
    /// The database holds tables of somebody else.
    #[error("{0} holds something else than sessions of ktl-agent: name an empty database with --store")]
    OtherDatabase(String),
    /// The store cannot be asked now.
    #[error("{store} cannot be reached: {why}; try again")]
    Unavailable {
        /// Which store.
        store: String,
        /// What was said last.
        why: String,
    },
    /// The agent is stopping.
    #[error("the store is closed: the agent is stopping")]
    Closed,
    /// Anything else that the system said.
    #[error("{store} failed: {why}")]
    Failed {
        /// The file.
        store: String,
        /// What the system said.
        why: String,
    },
    /// The folder could not be made or opened.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// The folder or file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}
