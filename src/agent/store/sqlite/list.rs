//! Listing: filters to SQL, in the order of an index that has it.
//!
//! A page is read by going along one index in the order of lists, so that it ends when it is full. Which one is said
//! here and not left to the planner, which knows nothing of how sessions are spread.

use rusqlite::{Connection, params_from_iter, types::Value};

use super::{
    StoreError,
    errors::fail,
    rows::{self, Stored},
};
use crate::{
    session::{Meta, Session, Status, Timestamp},
    store::{PageToken, SessionPage, SessionQuery, TimeRange, query::text_columns},
};

/// Names that a free text is looked for in.
const NAMES: &str = "id || char(10) || command || char(10) || requester || char(10) || cluster || char(10) || \
     context || char(10) || namespace || char(10) || release || char(10) || chart";

/// What holds a session at the moment that is bound.
const PINNED: &str = "(pin_at > 0 AND (pin_until = 0 OR pin_until > ?))";

pub(super) fn list(tx: &Connection, query: &SessionQuery) -> Result<SessionPage, StoreError> {
    let size = query.page_size();
    let mut sessions = Vec::new();
    for statement in statements(query) {
        sessions.extend(statement.run(tx, size + 1)?);
    }
    // Each statement had its own states, in order; together they have to be ordered again.
    sessions.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.id.cmp(&b.id)));
    let more = sessions.len() > size;
    sessions.truncate(size);
    let next = sessions.last().filter(|_| more).map(PageToken::behind);
    Ok(SessionPage { sessions, next })
}

/// One statement for most queries; one for each state where the states are all there is to go by.
fn statements(query: &SessionQuery) -> Vec<Listing> {
    let mut all = Listing::of(query);
    if all.source != Source::Seen || query.status.is_empty() {
        all.one_of(&query.status);
        return vec![all];
    }
    let mut states = query.status.clone();
    states.sort_unstable();
    states.dedup();
    let by_status = |status| {
        let mut listing = Listing { source: Source::Index("sessions_by_status"), ..all.clone() };
        listing.add("status = ?", [rows::status_number(status).into()]);
        listing
    };
    states.into_iter().map(by_status).collect()
}

/// What a statement goes along.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// All sessions.
    Seen,
    /// Those with an equal field.
    Index(&'static str),
    /// Those with a tag.
    Tag(String, String),
}

/// A statement that is being put together.
#[derive(Clone, Debug)]
struct Listing {
    source: Source,
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Listing {
    fn of(query: &SessionQuery) -> Self {
        let mut listing = Self { source: source(query), parts: Vec::new(), values: Vec::new() };
        listing.meta(&query.meta, query.loose);
        listing.tags(query);
        listing.range("last_seen", query.last_seen);
        listing.range("created", query.created);
        listing.range("completed", query.completed);
        if let Some(owner) = query.owner {
            listing.add("owner = ?", [rows::owner_number(owner).into()]);
        }
        if !query.text.is_empty() {
            listing.add(format!("instr(lower({NAMES}), lower(?)) > 0"), [query.text.clone().into()]);
        }
        if let Some(pinned) = query.pinned {
            // The first half is what the partial index promises.
            let part = if pinned { format!("pin_at > 0 AND {PINNED}") } else { format!("NOT {PINNED}") };
            listing.add(part, [Timestamp::now().0.into()]);
        }
        if let Some(after) = &query.after {
            let (seen, id) = (Value::from(after.last_seen.0), Value::from(after.id.to_string()));
            listing.add(format!("{} <= ?", listing.seen()), [seen.clone()]);
            listing.add(format!("({} < ? OR id > ?)", listing.seen()), [seen, id]);
        }
        listing
    }

    fn add<const N: usize>(&mut self, part: impl Into<String>, values: [Value; N]) {
        self.parts.push(part.into());
        self.values.extend(values);
    }

    /// The column that has the order of the list in what the statement goes along.
    fn seen(&self) -> &'static str {
        if matches!(self.source, Source::Tag(..)) { "seen" } else { "last_seen" }
    }

