//! What only a server can get wrong: formats, foreign databases, settings.

use ktl_fixtures::postgres::Postgres;

use super::*;
use crate::{
    session::{Owner, Seq, Status},
    store::contract::{append, new},
};

async fn open(url: &str, agent: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(&url.parse().unwrap(), agent).await
}

#[tokio::test]
async fn a_write_that_fails_spoils_no_other_of_its_group() {
    let Some(server) = Postgres::shared() else { return };
    let store = open(&server.database(), "a").await.unwrap();
    let id = SessionId::mint();
    store.create(new(&id, Owner::Agent)).await.unwrap();
    let good = append(&id, None, &["good"]);
    let bad = append(&id, Some(9), &["hole"]);
    let stranger = append(&SessionId::mint(), None, &["nobody"]);
    let nul = Meta { chart: "a\0b".into(), ..Meta::default() };
    let masker = crate::mask::Masker::new([]);
    let (first, hole, nobody, nul, second) = tokio::join!(
        store.append(good.clone()),
        store.append(bad),
        store.append(stranger),
        store.annotate(&id, masker.mask(nul), masker.mask(Tags::new())),
        store.append(good)
    );
    assert_eq!((first.unwrap().first, second.unwrap().first), (Seq(1), Seq(2)));
    assert!(matches!(hole, Err(StoreError::ProducerGap { .. })));
    assert!(matches!(nobody, Err(StoreError::NotFound(_))));
    assert!(matches!(nul, Err(StoreError::Invalid(_))), "{nul:?}");
}

#[tokio::test]
async fn a_store_is_what_it_was_when_it_is_opened_again() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    let store = open(&url, "a").await.unwrap();
    let id = SessionId::mint();
    store.create(new(&id, Owner::Agent)).await.unwrap();
    store.append(append(&id, Some(1), &["a"])).await.unwrap();
    let before = store.session(&id).await.unwrap();
    store.close().await.unwrap();
    let store = open(&url, "a").await.unwrap();
    assert_eq!(store.session(&id).await.unwrap(), before);
    assert_eq!(store.append(append(&id, Some(2), &["b"])).await.unwrap().first, Seq(2));
}

#[tokio::test]
async fn agents_that_start_together_on_an_empty_database_make_its_tables_once() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    let opened = futures::future::join_all((0..4).map(|n| {
        let url = url.clone();
        async move { open(&url, &format!("agent-{n}")).await.map(|_| ()) }
    }));
    for opened in opened.await {
        opened.unwrap();
    }
    let format: usize = server.sql(&url, "SELECT format FROM ktl_store").parse().unwrap();
    assert_eq!(format, schema::MIGRATIONS.len());
}

#[tokio::test]
async fn the_tables_of_a_newer_agent_are_refused() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    open(&url, "a").await.unwrap().close().await.unwrap();
    server.sql(&url, "UPDATE ktl_store SET format = 99");
    let refused = open(&url, "a").await.err().unwrap().to_string();
    assert!(refused.contains("has format 99, this agent knows up to "), "{refused}");
}

#[tokio::test]
async fn a_database_of_somebody_else_is_refused_untouched() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    server.sql(&url, "CREATE TABLE invoices (id TEXT)");
    let refused = open(&url, "a").await.err().unwrap().to_string();
    assert!(refused.contains("name an empty database with --store"), "{refused}");
    assert_eq!(server.sql(&url, "SELECT string_agg(relname, ' ') FROM pg_stat_user_tables"), "invoices");
}

#[tokio::test]
async fn what_cannot_be_reached_is_refused_without_the_password() {
    let url: PostgresUrl = "postgres://ann:s3cret@127.0.0.1:1/ktl".parse().unwrap();
    let refused = PostgresStore::open(&url, "a").await.err().unwrap();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
}

/// A server may be told to answer a commit before it is on its disk; for us it may not.
#[tokio::test]
async fn commits_are_on_the_disk_whatever_the_database_says() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    server.sql(&url, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$");
    let link = Link::open(&url.parse().unwrap()).await.unwrap();
    let set: String = link.one("SHOW synchronous_commit", &[]).await.unwrap().get(0);
    assert_eq!(set, "on");
}

