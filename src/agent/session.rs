//! What a session is: its identity, its place in time, its state and what it is about.
//!
//! Plain data and pure functions. Nothing here knows a database, a protocol or a clock other than `now`.

mod meta;
mod moment;
mod state;

use std::{collections::BTreeMap, fmt, str::FromStr};

use uuid::Uuid;

pub use self::{
    meta::{Meta, Repository},
    moment::Timestamp,
    state::{Event, Owner, Status},
};

/// The longest session id, in characters.
pub const MAX_ID: usize = 128;

/// Tags of a session, by key.
pub type Tags = BTreeMap<String, String>;

/// The name of a session, chosen by whoever starts it.
///
/// 1 to 128 characters of `A-Z a-z 0-9 . _ : @ -`, the first one a letter or a digit: safe in a path, a URL
/// and a log line without quoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

/// Why a text is not a session id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing was given.
    #[error("session id is required")]
    Empty,
    /// More than [`MAX_ID`] characters.
    #[error("session id has {0} characters, the limit is {MAX_ID}")]
    TooLong(usize),
    /// A character outside the alphabet, or one that may not come first.
    #[error(
        "session id has {found:?} at character {at}: letters, digits and . _ : @ - are allowed, and the first is a letter or a digit"
    )]
    Character {
        /// The offending character.
        found: char,
        /// Its place, from 1.
        at: usize,
    },
}

impl SessionId {
    /// Reads an id that a caller sent. Surrounding blanks are not part of it.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidId::Empty);
        }
        let allowed = |at: usize, c: char| c.is_ascii_alphanumeric() || (at > 0 && "._:@-".contains(c));
        if let Some((at, found)) = text.chars().enumerate().find(|(at, c)| !allowed(*at, *c)) {
            return Err(InvalidId::Character { found, at: at + 1 });
        }
        if text.len() > MAX_ID {
            return Err(InvalidId::TooLong(text.len()));
        }
        Ok(Self(text.to_owned()))
    }

    /// A fresh id (UUID version 7), so that ids sort by their start.
    pub fn mint() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

/// The identity of one history of a session. A larger one came later; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The number of a frame, from 1 and without gaps inside an epoch; 0 is "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first frame.
    pub const ZERO: Self = Self(0);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The last frame that a follower has. Written `epoch:seq`; an epoch of 0 is a bare number, which counts only
/// in a session that never changed its epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The history that the number belongs to.
    pub epoch: Epoch,
    /// The last frame seen in it.
    pub seq: Seq,
}

/// A text that is no cursor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cursor {0:?} is neither `epoch:seq` nor a number")]
pub struct InvalidCursor(String);

impl Cursor {
    /// Before everything, in whatever history there is.
    pub const START: Self = Self { epoch: Epoch(0), seq: Seq(0) };
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        // A header of any length must not come back in an answer of that length.
        let invalid = || InvalidCursor(text.chars().take(64).collect());
        let (epoch, seq) = text.trim().split_once(':').unwrap_or(("0", text.trim()));
        let number = |part: &str| -> Option<u64> {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        Ok(Self {
            epoch: Epoch(number(epoch).ok_or_else(invalid)?),
            seq: Seq(number(seq).ok_or_else(invalid)?),
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch.0, self.seq.0)
    }
}

/// The request behind a session, so that the same id with another request can be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// A keyed digest of the unmasked canonical request: equal requests have equal digests, and without the key of
    /// this agent it says nothing about what is in them.
    pub digest: String,
    /// The same request as masked JSON, to name a difference.
    pub canonical: String,
}

/// One session with its head and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// The history that it is in.
    pub epoch: Epoch,
    /// The oldest frame that is still there; `head + 1` when none is.
    pub first: Seq,
    /// The last durable frame.
    pub head: Seq,
    /// Its state.
    pub status: Status,
    /// How it ended; 0 while it runs.
    pub exit_code: i32,
    /// What its end said; masked.
    pub message: String,
    /// When its id was first used.
    pub created: Timestamp,
    /// When anything last happened to it.
    pub last_seen: Timestamp,
    /// When it ended; 0 while it runs.
    pub completed: Timestamp,
    /// When its publisher says that it ended; 0 where it did not say. Only its clients are told.
    pub claimed: Timestamp,
    /// What it is about; masked.
    pub meta: Meta,
    /// Free words of whoever started it; masked.
    pub tags: Tags,
    /// Who writes it.
    pub owner: Owner,
    /// The request that started it, for an operation.
    pub request: Option<RequestRecord>,
    /// What holds it against retention and deletion; none when nothing does, or no longer.
    pub pin: Option<Pin>,
    /// What of it cannot be read any more; empty when it is sound.
    pub damage: String,
    /// What its frames and sources take in the store.
    pub bytes: u64,
}

/// Holds a session against retention and deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// Why; masked.
    pub reason: String,
    /// When it lets go; 0 for never.
    pub until: Timestamp,
    /// Who pinned it.
    pub principal: String,
    /// Since when.
    pub at: Timestamp,
}

impl Pin {
    /// Whether it still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.0 == 0 || self.until > now
    }
}

impl Session {
    /// Whether this id so far only carries metadata, so that an operation may still take it.
    pub fn is_bare(&self) -> bool {
        self.head == Seq::ZERO
            && self.request.is_none()
            && self.owner == Owner::Publisher
            && self.status == Status::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_refused_with_the_reason() {
        assert_eq!(SessionId::parse("  "), Err(InvalidId::Empty));
        assert_eq!(SessionId::parse(&"a".repeat(129)), Err(InvalidId::TooLong(129)));
        assert_eq!(SessionId::parse("a b"), Err(InvalidId::Character { found: ' ', at: 2 }));
        assert_eq!(SessionId::parse("-a"), Err(InvalidId::Character { found: '-', at: 1 }));
        assert_eq!(SessionId::parse("a/b"), Err(InvalidId::Character { found: '/', at: 2 }));
        assert_eq!(SessionId::parse("a\u{0}"), Err(InvalidId::Character { found: '\u{0}', at: 2 }));
        assert!(SessionId::parse(" ci@42:deploy-1.a_b ").is_ok_and(|id| id.as_str() == "ci@42:deploy-1.a_b"));
        assert!(SessionId::parse(SessionId::mint().as_str()).is_ok());
    }

    #[test]
    fn a_cursor_is_read_back_as_it_was_written() {
        let cursor = Cursor { epoch: Epoch(7), seq: Seq(42) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("42".parse(), Ok(Cursor { epoch: Epoch(0), seq: Seq(42) }));
        for bad in ["", ":", "1:", ":1", "a:1", "1:2:3", "-1", "+1", "1:99999999999999999999999"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?} was taken");
        }
    }
}
