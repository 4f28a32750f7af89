//! What is kept, what goes, and what is remembered of what went.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    duration,
    session::{Epoch, Seq, Session, SessionId, Status, Tags, Timestamp},
};

/// What may stay: finished sessions beyond any of these go, the oldest end first. Running, pinned and damaged ones
/// never go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Sessions altogether.
    pub max_sessions: Option<u64>,
    /// Bytes on the disk, with what is still in the log of the database.
    pub max_bytes: Option<u64>,
    /// Time since the end, for a session that no rule speaks of.
    pub max_age: Option<Duration>,
    /// Frames of one session, running or not; its oldest go. Pinned sessions keep theirs.
    pub max_frames: Option<u64>,
    /// Times since the end for some sessions: the first rule that matches counts.
    pub rules: Vec<Rule>,
}

/// How long some sessions stay. A count and a size hold for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// All must be there; an empty value asks for the key alone.
    pub tags: Tags,
    /// One of these; empty for any.
    pub status: Vec<Status>,
    /// How long.
    pub keep: Keep,
}

/// How long a session stays after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// No age takes it.
    Forever,
    /// So long.
    For(Duration),
}

/// Why a text is not a rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; expected keep=90d or keep=forever with status=error or tag.KEY=VALUE, such as keep=1d,tag.ci=true"
)]
pub struct InvalidRule(String);

impl FromStr for Rule {
    type Err = InvalidRule;

    /// Reads `keep=90d,status=error,status=lost,tag.team=shop`.
    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let (mut tags, mut status, mut keep) = (Tags::new(), Vec::new(), None);
        for part in text.split(',') {
            let (key, value) =
                part.split_once('=').ok_or_else(|| InvalidRule(format!("{part:?} is no key=value")))?;
            match key.trim() {
                "keep" if value == "forever" => keep = Some(Keep::Forever),
                "keep" => {
                    let age = duration::parse(value);
                    let no_time = || InvalidRule(format!("keep={value} is no time"));
                    keep = Some(Keep::For(age.ok_or_else(no_time)?));
                }
                "status" => {
                    let found = Status::ALL.into_iter().find(|it| it.word() == value && it.is_terminal());
                    let none = || InvalidRule(format!("no finished session has status {value:?}"));
                    status.push(found.ok_or_else(none)?);
                }
                other => match other.strip_prefix("tag.") {
                    Some(tag) if !tag.is_empty() => {
                        tags.insert(tag.to_owned(), value.to_owned());
                    }
                    _ => return Err(InvalidRule(format!("{other:?} is no part of a rule"))),
                },
            }
        }
        let keep = keep.ok_or_else(|| InvalidRule("it does not say how long".into()))?;
        Ok(Self { tags, status, keep })
    }
}

/// Which limit takes a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The limit of age.
    Age(Duration),
    /// The age of a rule.
    Rule {
        /// Its place, from 1.
        number: usize,
        /// Its age.
        age: Duration,
    },
    /// The limit of sessions.
    Count(u64),
    /// The limit of bytes.
    Bytes(u64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(age) => write!(f, "it ended more than {} ago", duration::words(*age)),
            Self::Rule { number, age } => {
                write!(
                    f,
                    "it ended more than {} ago, which is all that rule {number} keeps",
                    duration::words(*age)
                )
            }
            Self::Count(most) => write!(f, "there are more than {most} sessions"),
            Self::Bytes(most) => write!(f, "the store is larger than {most} bytes"),
        }
    }
}

/// A session that retention takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condemned {
    /// As it was.
    pub session: Session,
    /// Which limit takes it.
    pub reason: Reason,
    /// What its frames and sources took.
    pub bytes: u64,
}

/// The oldest frames of a session, which retention takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The session.
    pub id: SessionId,
    /// The first that goes.
    pub from: Seq,
    /// The last that goes.
    pub to: Seq,
}

/// What a prune took, or would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Whole sessions, in the order in which they go.
    pub condemned: Vec<Condemned>,
    /// Frames of sessions that stay.
    pub trimmed: Vec<Trimmed>,
    /// What the condemned sessions took.
    pub freed: u64,
    /// There is more to take than one prune takes.
    pub more: bool,
}

impl Pruned {
    /// What a prune took after this one.
    pub(crate) fn add(&mut self, later: Self) {
        self.condemned.extend(later.condemned);
        self.trimmed.extend(later.trimmed);
        self.freed += later.freed;
        self.more = later.more;
    }
}

/// What is remembered of a session that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When it went.
    pub at: Timestamp,
    /// Its name.
    pub id: SessionId,
    /// Its history.
    pub epoch: Epoch,
    /// Its last frame.
    pub head: Seq,
    /// Its last state.
    pub status: Status,
    /// Who asked; "retention" when nobody did.
    pub principal: String,
    /// Why.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read() {
        let rule: Rule = "keep=90d,status=error,status=lost,tag.team=shop,tag.pr=".parse().unwrap();
        assert_eq!(rule.keep, Keep::For(Duration::from_hours(90 * 24)));
        assert_eq!(rule.status, [Status::Error, Status::Lost]);
        assert_eq!(rule.tags, Tags::from([("team".into(), "shop".into()), ("pr".into(), String::new())]));
        assert_eq!("keep=forever".parse::<Rule>().unwrap().keep, Keep::Forever);
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_reason() {
        for (text, word) in [
            ("", "no key=value"),
            ("status=error", "how long"),
            ("keep=soon", "keep=soon is no time"),
            ("keep=1d,status=running", "\"running\""),
            ("keep=1d,tag.=x", "\"tag.\""),
            ("keep=1d,release=web", "\"release\""),
        ] {
            let said = text.parse::<Rule>().unwrap_err().to_string();
            assert!(said.contains(word) && said.contains("keep=90d"), "{said}");
        }
    }
}
