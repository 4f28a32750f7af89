//! What retention would take, read and not written.
//!
//! Each limit is one query along an index in the order in which sessions go, so that it ends when it has enough.

use std::{collections::HashSet, time::Duration};

use rusqlite::{Connection, params_from_iter, types::Value};

use super::{
    StoreError,
    errors::fail,
    rows::{self, Stored, signed},
};
use crate::{
    session::{Seq, SessionId, Status, Timestamp},
    store::{Condemned, Keep, MAX_PRUNE, Pruned, Reason, Retention, Rule, Trimmed},
};

/// A session without frames still takes this much: its row, its tags, its entries in indexes.
const ROW: u64 = 1024;

/// Everything that may go: finished, held by nothing, and sound. One value is bound, the moment.
const FREE: &str = "status <> 1 AND NOT (pin_at > 0 AND (pin_until = 0 OR pin_until > ?)) AND damage = ''";

/// What goes at this moment, at most [`MAX_PRUNE`] sessions.
pub(super) fn plan(tx: &Connection, keep: &Retention) -> Result<Pruned, StoreError> {
    let mut plan = Plan { tx, now: Timestamp::now(), taken: HashSet::new(), pruned: Pruned::default() };
    plan.rules(&keep.rules)?;
    if let Some(age) = keep.max_age {
        let (part, values) = none_of(&keep.rules);
        plan.older(age, &part, values, &Reason::Age(age))?;
    }
    if let Some(most) = keep.max_sessions {
        plan.count(most)?;
    }
    if let Some(most) = keep.max_bytes {
        plan.bytes(most)?;
    }
    let mut pruned = plan.pruned;
    pruned.more = pruned.condemned.len() >= MAX_PRUNE;
    pruned.freed = pruned.condemned.iter().map(|condemned| condemned.bytes).sum();
    if let Some(most) = keep.max_frames {
        pruned.trimmed = trimmed(tx, most)?;
        let goes: HashSet<&SessionId> = pruned.condemned.iter().map(|it| &it.session.id).collect();
        pruned.trimmed.retain(|trimmed| !goes.contains(&trimmed.id));
    }
    Ok(pruned)
}

struct Plan<'tx> {
    tx: &'tx Connection,
    now: Timestamp,
    taken: HashSet<i64>,
    pruned: Pruned,
}

impl Plan<'_> {
    fn rules(&mut self, rules: &[Rule]) -> Result<(), StoreError> {
        for (at, rule) in rules.iter().enumerate() {
            let Keep::For(age) = rule.keep else { continue };
            let (own, own_values) = matches(rule);
            let (earlier, earlier_values) = none_of(&rules[..at]);
            let reason = Reason::Rule { number: at + 1, age };
            let values = [own_values, earlier_values].concat();
            self.older(age, &format!("{own} AND {earlier}"), values, &reason)?;
        }
        Ok(())
    }

    fn older(
        &mut self,
        age: Duration,
        part: &str,
        values: Vec<Value>,
        reason: &Reason,
    ) -> Result<(), StoreError> {
        let before = self.now.earlier(age).0;
        let values = [vec![before.into()], values].concat();
        self.take(&format!("completed < ? AND {part}"), values, reason, |_| true)
    }

    fn count(&mut self, most: u64) -> Result<(), StoreError> {
        let all = one(self.tx, "SELECT count(*) FROM sessions")?;
        let mut over = all.saturating_sub(self.taken.len() as u64).saturating_sub(most);
        if over == 0 {
            return Ok(());
        }
        self.take("1", Vec::new(), &Reason::Count(most), |_| {
            over -= 1;
            over > 0
        })
    }

    /// Compares what is in use with the limit: free pages and the log are given back without any session going. Each
    /// session is put down for its share of the file.
    fn bytes(&mut self, most: u64) -> Result<(), StoreError> {
        let free = one(self.tx, "PRAGMA freelist_count")?;
        let page = one(self.tx, "PRAGMA page_size")?;
        let used = (one(self.tx, "PRAGMA page_count")? - free) * page;
        if used <= most {
            return Ok(());
        }
        let known = one(self.tx, &format!("SELECT ifnull(sum(bytes + {ROW}), 0) FROM sessions"))?.max(1);
        // An empty file has a page for each table and index, which nothing gives back.
        let empty = one(self.tx, "SELECT count(*) FROM sqlite_schema")? * page;
        let spread = u128::from(used.saturating_sub(empty));
        let share = move |bytes: u64| u128::from(bytes + ROW) * spread / u128::from(known);
        let gone: u128 = self.pruned.condemned.iter().map(|condemned| share(condemned.bytes)).sum();
        let mut over = u128::from(used - most).saturating_sub(gone);
        if over == 0 {
            return Ok(());
        }
        self.take("1", Vec::new(), &Reason::Bytes(most), |bytes| {
            over = over.saturating_sub(share(bytes));
            over > 0
        })
    }

    /// Takes sessions that match, the oldest end first, as long as `more` wants after each, by its bytes.
    fn take(
        &mut self,
        part: &str,
        values: Vec<Value>,
        reason: &Reason,
        mut more: impl FnMut(u64) -> bool,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {} FROM sessions INDEXED BY sessions_finished WHERE {FREE} AND {part} ORDER BY completed, key",
            rows::SESSION
        );
        let bound = [vec![self.now.0.into()], values].concat();
        let mut statement = self.tx.prepare_cached(&sql).map_err(fail)?;
        let mut found = statement.query(params_from_iter(bound)).map_err(fail)?;
        while self.pruned.condemned.len() < MAX_PRUNE {
            let Some(row) = found.next().map_err(fail)? else { break };
            let Stored { key, mut session } = rows::session(row)?;
            if !self.taken.insert(key) {
                continue;
            }
            session.tags = rows::tags(self.tx, key)?;
            let bytes = session.bytes;
            self.pruned.condemned.push(Condemned { session, reason: reason.clone(), bytes });
            if !more(bytes) {
                break;
            }
        }
        Ok(())
    }
}

