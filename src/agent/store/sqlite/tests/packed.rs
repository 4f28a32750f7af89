//! Packed and unpacked sessions are read alike.

use proptest::{collection, prelude::*};

use super::*;
use crate::{frame::Frame, store::contract::mask};

/// Everything that can be asked of a session's frames.
async fn everything(store: &SqliteStore, id: &SessionId) -> Vec<Vec<Frame>> {
    let head = store.session(id).await.unwrap().unwrap().head.0;
    let mut pages = Vec::new();
    for after in (0..=head).step_by(37) {
        for limit in [
            PageLimit::default(),
            PageLimit { frames: 3, bytes: 1 << 20 },
            PageLimit { frames: 500, bytes: 900 },
        ] {
            let cursor = Cursor { seq: Seq(after), ..Cursor::START };
            match store.page(id, cursor, limit).await.unwrap() {
                Page::Frames(_, frames) => pages.push(frames),
                Page::Foreign(heading) => panic!("{heading:?}"),
            }
        }
    }
    pages
}

/// The first answers to a producer's numbers, again.
async fn repeats(store: &SqliteStore, id: &SessionId) -> Vec<Appended> {
    let last = store.last_counter(id, "p").await.unwrap();
    let mut answers = Vec::new();
    for counter in (1..=last).step_by(29) {
        answers.push(store.append(append(id, Some(counter), &["again"])).await.unwrap());
    }
    answers
}

async fn finish(store: &SqliteStore, id: &SessionId) {
    let end = End { status: Status::Done, exit_code: 0, message: mask(String::new()) };
    store.append(Append { end: Some(end), ..append(id, None, &["end"]) }).await.unwrap();
}

async fn blocks(store: &SqliteStore) -> (i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM frames)";
    let count = |tx: &rusqlite::Connection| {
        tx.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(errors::fail)
    };
    store.readers.run(count).await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn a_packed_session_answers_as_before(batches in collection::vec((1_usize..90, any::<bool>()), 1..25), ends: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, path) = scratch();
            let (store, id) = with_session(&path).await;
            for (at, (length, numbered)) in batches.into_iter().enumerate() {
                let texts: Vec<String> = (0..length).map(|n| format!("line {at}.{n} of a log that says much the same")).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let next = store.last_counter(&id, "p").await.unwrap() + 1;
                store.append(append(&id, numbered.then_some(next), &texts)).await.unwrap();
            }
            if ends {
                finish(&store, &id).await;
            }
            let before = (everything(&store, &id).await, repeats(&store, &id).await, store.session(&id).await.unwrap().unwrap());
            let packed = store.pack().await.unwrap();
            let (_, rows) = blocks(&store).await;
            prop_assert!(if ends { rows == 0 } else { rows < 512 }, "{} rows are left", rows);
            let session = store.session(&id).await.unwrap().unwrap();
            prop_assert!(packed < 50 || session.bytes < before.2.bytes, "packing made it larger");
            prop_assert_eq!(Session { bytes: 0, ..session }, Session { bytes: 0, ..before.2 });
            prop_assert_eq!(everything(&store, &id).await, before.0);
            prop_assert_eq!(repeats(&store, &id).await, before.1);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn frames_go_on_behind_a_block_and_retention_goes_through_it() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let texts: Vec<String> = (1..=1000).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    store.append(append(&id, Some(1), &texts)).await.unwrap();
    assert_eq!(store.pack().await.unwrap(), 512, "the last of a session that runs stay rows");
    assert_eq!(blocks(&store).await, (2, 488));
    assert_eq!(store.append(append(&id, Some(1001), &["more"])).await.unwrap().first, Seq(1001));
    let keep = Retention { max_frames: Some(601), ..Retention::default() };
    store.prune(&keep, false).await.unwrap();
    // 400 frames went: one block, and the beginning of the other, which stays whole on the disk.
    assert_eq!(blocks(&store).await, (1, 489));
    let page = store.page(&id, Cursor::START, PageLimit { frames: 2, bytes: 1000 }).await.unwrap();
    let Page::Frames(heading, frames) = page else { panic!("{page:?}") };
    assert_eq!((heading.first, frames[0].seq, text(&frames[0].payload)), (Seq(401), Seq(401), "401"));
    // A number that retention took answers with the place before the oldest.
    assert_eq!(store.append(append(&id, Some(3), &["3"])).await.unwrap().last, Seq(400));
    assert_eq!(store.append(append(&id, Some(450), &["450"])).await.unwrap().last, Seq(450));
    store.prune(&Retention { max_frames: Some(100), ..keep }, false).await.unwrap();
    assert_eq!(blocks(&store).await, (0, 100));
    finish(&store, &id).await;
    store.pack().await.unwrap();
    assert!(store.delete(&id, false, "").await.unwrap());
    assert_eq!(blocks(&store).await, (0, 0));
}

#[tokio::test]
async fn a_block_replaces_only_the_rows_that_it_was_made_of() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    store.append(append(&id, None, &["a", "b", "c"])).await.unwrap();
    finish(&store, &id).await;
    let key = store.readers.run(|tx| pack::candidate(tx, 0)).await.unwrap().unwrap();
    let block = store.readers.run(move |tx| pack::next(tx, key)).await.unwrap().unwrap();
    store.prune(&Retention { max_frames: Some(2), ..Retention::default() }, false).await.unwrap();
    assert!(!store.writer.run(move |tx| pack::replace(tx, key, &block)).await.unwrap());
    let block = store.readers.run(move |tx| pack::next(tx, key)).await.unwrap().unwrap();
    assert!(store.delete(&id, false, "").await.unwrap());
    assert!(!store.writer.run(move |tx| pack::replace(tx, key, &block)).await.unwrap());
    assert_eq!(blocks(&store).await, (0, 0));
}
