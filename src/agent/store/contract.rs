//! What every store promises, once, for each store that there is.

mod frames;
mod list;
mod retention;
mod sessions;

use ktl_fixtures::postgres::Postgres;
use tempfile::TempDir;

use super::{
    Append, Appended, Created, End, NewSession, Page, PageLimit, Producer, SessionStore,
    postgres::PostgresStore, sqlite::SqliteStore,
};
use crate::{
    frame::{Body, Fact, Line, Payload},
    mask::{Masked, Masker},
    session::{Cursor, Meta, Owner, RequestRecord, Session, SessionId, Status, Tags},
};

/// Runs every claim against a fresh store.
macro_rules! contract {
    ($store:ident => $scratch:expr) => {
        contract! { @ $store, $scratch,
            frames {
                numbers_frames_from_one_without_gaps
                gives_a_repeat_its_first_answer
                refuses_a_hole_of_a_producer
                shuts_out_the_older_producer_of_a_name
                stores_only_what_is_new_of_a_batch_that_overlaps
                starts_a_larger_epoch_when_a_deleted_id_comes_back
                reads_pages_within_their_limits
                answers_a_foreign_cursor_with_the_heading
            }
            sessions {
                lets_an_operation_take_over_an_id_that_only_has_metadata
                joins_a_known_session
                keeps_all_of_what_a_session_is_about
                ends_a_session_with_its_last_frame
                keeps_a_terminal_state
                keeps_the_time_of_an_end_as_it_was_reported
                revives_a_lost_publisher
                keeps_sources_until_their_session_goes
                counts_what_it_holds
                says_whether_it_can_be_written
                gives_up_only_silent_publishers
                refuses_what_is_over_a_limit
                refuses_everything_once_closed
                agrees_with_the_model
            }
            list {
                finds_sessions_by_what_they_are_about
                finds_sessions_by_when_they_were
                pages_through_every_list_without_a_repeat
                looks_at_all_sessions_and_not_at_the_latest_thousand
            }
            retention {
                deletes_no_operation_that_runs
                deletes_what_is_pinned_only_by_force
                remembers_what_was_deleted
                prunes_the_oldest_end_first_and_nothing_that_runs
                takes_the_age_of_the_first_rule_that_matches
                says_what_it_would_take_and_takes_nothing
                takes_the_oldest_frames_of_a_session_that_runs
            }
        }
    };
    (@ $store:ident, $scratch:expr, $($group:ident { $($claim:ident)* })*) => {
        mod $store {
            $($(
                #[tokio::test]
                async fn $claim() {
                    let Some(scratch) = $scratch else { return };
                    super::$group::$claim(&scratch.store).await;
                }
            )*)*
        }
    };
}

contract!(sqlite => Some(super::Scratch::sqlite()));
contract!(postgres => super::Scratch::postgres().await);

pub(super) struct Scratch<S> {
    pub(super) store: S,
    _folder: Option<TempDir>,
}

impl Scratch<SqliteStore> {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("sessions.db")).unwrap();
        Self { store, _folder: Some(folder) }
    }
}

impl Scratch<PostgresStore> {
    /// None without a PostgreSQL.
    async fn postgres() -> Option<Self> {
        let url = Postgres::shared()?.database().parse().unwrap();
        Some(Self { store: PostgresStore::open(&url, "agent").await.unwrap(), _folder: None })
    }
}

pub(super) fn mask<T: crate::mask::Maskable>(value: T) -> Masked<T> {
    Masker::new([]).mask(value)
}

pub(super) fn line(text: &str) -> Masked<Payload> {
    mask(Fact { body: Some(Body::Line(Line { text: text.into(), ..Line::default() })) }).into_payload()
}

pub(super) fn text(payload: &Payload) -> &str {
    match payload {
        Payload::Fact(Fact { body: Some(Body::Line(line)) }) => &line.text,
        other => panic!("not a line: {other:?}"),
    }
}

pub(super) fn new(id: &SessionId, owner: Owner) -> NewSession {
    let request = RequestRecord { digest: "d1".into(), canonical: "{}".into() };
    NewSession {
        id: id.clone(),
        meta: mask(Meta::default()),
        tags: mask(Tags::new()),
        owner,
        request: (owner == Owner::Agent).then(|| mask(request)),
    }
}

pub(super) fn append(id: &SessionId, counter: Option<u64>, texts: &[&str]) -> Append {
    let payloads = texts.iter().copied().map(line).collect();
    Append { session: id.clone(), producer: Producer::from("p"), counter, payloads, end: None }
}

async fn created(store: &dyn SessionStore, owner: Owner) -> SessionId {
    let id = SessionId::mint();
    assert!(matches!(store.create(new(&id, owner)).await.unwrap(), Created::New(_)));
    id
}

async fn ended(store: &dyn SessionStore, owner: Owner, status: Status) -> SessionId {
    let id = created(store, owner).await;
    finish(store, &id, status).await;
    id
}

async fn finish(store: &dyn SessionStore, id: &SessionId, status: Status) -> Appended {
    let end = End { status, exit_code: 3, message: mask("over".to_owned()) };
    store.append(Append { end: Some(end), ..append(id, None, &["end"]) }).await.unwrap()
}

async fn get(store: &dyn SessionStore, id: &SessionId) -> Session {
    store.session(id).await.unwrap().unwrap()
}

async fn read(store: &dyn SessionStore, id: &SessionId, after: Cursor) -> Vec<(u64, String)> {
    match store.page(id, after, PageLimit::default()).await.unwrap() {
        Page::Frames(_, frames) => {
            frames.iter().map(|frame| (frame.seq.0, text(&frame.payload).to_owned())).collect()
        }
        Page::Foreign(heading) => panic!("a foreign cursor: {heading:?}"),
    }
}
