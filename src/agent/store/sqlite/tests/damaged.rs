//! What a disk can do to a file, and what is left of it.

use super::*;
use crate::{
    journal::{Followed, Journal},
    mask::MarkKey,
};

/// Two sessions, one of which says `mark` in each of its many frames.
async fn two_sessions(path: &Path, mark: &str) -> [SessionId; 2] {
    let (store, bad) = with_session(path).await;
    let good = SessionId::mint();
    store.create(new(&good, Owner::Agent)).await.unwrap();
    let text = format!("{mark} {}", "x".repeat(300));
    for _ in 0..40 {
        store.append(append(&bad, None, &[text.as_str(); 20])).await.unwrap();
    }
    store.append(append(&good, None, &["a", "b", "c"])).await.unwrap();
    store.close().await.unwrap();
    [bad, good]
}

/// Writes over the file at the `nth` place where `mark` is found.
fn hurt(path: &Path, mark: &str, nth: usize, length: usize) {
    let mut bytes = fs::read(path).unwrap();
    let found: Vec<usize> = bytes
        .windows(mark.len())
        .enumerate()
        .filter(|(_, found)| *found == mark.as_bytes())
        .map(|(at, _)| at)
        .collect();
    let at = found[nth];
    bytes[at..at + length].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(path, bytes).unwrap();
}

/// What a follower is told, the frames counted.
async fn told(store: SqliteStore, id: &SessionId) -> (usize, Vec<Followed>) {
    use futures::StreamExt as _;
    let journal = Journal::new(std::sync::Arc::new(store), MarkKey::random());
    let all: Vec<Followed> = journal.recorded(id, Cursor::START).map(Result::unwrap).collect().await;
    let frames = all.iter().filter(|item| matches!(item, Followed::Frame(_))).count();
    (frames, all.into_iter().filter(|item| !matches!(item, Followed::Frame(_))).collect())
}

#[tokio::test]
async fn a_bit_that_flipped_costs_its_frame_and_is_told() {
    let (_folder, path) = scratch();
    let [bad, good] = two_sessions(&path, "canary").await;
    hurt(&path, "canary", 100, 1);
    let store = SqliteStore::open(&path).unwrap();
    let reopened = SqliteStore::open(&path).unwrap();
    let (frames, others) = told(store, &bad).await;
    let [Followed::Gap { from, to, reason: "damaged" }, Followed::CaughtUp { head: Seq(800) }] =
        others.as_slice()
    else {
        panic!("{others:?}")
    };
    assert_eq!((frames, from), (799, to));
    let session = reopened.session(&bad).await.unwrap().unwrap();
    assert!(session.damage.contains("checksum of frame"), "{}", session.damage);
    assert!(reopened.session(&good).await.unwrap().unwrap().damage.is_empty());
    // It stays: retention and packing leave it to whoever looks into it, and it takes what still comes.
    assert_eq!(reopened.append(append(&bad, None, &["on"])).await.unwrap().first, Seq(801));
    let end = End { status: Status::Done, exit_code: 0, message: Masker::new([]).mask(String::new()) };
    reopened.append(Append { end: Some(end), ..append(&bad, None, &["end"]) }).await.unwrap();
    let keep = Retention { max_sessions: Some(0), max_frames: Some(1), ..Retention::default() };
    let pruned = reopened.prune(&keep, false).await.unwrap();
    assert!(pruned.condemned.is_empty() && pruned.trimmed.iter().all(|trimmed| trimmed.id == good));
    reopened.pack().await.unwrap();
    assert_eq!(reopened.session(&bad).await.unwrap().unwrap().first, Seq(1));
    assert!(reopened.delete(&bad, false, "").await.unwrap());
}

#[tokio::test]
async fn a_page_that_is_destroyed_puts_its_session_into_quarantine_when_the_file_is_opened() {
    let (_folder, path) = scratch();
    let [bad, good] = two_sessions(&path, "canary").await;
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(6).enumerate().filter(|(_, found)| *found == b"canary").nth(400).unwrap().0;
    let page = at / 4096 * 4096;
    bytes[page..page + 4096].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert!(!store.session(&bad).await.unwrap().unwrap().damage.is_empty());
    assert!(store.session(&good).await.unwrap().unwrap().damage.is_empty());
    assert_eq!(store.append(append(&good, None, &["d"])).await.unwrap().first, Seq(4));
    let listed = store.list(SessionQuery::default()).await.unwrap().sessions;
    assert_eq!(listed.len(), 2);
    let (frames, others) = told(store, &bad).await;
    let lost: u64 = others
        .iter()
        .map(|item| match item {
            Followed::Gap { from, to, reason: "damaged" } => to.0 - from.0 + 1,
            Followed::CaughtUp { .. } => 0,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(frames as u64 + lost, 800);
    assert!((1..=20).contains(&lost), "{lost} frames were lost with one page");
}

#[tokio::test]
async fn a_block_that_is_damaged_costs_its_range() {
    let (_folder, path) = scratch();
    let [bad, good] = two_sessions(&path, "canary").await;
    let store = SqliteStore::open(&path).unwrap();
    store.pack().await.unwrap();
    let flip = "UPDATE blocks SET data = CAST(substr(data, 1, 20) || x'00' || substr(data, 22) AS BLOB) WHERE first = 257";
    let flip = |tx: &rusqlite::Connection| tx.execute(flip, []).map_err(errors::fail);
    assert_eq!(store.writer.run(flip).await.unwrap(), 1);
    let page = store.page(&bad, Cursor::START, PageLimit { frames: 1000, bytes: 1 << 30 }).await.unwrap();
    let Page::Frames(_, frames) = page else { panic!("{page:?}") };
    let found: Vec<u64> = frames.iter().map(|frame| frame.seq.0).collect();
    assert_eq!(found, (1..=256).chain(513..=800).collect::<Vec<_>>());
    let damage = store.session(&bad).await.unwrap().unwrap().damage;
    assert!(damage.contains("the block up to frame 512: its checksum is another"), "{damage}");
    assert!(store.session(&good).await.unwrap().unwrap().damage.is_empty());
}

#[tokio::test]
async fn a_file_that_does_not_say_which_sessions_there_are_is_refused_with_its_name() {
    let (_folder, path) = scratch();
    two_sessions(&path, "canary").await;
    let file = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'sessions'";
    let root: i64 = file.query_row(sql, [], |row| row.get(0)).unwrap();
    let root = usize::try_from(root).unwrap();
    file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(file);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(root - 1) * 4096..root * 4096].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    let said = refusal(&path);
    assert!(said.contains("sessions.db is damaged"), "{said}");
}
