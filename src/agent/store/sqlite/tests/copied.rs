//! Copies of a file: what is in them, and that they never speak for the original.

use super::*;

#[tokio::test]
async fn a_copy_that_is_opened_starts_new_epochs_behind_the_same_frames() {
    let (folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let before = store.append(append(&id, Some(1), &["a", "b"])).await.unwrap();
    let copy = folder.path().join("backup.db");
    let copied = copy_store(&path, &copy).unwrap();
    assert_eq!((copied.sessions, copied.damage), (1, None));
    // The original goes on, and never notices.
    assert_eq!(store.append(append(&id, Some(3), &["c"])).await.unwrap().epoch, before.epoch);
    let mode = fs::metadata(&copy).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    // By plain copying, and by a second copy of the copy.
    let (plain, second) = (folder.path().join("plain.db"), folder.path().join("second.db"));
    fs::copy(&copy, &plain).unwrap();
    copy_store(&copy, &second).unwrap();
    for path in [plain, second] {
        let restored = SqliteStore::open(&path).unwrap();
        let session = restored.session(&id).await.unwrap().unwrap();
        assert!(session.epoch > before.epoch && session.head == Seq(2), "{session:?}");
        let old = Cursor { epoch: before.epoch, seq: Seq(1) };
        for cursor in [old, Cursor { epoch: crate::session::Epoch(0), ..old }] {
            let page = restored.page(&id, cursor, PageLimit::default()).await.unwrap();
            assert!(matches!(page, Page::Foreign(_)), "{page:?}");
        }
        let page = restored.page(&id, Cursor::START, PageLimit::default()).await.unwrap();
        let Page::Frames(_, frames) = page else { panic!("{page:?}") };
        assert_eq!(frames.iter().map(|frame| text(&frame.payload)).collect::<Vec<_>>(), ["a", "b"]);
        let next = restored.append(append(&id, Some(3), &["other"])).await.unwrap();
        assert_eq!((next.epoch, next.first), (session.epoch, Seq(3)));
        restored.close().await.unwrap();
        drop(restored);
        let again = SqliteStore::open(&path).unwrap();
        assert_eq!(
            again.session(&id).await.unwrap().unwrap().epoch,
            session.epoch,
            "only the first opening counts"
        );
    }
    assert_eq!(store.session(&id).await.unwrap().unwrap().epoch, before.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_one_moment_of_a_store_that_is_written_to() {
    let (folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let store = std::sync::Arc::new(store);
    let writer = {
        let (store, id) = (std::sync::Arc::clone(&store), id.clone());
        tokio::spawn(async move {
            for n in 1..=300 {
                store.append(append(&id, Some(n), &[&"x".repeat(2000)])).await.unwrap();
            }
        })
    };
    let mut heads = Vec::new();
    for n in 0..4 {
        let copy = folder.path().join(format!("{n}.db"));
        let (from, to) = (path.clone(), copy.clone());
        let copied = tokio::task::spawn_blocking(move || copy_store(&from, &to)).await.unwrap().unwrap();
        assert_eq!(copied.damage, None);
        let restored = SqliteStore::open(&copy).unwrap();
        let head = restored.session(&id).await.unwrap().unwrap().head;
        assert_eq!(restored.last_counter(&id, "p").await.unwrap(), head.0);
        heads.push(head);
    }
    writer.await.unwrap();
    assert!(heads.is_sorted());
}

#[test]
fn nothing_is_copied_over_a_file_or_from_somebody_elses() {
    let (folder, path) = scratch();
    let to = folder.path().join("to.db");
    let said = copy_store(&path, &to).unwrap_err().to_string();
    assert!(said.contains("sessions.db is not there"), "{said}");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let said = copy_store(&path, &to).unwrap_err().to_string();
    assert!(said.contains("is not a store of ktl-agent"), "{said}");
    drop(SqliteStore::open(&to).unwrap());
    let said = copy_store(&to, &path).unwrap_err().to_string();
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|it| it.as_ref().unwrap().path().ends_with(".part"))
            .count(),
        0
    );
}

#[tokio::test]
async fn what_would_go_is_said_of_a_store_that_is_in_use() {
    let (_folder, path) = scratch();
    let (store, id) = with_session(&path).await;
    let end = End { status: Status::Done, exit_code: 0, message: Masker::new([]).mask(String::new()) };
    store.append(Append { end: Some(end), ..append(&id, None, &["end"]) }).await.unwrap();
    let keep = Retention { max_sessions: Some(0), ..Retention::default() };
    let said = would_take(&path, &keep).unwrap();
    assert_eq!(said.condemned[0].session.id, id);
    assert!(store.session(&id).await.unwrap().is_some());
    let (_folder, old) = old_file(1);
    assert!(would_take(&old, &keep).unwrap_err().to_string().contains("older format"));
}
