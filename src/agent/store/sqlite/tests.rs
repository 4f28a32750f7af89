//! What only a store on a disk can get wrong: versions, damage, a full disk.

mod copied;
mod damaged;
mod modes;
mod packed;

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::{
    mask::Masker,
    session::{Owner, Seq, Status},
    store::{
        End,
        contract::{append, new, text},
    },
};

fn scratch() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    (folder, path)
}

async fn with_session(path: &Path) -> (SqliteStore, SessionId) {
    let store = SqliteStore::open(path).unwrap();
    let id = SessionId::mint();
    store.create(new(&id, Owner::Agent)).await.unwrap();
    (store, id)
}

fn refusal(path: &Path) -> String {
    SqliteStore::open(path).err().unwrap().to_string()
}

#[tokio::test]
async fn a_write_that_fails_spoils_no_other_of_its_group() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let good = append(&id, None, &["good"]);
    let bad = append(&id, Some(9), &["hole"]);
    let stranger = append(&SessionId::mint(), None, &["nobody"]);
    let (first, hole, nobody, second) = tokio::join!(
        store.append(good.clone()),
        store.append(bad),
        store.append(stranger),
        store.append(good)
    );
    assert_eq!((first.unwrap().first, second.unwrap().first), (Seq(1), Seq(2)));
    assert!(matches!(hole, Err(StoreError::ProducerGap { .. })));
    assert!(matches!(nobody, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_store_is_what_it_was_when_it_is_opened_again() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    store.append(append(&id, Some(1), &["a"])).await.unwrap();
    let before = store.session(&id).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.session(&id).await.unwrap(), before);
    assert_eq!(store.append(append(&id, Some(2), &["b"])).await.unwrap().first, Seq(2));
}

/// A file as the agent made it whose newest format was `version`, with one session in it.
fn old_file(version: usize) -> (TempDir, PathBuf) {
    let (folder, path) = scratch();
    let file = rusqlite::Connection::open(&path).unwrap();
    let steps = files::MIGRATIONS[..version].concat();
    file.execute_batch(&format!(
        "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; {steps}
         PRAGMA application_id={}; PRAGMA user_version={version};
         INSERT INTO sessions (key, id, epoch, only_epoch, head, status, created, last_seen, completed, owner, bytes,
           command, args, requester, cluster, context, namespace, release, chart, principal, workspace)
         VALUES (7, 'old', 40, 1, 2, 2, 100, 300, 300, 1, 9, 'apply', '[\"a\"]', 'ann', 'prod', 'c', 'shop', 'web',
           './chart', 'token', 'w');
         INSERT INTO tags (session, key, value) VALUES (7, 'team', 'shop'), (7, 'pr', '1');
         INSERT INTO producers (session, producer, counter) VALUES (7, 'p', 2);
         INSERT INTO sources (session, path, sha256, masked) VALUES (7, 'a.yaml', 'h', 'text');
         INSERT INTO epochs (id, epoch) VALUES ('gone', 9000000000000);",
        files::APPLICATION_ID,
    ))
    .unwrap();
    for (seq, text) in [(1, "one"), (2, "two")] {
        let payload = encode(&crate::store::contract::line(text)).unwrap();
        let sql = "INSERT INTO frames (session, seq, at, producer, counter, payload) VALUES (7, ?1, 200, 'p', ?1, ?2)";
        file.execute(sql, rusqlite::params![seq, payload]).unwrap();
    }
    (folder, path)
}