fn one(tx: &Connection, sql: &str) -> Result<u64, StoreError> {
    let mut statement = tx.prepare_cached(sql).map_err(fail)?;
    statement.query_row([], |row| Ok(rows::unsigned(row, 0))).map_err(fail)?
}

/// The condition that a rule speaks of a session.
fn matches(rule: &Rule) -> (String, Vec<Value>) {
    let (mut parts, mut values) = (vec!["1".to_owned()], Vec::new());
    for (key, value) in &rule.tags {
        let has = "EXISTS (SELECT 1 FROM tags WHERE tags.session = sessions.key AND tags.key = ?";
        values.push(key.clone().into());
        if value.is_empty() {
            parts.push(format!("{has})"));
        } else {
            parts.push(format!("{has} AND tags.value = ?)"));
            values.push(value.clone().into());
        }
    }
    if !rule.status.is_empty() {
        let numbers: Vec<String> =
            rule.status.iter().map(|status: &Status| rows::status_number(*status).to_string()).collect();
        parts.push(format!("status IN ({})", numbers.join(", ")));
    }
    (format!("({})", parts.join(" AND ")), values)
}

fn none_of(rules: &[Rule]) -> (String, Vec<Value>) {
    let (parts, values): (Vec<_>, Vec<_>) = rules.iter().map(matches).unzip();
    (format!("NOT ({})", [vec!["0".to_owned()], parts].concat().join(" OR ")), values.concat())
}

/// Sessions with more frames than they may have, running or not. A pinned one keeps its frames.
fn trimmed(tx: &Connection, most: u64) -> Result<Vec<Trimmed>, StoreError> {
    let sql = format!(
        "SELECT id, first, head FROM sessions WHERE head - first + 1 > ? AND damage = ''
           AND NOT (pin_at > 0 AND (pin_until = 0 OR pin_until > ?)) LIMIT {MAX_PRUNE}"
    );
    let mut statement = tx.prepare_cached(&sql).map_err(fail)?;
    let bound = [signed(most), Timestamp::now().0];
    let mut found = statement.query(bound).map_err(fail)?;
    let mut trimmed = Vec::new();
    while let Some(row) = found.next().map_err(fail)? {
        let id: String = row.get(0).map_err(fail)?;
        let head = rows::unsigned(row, 2)?;
        let from = Seq(rows::unsigned(row, 1)?);
        let damaged = |error: crate::session::InvalidId| StoreError::Damaged {
            store: "a session".into(),
            why: error.to_string(),
        };
        let id = SessionId::parse(&id).map_err(damaged)?;
        trimmed.push(Trimmed { id, from, to: Seq(head - most) });
    }
    Ok(trimmed)
}
