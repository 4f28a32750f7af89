//! What a list is asked and what it answers.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::MAX_LIST;
use crate::session::{Meta, Owner, Session, SessionId, Status, Tags, Timestamp};

/// Which sessions to list: those that match everything that is set, the last seen first, then by id.
#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    /// 0 means 200; at most [`MAX_LIST`].
    pub limit: usize,
    /// Fields that are not empty must be equal; `args` is a prefix, of `versions` all must be there.
    pub meta: Meta,
    /// As the public API compares: letter case does not count, and `command` may be a part.
    pub loose: bool,
    /// All must be there; an empty value asks for the key alone.
    pub tags: Tags,
    /// One of these; empty for any.
    pub status: Vec<Status>,
    /// Only sessions that this side writes.
    pub owner: Option<Owner>,
    /// Only sessions that this agent writes, where a store has several agents.
    pub held: bool,
    /// When anything last happened to it.
    pub last_seen: TimeRange,
    /// When its id was first used.
    pub created: TimeRange,
    /// When it ended; a session that runs is in no range.
    pub completed: TimeRange,
    /// Part of its id or of any name in its metadata, whatever the case of its ASCII letters.
    pub text: String,
    /// Whether something holds it.
    pub pinned: Option<bool>,
    /// Where the page before ended.
    pub after: Option<PageToken>,
}

impl SessionQuery {
    /// How many sessions the page may have.
    pub(crate) fn page_size(&self) -> usize {
        if self.limit == 0 { 200 } else { self.limit.min(MAX_LIST) }
    }
}

/// A span of time with both ends in it; an end of 0 is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment.
    pub from: Timestamp,
    /// The last moment.
    pub to: Timestamp,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// The last seen first.
    pub sessions: Vec<Session>,
    /// Where the next page starts; none after the last.
    pub next: Option<PageToken>,
}

/// The last session of a page. Callers get it as a word that says nothing to them, and bring it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// When it was last seen, as the page said.
    pub last_seen: Timestamp,
    /// Its name.
    pub id: SessionId,
}

/// A text that is no page token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("page token {0:?} is none of this agent's: list again from the start, without a token")]
pub struct InvalidToken(String);

impl PageToken {
    /// The place behind a session.
    pub(crate) fn behind(session: &Session) -> Self {
        Self { last_seen: session.last_seen, id: session.id.clone() }
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}", self.last_seen.0, self.id)))
    }
}

impl FromStr for PageToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let read = || {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            let (last_seen, id) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
            Some(Self { last_seen: Timestamp(last_seen.parse().ok()?), id: SessionId::parse(id).ok()? })
        };
        // A word of any length must not come back in an answer of that length.
        read().ok_or_else(|| InvalidToken(text.chars().take(64).collect()))
    }
}

/// The single texts of metadata, each with the name of its column, which is the same in every store.
pub(super) fn text_columns(meta: &Meta) -> [(&'static str, &String); 13] {
    [
        ("command", &meta.command),
        ("requester", &meta.requester),
        ("cluster", &meta.cluster),
        ("context", &meta.context),
        ("namespace", &meta.namespace),
        ("release", &meta.release),
        ("chart", &meta.chart),
        ("principal", &meta.principal),
        ("workspace", &meta.workspace),
        ("agent", &meta.agent),
        ("repo_remote", &meta.repository.remote),
        ("repo_commit", &meta.repository.commit),
        ("repo_branch", &meta.repository.branch),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_read_back_as_it_was_written() {
        let token = PageToken { last_seen: Timestamp(42), id: SessionId::parse("a:b@c").unwrap() };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(token.to_string().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        for bad in ["", "x", "42:a", &"A".repeat(1000), &BASE64_URL_SAFE_NO_PAD.encode("42"), "!"] {
            let refused = bad.parse::<PageToken>().unwrap_err().to_string();
            assert!(refused.contains("list again") && refused.len() < 200, "{refused}");
        }
    }
}
