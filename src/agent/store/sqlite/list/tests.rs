//! Which indexes lists go along, as SQLite itself says.

use rusqlite::params_from_iter;

use super::*;
use crate::{
    session::{SessionId, Tags},
    store::sqlite::files,
};

/// The plan of every statement of a query, a line each.
fn plan(query: &SessionQuery) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = files::open(&folder.path().join("sessions.db")).unwrap();
    let mut lines = Vec::new();
    for listing in statements(query) {
        let mut statement = file.prepare(&format!("EXPLAIN QUERY PLAN {}", listing.sql(201))).unwrap();
        let found = statement.query_map(params_from_iter(listing.bound()), |row| row.get(3)).unwrap();
        lines.extend(found.collect::<Result<Vec<String>, _>>().unwrap());
    }
    lines.join("\n")
}

fn about(meta: Meta) -> SessionQuery {
    SessionQuery { meta, ..SessionQuery::default() }
}

fn tagged() -> SessionQuery {
    SessionQuery { tags: Tags::from([("team".into(), "shop".into())]), ..SessionQuery::default() }
}

/// A page that has to read everything first says so: it sorts with "USE TEMP B-TREE FOR ORDER BY". Sorting "THE LAST
/// TERM" is only the ids of one moment.
#[test]
fn every_common_list_goes_along_an_index_and_stops_when_its_page_is_full() {
    let after = Some(PageToken { last_seen: Timestamp(9), id: SessionId::mint() });
    let release = || about(Meta { release: "web".into(), ..Meta::default() });
    let namespace = || about(Meta { namespace: "shop".into(), ..Meta::default() });
    let status = |status: &[Status]| SessionQuery { status: status.to_vec(), ..SessionQuery::default() };
    let recent = TimeRange { from: Timestamp(5), to: Timestamp(9) };
    for (name, query, index) in [
        ("all", SessionQuery::default(), "SCAN sessions USING INDEX sessions_by_last_seen"),
        (
            "page 2",
            SessionQuery { after: after.clone(), ..SessionQuery::default() },
            "sessions_by_last_seen (last_seen<?)",
        ),
        (
            "recent",
            SessionQuery { last_seen: recent, ..SessionQuery::default() },
            "sessions_by_last_seen (last_seen>? AND last_seen<?)",
        ),
        ("release", release(), "sessions_by_release (release=?)"),
        (
            "release, page 2",
            SessionQuery { after: after.clone(), ..release() },
            "sessions_by_release (release=? AND last_seen<?)",
        ),
        ("namespace", namespace(), "sessions_by_namespace (namespace=?)"),
        (
            "workspace",
            about(Meta { workspace: "w".into(), ..Meta::default() }),
            "sessions_by_workspace (workspace=?)",
        ),
        ("status", status(&[Status::Running]), "sessions_by_status (status=?)"),
        ("statuses", status(&[Status::Error, Status::Lost]), "sessions_by_status (status=?)"),
        (
            "status, page 2",
            SessionQuery { after: after.clone(), ..status(&[Status::Error]) },
            "sessions_by_status (status=? AND last_seen<?)",
        ),
        ("tag", tagged(), "tags_by_value (key=? AND value=?)"),
        (
            "tag, page 2",
            SessionQuery { after, ..tagged() },
            "tags_by_value (key=? AND value=? AND last_seen<?)",
        ),
        ("pinned", SessionQuery { pinned: Some(true), ..SessionQuery::default() }, "sessions_pinned"),
    ] {
        let plan = plan(&query);
        assert!(plan.contains(index), "{name}: {plan}");
        assert!(!plan.contains("TEMP B-TREE FOR ORDER BY"), "{name}: {plan}");
        assert!(
            !plan.lines().any(|line| line.starts_with("SCAN sessions") && name != "all" && name != "pinned"),
            "{name}: {plan}"
        );
    }
}

#[test]
fn a_tag_leads_to_its_sessions_by_their_key() {
    let plan = plan(&tagged());
    assert!(plan.contains("SEARCH sessions USING INTEGER PRIMARY KEY (rowid=?)"), "{plan}");
}
