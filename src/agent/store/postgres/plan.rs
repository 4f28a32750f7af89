//! What retention would take, read and not written.
//!
//! Each limit is one query along an index in the order in which sessions go, so that it ends when it has enough.

use std::{collections::HashSet, time::Duration};

use super::{
    StoreError,
    errors::damaged,
    link::Link,
    list::{Filter, has_tag, numbered},
    rows::{self, Stored, signed, unsigned},
};
use crate::{
    session::{Seq, SessionId, Timestamp},
    store::{Condemned, Keep, MAX_PRUNE, Pruned, Reason, Retention, Rule, Trimmed},
};

/// A session without frames still takes this much: its row, its tags, its entries in indexes.
const ROW: u64 = 1024;

/// Everything that may go: finished, held by nothing, and sound. One value is bound, the moment.
const FREE: &str = "status <> 1 AND NOT (pin_at > 0 AND (pin_until = 0 OR pin_until > ?)) AND damage = ''";

/// What goes at this moment, at most [`MAX_PRUNE`] sessions.
pub(super) async fn plan(link: &Link, keep: &Retention) -> Result<Pruned, StoreError> {
    let mut plan = Plan { link, now: Timestamp::now(), taken: HashSet::new(), pruned: Pruned::default() };
    plan.rules(&keep.rules).await?;
    if let Some(age) = keep.max_age {
        let filter = plan.older(age, none_of(&keep.rules));
        plan.take(filter, &Reason::Age(age), |_| true).await?;
    }
    if let Some(most) = keep.max_sessions {
        plan.count(most).await?;
    }
    if let Some(most) = keep.max_bytes {
        plan.bytes(most).await?;
    }
    let mut pruned = plan.pruned;
    pruned.more = pruned.condemned.len() >= MAX_PRUNE;
    pruned.freed = pruned.condemned.iter().map(|condemned| condemned.bytes).sum();
    if let Some(most) = keep.max_frames {
        pruned.trimmed = trimmed(link, most).await?;
        let goes: HashSet<&SessionId> = pruned.condemned.iter().map(|it| &it.session.id).collect();
        pruned.trimmed.retain(|trimmed| !goes.contains(&trimmed.id));
    }
    Ok(pruned)
}

struct Plan<'link> {
    link: &'link Link,
    now: Timestamp,
    taken: HashSet<i64>,
    pruned: Pruned,
}

impl Plan<'_> {
    async fn rules(&mut self, rules: &[Rule]) -> Result<(), StoreError> {
        for (at, rule) in rules.iter().enumerate() {
            let Keep::For(age) = rule.keep else { continue };
            let mut filter = matches(rule);
            let earlier = none_of(&rules[..at]);
            filter.parts.extend(earlier.parts);
            filter.values.extend(earlier.values);
            let filter = self.older(age, filter);
            self.take(filter, &Reason::Rule { number: at + 1, age }, |_| true).await?;
        }
        Ok(())
    }

    fn older(&self, age: Duration, mut filter: Filter) -> Filter {
        filter.add("completed < ?", [Box::new(self.now.earlier(age).0)]);
        filter
    }

    async fn count(&mut self, most: u64) -> Result<(), StoreError> {
        let all = unsigned(self.link.one("SELECT count(*) FROM sessions", &[]).await?.get(0));
        let mut over = all.saturating_sub(self.taken.len() as u64).saturating_sub(most);
        if over == 0 {
            return Ok(());
        }
        let more = |_| {
            over -= 1;
            over > 0
        };
        self.take(Filter::default(), &Reason::Count(most), more).await
    }

    /// Counts what sessions take and not the files: those are PostgreSQL's, which uses what is free in them again.
    async fn bytes(&mut self, most: u64) -> Result<(), StoreError> {
        let sql = format!("SELECT coalesce(sum(bytes + {ROW}), 0)::bigint FROM sessions");
        let used = unsigned(self.link.one(&sql, &[]).await?.get(0));
        let gone: u64 = self.pruned.condemned.iter().map(|condemned| condemned.bytes + ROW).sum();
        let mut over = used.saturating_sub(gone).saturating_sub(most);
        if over == 0 {
            return Ok(());
        }
        let more = |bytes| {
            over = over.saturating_sub(bytes + ROW);
            over > 0
        };
        self.take(Filter::default(), &Reason::Bytes(most), more).await
    }

    /// Takes sessions that match, the oldest end first, as long as `more` wants after each, by its bytes.
    async fn take(
        &mut self,
        mut filter: Filter,
        reason: &Reason,
        mut more: impl FnMut(u64) -> bool,
    ) -> Result<(), StoreError> {
        filter.add(FREE, [Box::new(self.now.0)]);
        let sql = format!(
            "SELECT {} FROM sessions WHERE {} ORDER BY completed, sessions.key LIMIT {MAX_PRUNE}",
            rows::SESSION,
            filter.sql()
        );
        // What was taken for another reason is in the answer once more, but there are never more than a prune takes.
        for row in self.link.rows(&sql, &filter.bound()).await? {
            if self.pruned.condemned.len() >= MAX_PRUNE {
                break;
            }
            let Stored { key, session, .. } = rows::session(&row)?;
            if !self.taken.insert(key) {
                continue;
            }
            let bytes = session.bytes;
            self.pruned.condemned.push(Condemned { session, reason: reason.clone(), bytes });
            if !more(bytes) {
                break;
            }
        }
        Ok(())
    }
}

/// The condition that a rule speaks of a session.
fn matches(rule: &Rule) -> Filter {
    let mut filter = Filter::default();
    rule.tags.iter().for_each(|(key, value)| has_tag(&mut filter, key, value));
    if !rule.status.is_empty() {
        let numbers: Vec<i16> = rule.status.iter().map(|status| rows::status_number(*status)).collect();
        filter.add("status = ANY (?)", [Box::new(numbers)]);
    }
    filter
}

fn none_of(rules: &[Rule]) -> Filter {
    let mut none = Filter::default();
    for rule in rules {
        let Filter { parts, values } = matches(rule);
        let part = if parts.is_empty() { "TRUE".to_owned() } else { parts.join(" AND ") };
        none.parts.push(format!("NOT ({part})"));
        none.values.extend(values);
    }
    none
}

/// Sessions with more frames than they may have, running or not. A pinned one keeps its frames.
async fn trimmed(link: &Link, most: u64) -> Result<Vec<Trimmed>, StoreError> {
    let sql = numbered(&format!(
        "SELECT id, first, head FROM sessions WHERE head - first + 1 > ? AND damage = ''
           AND NOT (pin_at > 0 AND (pin_until = 0 OR pin_until > ?)) LIMIT {MAX_PRUNE}"
    ));
    let found = link.rows(&sql, &[&signed(most), &Timestamp::now().0]).await?;
    let read = found.iter().map(|row| {
        let id = SessionId::parse(row.get(0)).map_err(|error| damaged("a session", error))?;
        let (from, head) = (Seq(unsigned(row.get(1))), unsigned(row.get(2)));
        Ok(Trimmed { id, from, to: Seq(head - most) })
    });
    read.collect()
}
