//! Which indexes lists go along, as PostgreSQL itself says.

use ktl_fixtures::postgres::Postgres;

use super::*;
use crate::{
    session::{SessionId, Tags},
    store::postgres::PostgresStore,
};

fn about(meta: Meta) -> SessionQuery {
    SessionQuery { meta, ..SessionQuery::default() }
}

/// Sessions as a team has them, so that the server has something to choose by.
const MANY: &str = "INSERT INTO sessions (id, epoch, only_epoch, status, created, last_seen, completed, owner, holder, moved,
       mover, release, namespace, workspace, pin_at)
     SELECT 's' || n, 1, TRUE, CASE n % 50 WHEN 0 THEN 1 WHEN 1 THEN 5 ELSE 2 END, n, n, n, 1, 1, 1, 1, 'r' || n % 50,
       'n' || n % 50, 'w' || n % 50, CASE WHEN n % 50 = 0 THEN 1 ELSE 0 END FROM generate_series(1, 60000) AS n;
     INSERT INTO tags (session, key, value, last_seen) SELECT key, 'team', 't' || key % 50, last_seen FROM sessions;
     ANALYZE;";

/// A page that has to read everything first says so: it has a node `Sort`. An `Incremental Sort` sorts the ids of one
/// moment.
#[tokio::test]
async fn every_common_list_goes_along_an_index_and_stops_when_its_page_is_full() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    let store = PostgresStore::open(&url.parse().unwrap(), "a").await.unwrap();
    server.sql(&url, MANY);
    let link = Link::open(&url.parse().unwrap()).await.unwrap();
    let after = Some(PageToken { last_seen: Timestamp(45_000), id: SessionId::mint() });
    let release = || about(Meta { release: "r1".into(), ..Meta::default() });
    let status = |status: &[Status]| SessionQuery { status: status.to_vec(), ..SessionQuery::default() };
    let tagged =
        || SessionQuery { tags: Tags::from([("team".into(), "t1".into())]), ..SessionQuery::default() };
    let recent = TimeRange { from: Timestamp(5000), to: Timestamp(45_000) };
    for (name, query, index) in [
        ("all", SessionQuery::default(), "sessions_by_last_seen"),
        ("page 2", SessionQuery { after: after.clone(), ..SessionQuery::default() }, "sessions_by_last_seen"),
        ("recent", SessionQuery { last_seen: recent, ..SessionQuery::default() }, "sessions_by_last_seen"),
        ("release", release(), "sessions_by_release"),
        ("release, page 2", SessionQuery { after: after.clone(), ..release() }, "sessions_by_release"),
        ("namespace", about(Meta { namespace: "n1".into(), ..Meta::default() }), "sessions_by_namespace"),
        ("workspace", about(Meta { workspace: "w1".into(), ..Meta::default() }), "sessions_by_workspace"),
        ("running", status(&[Status::Running]), "sessions_by_status"),
        ("statuses", status(&[Status::Running, Status::Lost]), "sessions_by_status"),
        ("tag", tagged(), "tags_by_value"),
        ("tag, page 2", SessionQuery { after, ..tagged() }, "tags_by_value"),
        ("pinned", SessionQuery { pinned: Some(true), ..SessionQuery::default() }, "sessions_pinned"),
    ] {
        let mut plans = String::new();
        for listing in statements(&query, 1) {
            let sql = format!("EXPLAIN {}", listing.sql(201));
            for row in link.rows(&sql, &listing.filter.bound()).await.unwrap() {
                plans.push_str(row.get(0));
                plans.push('\n');
            }
        }
        assert!(plans.contains(index), "{name}: {plans}");
        for whole in ["  Sort  ", "->  Sort", "Seq Scan on sessions", "Seq Scan on tags"] {
            assert!(!plans.contains(whole), "{name}: {plans}");
        }
    }
    drop(store);
}