#[tokio::test]
async fn a_file_of_every_earlier_format_opens_and_keeps_everything() {
    for version in 1..files::MIGRATIONS.len() {
        let (_folder, path) = old_file(version);
        let store = SqliteStore::open(&path).unwrap();
        let id = SessionId::parse("old").unwrap();
        let tags = Tags::from([("team".into(), "shop".into())]);
        let query = SessionQuery { tags, status: vec![Status::Done], ..SessionQuery::default() };
        let sessions = store.list(query).await.unwrap().sessions;
        let [session] = sessions.as_slice() else { panic!("format {version}: {sessions:?}") };
        assert_eq!((session.epoch.0, session.first, session.head), (40, Seq(1), Seq(2)), "format {version}");
        assert_eq!((session.meta.release.as_str(), session.meta.args[0].as_str()), ("web", "a"));
        assert_eq!((session.created.0, session.last_seen.0, session.bytes), (100, 300, 9));
        assert_eq!((session.tags.len(), session.pin.is_none(), session.damage.as_str()), (2, true, ""));
        let page = store.page(&id, Cursor::START, PageLimit::default()).await.unwrap();
        let Page::Frames(_, frames) = page else { panic!("format {version}: {page:?}") };
        assert_eq!(frames.iter().map(|frame| text(&frame.payload)).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(store.append(append(&id, Some(1), &["one"])).await.unwrap().last, Seq(1));
        assert_eq!(store.append(append(&id, Some(3), &["three"])).await.unwrap().last, Seq(3));
        assert_eq!(store.source(&id, "a.yaml").await.unwrap().unwrap().masked, "text");
        let gone = SessionId::parse("gone").unwrap();
        let reborn = store.create(new(&gone, Owner::Agent)).await.unwrap().into_session();
        assert!(reborn.epoch.0 > 9_000_000_000_000, "format {version}: an epoch was given twice");
    }
}

#[tokio::test]
async fn a_newer_file_is_refused_untouched() {
    let (_folder, path) = scratch();
    SqliteStore::open(&path).unwrap().close().await.unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(refusal(&path).contains("has format 99, this agent knows up to "), "{}", refusal(&path));
    assert!(fs::read(&path).unwrap() == before, "it was changed");
}

#[test]
fn a_database_of_somebody_else_is_refused_untouched() {
    let (_folder, path) = scratch();
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE sessions (id TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(refusal(&path).contains("is not a store of ktl-agent"), "{}", refusal(&path));
    assert!(fs::read(&path).unwrap() == before, "it was changed");
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_is_finished_by_the_next_sweep() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    store.append(append(&id, None, &["a", "b"])).await.unwrap();
    let own = id.clone();
    store
        .writer
        .run(move |tx| rows::require(tx, &own).and_then(|it| remove::remove(tx, &it, "", "")))
        .await
        .unwrap();
    let frames = || {
        store.readers.run(|tx| {
            tx.query_row("SELECT count(*) FROM frames", [], |row| row.get::<_, i64>(0)).map_err(errors::fail)
        })
    };
    assert_eq!(frames().await.unwrap(), 2);
    store.prune(&Retention::default(), false).await.unwrap();
    assert_eq!(frames().await.unwrap(), 0);
}

#[tokio::test]
async fn a_source_that_is_put_again_counts_once() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let bytes = || {
        store.readers.run(|tx| {
            tx.query_row("SELECT bytes FROM sessions", [], |row| row.get::<_, i64>(0)).map_err(errors::fail)
        })
    };
    let before = bytes().await.unwrap();
    for text in ["one", "three", "three"] {
        let masked = crate::mask::Masker::new([]).mask_source(text, &[]);
        store.put_source(&id, "a.yaml", masked, "h").await.unwrap();
    }
    assert_eq!(bytes().await.unwrap() - before, 5);
}

/// How large the file and its log are.
fn on_disk(path: &Path) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    size(path) + size(&path.with_extension("db-wal"))
}

fn bytes_on_disk(path: &Path) -> Vec<u8> {
    [fs::read(path).unwrap(), fs::read(path.with_extension("db-wal")).unwrap_or_default()].concat()
}

#[tokio::test]
async fn what_was_deleted_is_nowhere_on_the_disk_and_the_disk_is_given_back() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let small = on_disk(&path);
    let canary = "canary-1234567890";
    let held = |bytes: &[u8]| bytes.windows(canary.len()).any(|found| found == canary.as_bytes());
    for _ in 0..100 {
        store.append(append(&id, None, &[&canary.repeat(1000)])).await.unwrap();
    }
    assert!(on_disk(&path) > 1_000_000 && held(&bytes_on_disk(&path)));
    assert!(store.delete(&id, true, "").await.unwrap());
    assert!(!held(&bytes_on_disk(&path)), "a deleted frame is still in the file");
    assert!(on_disk(&path) < small + 100_000, "{} bytes are left of {small}", on_disk(&path));
}

#[tokio::test]
async fn a_limit_of_bytes_takes_as_many_sessions_as_it_needs() {
    let (_folder, path) = scratch();
    let (store, _) = with_session(&path).await;
    let large = "x".repeat(100_000);
    for _ in 0..20 {
        let id = SessionId::mint();
        store.create(new(&id, Owner::Agent)).await.unwrap();
        let end = End { status: Status::Done, exit_code: 0, message: Masker::new([]).mask(String::new()) };
        store.append(Append { end: Some(end), ..append(&id, None, &[&large]) }).await.unwrap();
    }
    let keep = Retention { max_bytes: Some(1_000_000), ..Retention::default() };
    let said = store.prune(&keep, true).await.unwrap();
    let pruned = store.prune(&keep, false).await.unwrap();
    assert!(pruned.condemned.starts_with(&said.condemned));
    assert!(on_disk(&path) <= 1_000_000, "{} bytes are left", on_disk(&path));
    assert!((12..=13).contains(&pruned.condemned.len()), "{} of 20 went", pruned.condemned.len());
    assert!(pruned.condemned[0].reason.to_string().contains("larger than 1000000 bytes"));
    // What is free in the file and what waits in the log is no reason for anybody to go.
    assert!(store.prune(&keep, false).await.unwrap().condemned.is_empty());
}

#[tokio::test]
async fn writers_get_in_between_the_slices_of_a_prune() {
    let (_folder, path) = scratch();
    let (store, busy) = with_session(&path).await;
    let old = SessionId::mint();
    store.create(new(&old, Owner::Agent)).await.unwrap();
    let texts: Vec<&str> = std::iter::repeat_n("a line of a log", 4000).collect();
    for _ in 0..10 {
        store.append(append(&old, None, &texts)).await.unwrap();
    }
    let prune = async {
        assert!(store.delete(&old, true, "").await.unwrap());
        store.session(&busy).await.unwrap().unwrap().head
    };
    let write = async {
        for _ in 0..20 {
            store.append(append(&busy, None, &["x"])).await.unwrap();
        }
    };
    let (during, ()) = tokio::join!(prune, write);
    assert!(during > Seq(3), "only {during} frames were written while 40000 were deleted");
}
