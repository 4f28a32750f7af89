//! What the store does when the machine does not do its part: it refuses writes, says why, and goes on reading.

use super::*;

#[tokio::test]
async fn a_full_disk_refuses_the_write_and_nothing_else_and_recovers() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let limit = |pages: i64| {
        store.writer.run(move |tx| {
            tx.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(())).map_err(errors::fail)
        })
    };
    limit(1).await.unwrap(); // SQLite keeps what is there: no page more.
    let large = "x".repeat(100_000);
    let refused = store.append(append(&id, Some(1), &[&large])).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(store.session(&id).await.unwrap().unwrap().head, Seq(0), "half a write stayed");
    limit(1_000_000).await.unwrap();
    let stored = store.append(append(&id, Some(1), &[&large])).await.unwrap();
    assert_eq!((stored.first, stored.repeated), (Seq(1), false));
}

#[tokio::test]
async fn a_disk_that_became_read_only_refuses_writes_and_serves_reads_and_recovers() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    store.append(append(&id, Some(1), &["a"])).await.unwrap();
    let read_only = |on: &str| {
        let sql = format!("PRAGMA query_only={on}");
        store.writer.alone(move |connection| connection.execute_batch(&sql).map_err(errors::fail))
    };
    read_only("ON").await.unwrap();
    for refused in [
        store.append(append(&id, Some(2), &["b"])).await.map(|_| ()),
        store
            .annotate(&id, Masker::new([]).mask(Meta::default()), Masker::new([]).mask(Tags::new()))
            .await
            .map(|_| ()),
        store.delete(&id, true, "").await.map(|_| ()),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused:?}");
        assert!(refused.to_string().contains("cannot be written"), "{refused}");
    }
    let page = store.page(&id, Cursor::START, PageLimit::default()).await.unwrap();
    assert!(matches!(page, Page::Frames(_, frames) if frames.len() == 1));
    read_only("OFF").await.unwrap();
    assert_eq!(store.append(append(&id, Some(2), &["b"])).await.unwrap().first, Seq(2));
}

#[test]
fn a_write_that_the_system_refuses_is_told_apart_from_a_read_that_fails() {
    let failure = |code| {
        let error = rusqlite::ffi::Error::new(code);
        errors::failed("s", rusqlite::Error::SqliteFailure(error, None))
    };
    for code in [rusqlite::ffi::SQLITE_IOERR_WRITE, rusqlite::ffi::SQLITE_IOERR_FSYNC] {
        assert!(matches!(failure(code), StoreError::ReadOnly { .. }), "{code}");
    }
    assert!(matches!(failure(rusqlite::ffi::SQLITE_IOERR_READ), StoreError::Failed { .. }));
}

/// As if the clock had been a year ahead when everything was written, and was set back since.
#[tokio::test]
async fn a_clock_that_was_set_back_turns_nothing_back() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    store.append(append(&id, Some(1), &["a"])).await.unwrap();
    let year: i64 = 365 * 86_400_000;
    let ahead = move |tx: &rusqlite::Connection| {
        tx.execute("UPDATE sessions SET epoch = epoch + ?1, last_seen = last_seen + ?1 * 1000000", [year])
            .map_err(errors::fail)
    };
    store.writer.run(ahead).await.unwrap();
    let before = store.session(&id).await.unwrap().unwrap();
    let end = End { status: Status::Done, exit_code: 0, message: Masker::new([]).mask(String::new()) };
    store.append(Append { end: Some(end), ..append(&id, Some(2), &["b"]) }).await.unwrap();
    let after = store.session(&id).await.unwrap().unwrap();
    assert!(after.last_seen >= before.last_seen && after.completed >= after.last_seen);
    // What ended in the future is not old.
    let keep = Retention { max_age: Some(std::time::Duration::from_secs(1)), ..Retention::default() };
    assert!(store.prune(&keep, false).await.unwrap().condemned.is_empty());
    store.delete(&id, false, "").await.unwrap();
    let reborn = store.create(new(&id, Owner::Agent)).await.unwrap().into_session();
    assert!(reborn.epoch > before.epoch, "an epoch was given twice");
}
