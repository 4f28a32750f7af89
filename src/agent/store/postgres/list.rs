//! Listing: filters to SQL, in the order of an index that has it.
//!
//! Which index that is, the server decides; `list/tests.rs` holds it to those that end when a page is full.

use super::{
    PageToken, SessionPage, SessionQuery, StoreError, TimeRange,
    link::{Link, Value},
    rows,
};
use crate::session::{Meta, Session, Status, Timestamp};
use crate::store::query::text_columns;

/// A value that is bound.
pub(super) type Bound = Box<dyn tokio_postgres::types::ToSql + Sync + Send>;

/// Names that a free text is looked for in.
const NAMES: &str = "concat_ws(chr(10), id, command, requester, cluster, context, namespace, release, chart)";

/// What holds a session at the moment that is bound.
const PINNED: &str = "(pin_at > 0 AND (pin_until = 0 OR pin_until > ?))";

pub(super) async fn list(link: &Link, query: &SessionQuery, token: i64) -> Result<SessionPage, StoreError> {
    let size = query.page_size();
    let mut sessions = Vec::new();
    for listing in statements(query, token) {
        sessions.extend(listing.run(link, size + 1).await?);
    }
    // Each statement had its own states, in order; together they have to be ordered again.
    sessions.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.id.cmp(&b.id)));
    let more = sessions.len() > size;
    sessions.truncate(size);
    let next = sessions.last().filter(|_| more).map(PageToken::behind);
    Ok(SessionPage { sessions, next })
}

/// One statement for most queries; one for each state where there are several, so that each is in order.
fn statements(query: &SessionQuery, token: i64) -> Vec<Listing> {
    let mut states: Vec<Option<Status>> = query.status.iter().copied().map(Some).collect();
    states.sort_unstable();
    states.dedup();
    if states.is_empty() {
        states.push(None);
    }
    states.into_iter().map(|status| Listing::of(query, status, token)).collect()
}

/// A statement that is being put together.
pub(super) struct Listing {
    /// Goes along the tags first; its values are the first two.
    tagged: bool,
    filter: Filter,
}

/// Conditions and their values, numbered in the order in which they come.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) parts: Vec<String>,
    pub(super) values: Vec<Bound>,
}

impl Filter {
    /// Adds a condition; each `?` in it stands for one of the values.
    pub(super) fn add<const N: usize>(&mut self, part: &str, values: [Bound; N]) {
        self.parts.push(part.to_owned());
        self.values.extend(values);
    }

    /// All conditions together, with numbers for the values from 1.
    pub(super) fn sql(&self) -> String {
        numbered(&self.parts.join(" AND "))
    }

    pub(super) fn bound(&self) -> Vec<&Value<'_>> {
        self.values.iter().map(|value| &**value as &Value<'_>).collect()
    }
}

/// Replaces each `?` by `$1`, `$2` and so on. No statement of ours has one in a text.
pub(super) fn numbered(sql: &str) -> String {
    let mut pieces = sql.split('?');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    for (at, piece) in pieces.enumerate() {
        numbered = format!("{numbered}${}{piece}", at + 1);
    }
    numbered
}

impl Listing {
    fn of(query: &SessionQuery, status: Option<Status>, token: i64) -> Self {
        let tag = query.tags.iter().find(|(_, value)| !value.is_empty());
        let mut listing = Self { tagged: tag.is_some(), filter: Filter::default() };
        if let Some((key, value)) = tag {
            let values = [text(key), text(value), text(value)];
            // Behind CASE, the server does not take one likelihood for two and multiply them.
            let part = "tags.key = ? AND hashtextextended(tags.value, 0) = hashtextextended(?, 0)
                        AND CASE WHEN tags.value = ? THEN TRUE ELSE FALSE END";
            listing.filter.add(part, values);
        }
        listing.meta(&query.meta, query.loose);
        let others = query.tags.iter().filter(|(key, _)| tag.is_none_or(|(first, _)| first != *key));
        others.for_each(|(key, value)| has_tag(&mut listing.filter, key, value));
        listing.range("last_seen", query.last_seen);
        listing.range("created", query.created);
        listing.range("completed", query.completed);
        listing.who(query, token);
        if let Some(status) = status {
            listing.filter.add("status = ?", [Box::new(rows::status_number(status))]);
        }
        if let Some(after) = &query.after {
            let seen = listing.seen();
            let (at, id) = (after.last_seen.0, after.id.to_string());
            let part = format!("{seen} <= ? AND ({seen} < ? OR id > ?)");
            listing.filter.add(&part, [Box::new(at), Box::new(at), Box::new(id)]);
        }
        listing
    }