const TERM: Duration = Duration::from_millis(900);

async fn with_short_lease(url: &str, agent: &str) -> PostgresStore {
    PostgresStore::with_lease(&url.parse().unwrap(), agent, TERM).await.unwrap()
}

async fn lost(store: &PostgresStore, id: &SessionId) -> Session {
    let waiting = async {
        loop {
            let session = store.session(id).await.unwrap().unwrap();
            if session.status == Status::Lost {
                return session;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it was not given up")
}

/// It may have slept, and wake up in the middle of a write.
#[tokio::test]
async fn an_agent_that_was_taken_for_dead_writes_nothing_more_of_what_it_ran() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    let (sleeper, other) = (with_short_lease(&url, "a").await, with_short_lease(&url, "b").await);
    let (ran, own) = (SessionId::mint(), SessionId::mint());
    sleeper.create(new(&ran, Owner::Agent)).await.unwrap();
    sleeper.append(append(&ran, None, &["one"])).await.unwrap();
    other.create(new(&own, Owner::Agent)).await.unwrap();
    let foreign = other.append(append(&ran, None, &["not mine"])).await;
    assert!(matches!(foreign, Err(StoreError::Busy(_))), "{foreign:?}");
    sleeper.stop.cancel();
    assert_eq!(lost(&other, &ran).await.message, "lost after sequence 1");
    let late = sleeper.append(append(&ran, None, &["late"])).await;
    assert!(matches!(&late, Err(StoreError::Busy(why)) if why.contains("given up")), "{late:?}");
    let session = other.session(&ran).await.unwrap().unwrap();
    assert_eq!((session.status, session.head), (Status::Lost, Seq(1)));
    // It goes on under a new token with what comes next; and nobody else was taken for dead.
    sleeper.create(new(&SessionId::mint(), Owner::Agent)).await.unwrap();
    assert_eq!(other.session(&own).await.unwrap().unwrap().status, Status::Running);
}

#[tokio::test]
async fn the_next_start_of_an_agent_goes_on_with_what_it_ran_and_the_one_before_it_is_shut_out() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.database();
    let before = open(&url, "a").await.unwrap();
    let other = open(&url, "b").await.unwrap();
    let id = SessionId::mint();
    before.create(new(&id, Owner::Agent)).await.unwrap();
    before.append(append(&id, None, &["one"])).await.unwrap();
    before.stop.cancel();
    let after = open(&url, "a").await.unwrap();
    let held = SessionQuery { held: true, ..SessionQuery::default() };
    assert_eq!(after.list(held.clone()).await.unwrap().sessions.len(), 1);
    assert!(other.list(held).await.unwrap().sessions.is_empty(), "it would adopt what another one runs");
    assert_eq!(after.append(append(&id, None, &["two"])).await.unwrap().first, Seq(2));
}

#[tokio::test]
async fn where_tls_is_asked_for_the_server_is_verified() {
    let Some(server) = Postgres::start() else { return };
    server.sql("postgres", "CREATE DATABASE tls");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    server.secure(port, &own.cert.pem(), &own.signing_key.serialize_pem());
    let root = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(root.path(), own.cert.pem()).unwrap();
    let open = async |settings: String| {
        let url = format!("postgres://postgres@localhost:{port}/tls?{settings}");
        let link = Link::open(&url.parse().unwrap()).await?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok::<bool, StoreError>(link.one(sql, &[]).await?.get(0))
    };
    let known = format!("sslmode=verify-full&sslrootcert={}", root.path().display());
    assert!(open(known).await.unwrap(), "it is not encrypted");
    assert!(!open("sslmode=disable".into()).await.unwrap());
    for mode in ["require", "prefer"] {
        let refused = open(format!("sslmode={mode}")).await.unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{mode}: {refused}");
    }
}