    fn meta(&mut self, meta: &Meta, loose: bool) {
        for (column, wanted) in text_columns(meta).into_iter().filter(|(_, wanted)| !wanted.is_empty()) {
            let part = match (loose, column) {
                (true, "command") => "instr(lower(command), lower(?)) > 0".to_owned(),
                (true, _) => format!("lower({column}) = lower(?)"),
                (false, _) => format!("{column} = ?"),
            };
            self.add(part, [wanted.clone().into()]);
        }
        if meta.repository.dirty {
            self.add("repo_dirty = 1", []);
        }
        for (at, arg) in meta.args.iter().enumerate() {
            self.add(format!("json_extract(args, '$[{at}]') = ?"), [arg.clone().into()]);
        }
        for (part, version) in &meta.versions {
            let has = "EXISTS (SELECT 1 FROM json_each(versions) AS v WHERE v.key = ? AND v.value = ?)";
            self.add(has, [part.clone().into(), version.clone().into()]);
        }
    }

    fn tags(&mut self, query: &SessionQuery) {
        for (key, value) in &query.tags {
            if matches!(&self.source, Source::Tag(first, _) if first == key) {
                continue;
            }
            let has = "EXISTS (SELECT 1 FROM tags WHERE tags.session = sessions.key AND tags.key = ?";
            if value.is_empty() {
                self.add(format!("{has})"), [key.clone().into()]);
            } else {
                self.add(format!("{has} AND tags.value = ?)"), [key.clone().into(), value.clone().into()]);
            }
        }
    }

    fn range(&mut self, column: &str, range: TimeRange) {
        let column = if column == "last_seen" { self.seen() } else { column };
        if range.from.0 > 0 || (range.to.0 > 0 && column == "completed") {
            self.add(format!("{column} >= ?"), [range.from.0.max(1).into()]);
        }
        if range.to.0 > 0 {
            self.add(format!("{column} <= ?"), [range.to.0.into()]);
        }
    }

    fn one_of(&mut self, states: &[Status]) {
        if !states.is_empty() {
            let numbers: Vec<String> =
                states.iter().map(|status| rows::status_number(*status).to_string()).collect();
            self.add(format!("status IN ({})", numbers.join(", ")), []);
        }
    }

    fn sql(&self, limit: usize) -> String {
        let from = match &self.source {
            Source::Seen => "sessions INDEXED BY sessions_by_last_seen".to_owned(),
            Source::Index(name) => format!("sessions INDEXED BY {name}"),
            Source::Tag(..) => "(SELECT session, last_seen AS seen FROM tags INDEXED BY tags_by_value
                 WHERE tags.key = ? AND tags.value = ?) CROSS JOIN sessions ON sessions.key = session"
                .to_owned(),
        };
        let filter = if self.parts.is_empty() { "1".to_owned() } else { self.parts.join(" AND ") };
        let (columns, seen) = (rows::SESSION, self.seen());
        format!("SELECT {columns} FROM {from} WHERE {filter} ORDER BY {seen} DESC, id LIMIT {limit}")
    }

    fn bound(&self) -> Vec<Value> {
        let tag = match &self.source {
            Source::Tag(key, value) => vec![key.clone().into(), value.clone().into()],
            _ => Vec::new(),
        };
        [tag, self.values.clone()].concat()
    }

    fn run(&self, tx: &Connection, limit: usize) -> Result<Vec<Session>, StoreError> {
        let mut statement = tx.prepare_cached(&self.sql(limit)).map_err(fail)?;
        let found = statement
            .query_map(params_from_iter(self.bound()), |row| Ok(rows::session(row)))
            .map_err(fail)?;
        let mut sessions = Vec::new();
        for row in found {
            let Stored { key, mut session } = row.map_err(fail)??;
            session.tags = rows::tags(tx, key)?;
            sessions.push(session);
        }
        Ok(sessions)
    }
}

/// The index that leaves the least to look at, as far as names can tell: a tag is about a few sessions, a pin too, and
/// a namespace has several releases. Loose filters have none.
fn source(query: &SessionQuery) -> Source {
    if let Some((key, value)) = query.tags.iter().find(|(_, value)| !value.is_empty()) {
        return Source::Tag(key.clone(), value.clone());
    }
    if query.pinned == Some(true) {
        return Source::Index("sessions_pinned");
    }
    let fields = [
        (&query.meta.release, "sessions_by_release"),
        (&query.meta.workspace, "sessions_by_workspace"),
        (&query.meta.namespace, "sessions_by_namespace"),
    ];
    let equal = fields.into_iter().find(|(wanted, _)| !query.loose && !wanted.is_empty());
    equal.map_or(Source::Seen, |(_, index)| Source::Index(index))
}

#[cfg(test)]
mod tests;