    fn who(&mut self, query: &SessionQuery, token: i64) {
        let filter = &mut self.filter;
        if let Some(owner) = query.owner {
            filter.add("owner = ?", [Box::new(rows::owner_number(owner))]);
        }
        if query.held {
            filter.add("holder = ?", [Box::new(token)]);
        }
        if !query.text.is_empty() {
            filter.add(&format!("strpos(lower({NAMES}), lower(?)) > 0"), [text(&query.text)]);
        }
        if let Some(pinned) = query.pinned {
            // The first half is what the partial index promises.
            let part = if pinned { format!("pin_at > 0 AND {PINNED}") } else { format!("NOT {PINNED}") };
            filter.add(&part, [Box::new(Timestamp::now().0)]);
        }
    }

    /// The column that has the order of the list in what the statement goes along.
    fn seen(&self) -> &'static str {
        if self.tagged { "tags.last_seen" } else { "sessions.last_seen" }
    }

    fn meta(&mut self, meta: &Meta, loose: bool) {
        for (column, wanted) in text_columns(meta).into_iter().filter(|(_, wanted)| !wanted.is_empty()) {
            let part = match (loose, column) {
                (true, "command") => "strpos(lower(command), lower(?)) > 0".to_owned(),
                (true, _) => format!("lower({column}) = lower(?)"),
                (false, _) => format!("{column} = ?"),
            };
            self.filter.add(&part, [text(wanted)]);
        }
        if meta.repository.dirty {
            self.filter.add("repo_dirty", []);
        }
        for (at, arg) in meta.args.iter().enumerate() {
            self.filter.add(&format!("args::json ->> {at} = ?"), [text(arg)]);
        }
        for (part, version) in &meta.versions {
            self.filter.add("versions::json ->> ? = ?", [text(part), text(version)]);
        }
    }

    fn range(&mut self, column: &str, range: TimeRange) {
        let column = if column == "last_seen" { self.seen() } else { column };
        if range.from.0 > 0 || (range.to.0 > 0 && column == "completed") {
            self.filter.add(&format!("{column} >= ?"), [Box::new(range.from.0.max(1))]);
        }
        if range.to.0 > 0 {
            self.filter.add(&format!("{column} <= ?"), [Box::new(range.to.0)]);
        }
    }

    fn sql(&self, limit: usize) -> String {
        let from = if self.tagged { "tags JOIN sessions ON sessions.key = tags.session" } else { "sessions" };
        let filter = if self.filter.parts.is_empty() { "TRUE".to_owned() } else { self.filter.sql() };
        // Along the tags the ids of one moment are not in order; that is the last thing sorted.
        let (columns, seen) = (rows::SESSION, self.seen());
        format!("SELECT {columns} FROM {from} WHERE {filter} ORDER BY {seen} DESC, id LIMIT {limit}")
    }

    async fn run(&self, link: &Link, limit: usize) -> Result<Vec<Session>, StoreError> {
        let found = link.rows(&self.sql(limit), &self.filter.bound()).await?;
        found.iter().map(|row| rows::session(row).map(|stored| stored.session)).collect()
    }
}

/// Adds the condition that a session has a tag; an empty value asks for the key alone.
pub(super) fn has_tag(filter: &mut Filter, key: &str, value: &str) {
    let has = "EXISTS (SELECT 1 FROM tags AS has WHERE has.session = sessions.key AND has.key = ?";
    if value.is_empty() {
        filter.add(&format!("{has})"), [text(key)]);
    } else {
        filter.add(&format!("{has} AND has.value = ?)"), [text(key), text(value)]);
    }
}

fn text(text: &str) -> Bound {
    Box::new(text.to_owned())
}

#[cfg(test)]
mod tests;
