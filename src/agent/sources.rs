//! Sources: the files an operation needs, sent by content instead of shared by disk.
//!
//! A client lists paths with hashes, the agent asks for what it lacks, and the operation gets exactly the bytes that
//! were listed. Plain text lives in the [`pool`] for two minutes at most, then in the operation's own 0700 folder
//! until it ends. Every limit that is hit says its name and its value. Nothing here knows gRPC or helm.

pub mod folder;
pub mod local;
pub mod manifest;
pub mod path;
pub mod pool;

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use manifest::{Listed, Manifest};
pub use path::SourcePath;
pub use pool::{Assembly, SourcePool};

/// The most bytes of one file.
pub const MAX_FILE_BYTES: u64 = 8 << 20;
/// The most bytes of all sources of one operation.
pub const MAX_TOTAL_BYTES: u64 = 64 << 20;
/// The most files of one operation.
pub const MAX_FILES: usize = 20_000;

/// Why sources were refused. Every message names the path, hash or limit it is about.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A path that could leave the folder, or that no disk takes.
    #[error("source path {path:?}: {fault}; send a relative path with '/' below the workspace root")]
    Path {
        /// As it was sent, shortened.
        path: String,
        /// What is wrong with it.
        fault: path::PathFault,
    },
    /// Two paths that cannot both exist in one folder.
    #[error("source paths {first:?} and {second:?} {how}; send only one of them")]
    Conflict {
        /// The path that came first in order.
        first: String,
        /// The path that does not fit beside it.
        second: String,
        /// `are the same`, `differ only in case`, ….
        how: &'static str,
    },
    /// Not a hash.
    #[error("source hash {0:?} is not a SHA-256 in 64 lower-case hex digits")]
    Hash(String),
    /// One file beyond [`MAX_FILE_BYTES`].
    #[error(
        "source {name} is larger than {MAX_FILE_BYTES} bytes, the limit for one file; keep it out with .helmignore"
    )]
    FileTooLarge {
        /// Its path, or its hash while it is uploaded.
        name: String,
    },
    /// All files together beyond [`MAX_TOTAL_BYTES`].
    #[error(
        "the sources are {bytes} bytes, more than the limit of {MAX_TOTAL_BYTES} for one operation; keep large files out with .helmignore"
    )]
    TotalTooLarge {
        /// What was listed.
        bytes: u64,
    },
    /// More files than [`MAX_FILES`].
    #[error("{count} sources are more than the limit of {MAX_FILES} files for one operation")]
    TooMany {
        /// What was listed.
        count: usize,
    },
    /// The pool holds as much as it may.
    #[error(
        "the agent holds {limit} bytes of uploads that no operation has taken yet, its limit; try again in two minutes"
    )]
    PoolFull {
        /// [`pool::MAX_POOL_BYTES`].
        limit: u64,
    },
    /// The bytes are not what their hash says.
    #[error(
        "uploaded source {expected} arrived with the hash {found}; the file changed while it was sent, send it again"
    )]
    Corrupt {
        /// What the client announced.
        expected: ContentHash,
        /// What arrived.
        found: ContentHash,
    },
    /// The listed size is not the size of the content.
    #[error("source {path:?} was listed with {listed} bytes, its content has {found}; list it again")]
    Size {
        /// Its path.
        path: String,
        /// What the manifest said.
        listed: u64,
        /// What the hash stands for.
        found: u64,
    },
    /// A piece without a beginning.
    #[error("the first message of an upload has no sha256; name each source in its first message")]
    Unnamed,
    /// The run folder could not be written.
    #[error(
        "cannot write the source {path:?} into the run folder; see that the disk behind --data has space"
    )]
    Write {
        /// Its path.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// The SHA-256 of a file's bytes, lower-case hex in every text form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash(String);

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("{:x}", Sha256::digest(bytes)))
    }

    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex { Ok(Self(text.to_owned())) } else { Err(SourceError::Hash(path::shortened(text))) }
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContentHash {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        Self::parse(&text)
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_64_lower_case_hex_digits() {
        let hash = ContentHash::of(b"a: 1\n");
        assert_eq!(ContentHash::parse(hash.as_str()).unwrap(), hash);
        for bad in ["", "abc", &hash.as_str().to_uppercase(), &format!("{hash}0"), &"é".repeat(32)] {
            assert!(ContentHash::parse(bad).is_err(), "{bad}");
        }
    }
}
