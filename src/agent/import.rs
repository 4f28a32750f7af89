//! Brings the sessions of a Go agent's file over: masked on the way, each in an epoch of its own.
//!
//! The file is only read. Numbers are kept from the first frame on; where the Go agent had lost frames the later ones
//! move up, and that is said. An import that was cut off goes on where it was when it is run again.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use prost::Message as _;

use crate::{
    frame::published::MirrorFrame,
    keys,
    lock::{Lock, LockError},
    maintenance::Place,
    mask::{MarkKey, Masked, Masker},
    session::{Meta, Seq, SessionId, Status, Tags},
    store::{
        StoreError,
        sqlite::{GoFrame, GoSession, GoStore, Imported, SqliteStore, Stood, private_folder},
    },
};

/// The exit code by which the public API tells a cancelled session from a done one.
const CANCELLED: i32 = 130;

/// Why nothing was brought over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// One of the two stores refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An agent has the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The folder cannot be used.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What became of one session, in words.
type Said = String;

/// Brings every session of `file` to `place`. Says a line for each that is not whole, and the sum.
pub async fn import(file: &Path, place: &Place) -> Result<String, ImportError> {
    let go = GoStore::open(file)?;
    let data = place.data.as_path();
    let at = |path: PathBuf| move |source| ImportError::Folder { path, source };
    private_folder(data).map_err(at(data.to_owned()))?;
    let _lock = Lock::take(data)?;
    let key = data.join("marks.key");
    let key = MarkKey::new(keys::kept(&key).map_err(at(key))?);
    let store = Arc::new(SqliteStore::open(&place.store)?);
    let (mut lines, mut whole) = (Vec::new(), 0);
    for session in go.sessions()? {
        let shown: String = session.id.chars().filter(|c| !c.is_control()).take(128).collect();
        match one(&go, &store, &key, session).await {
            Ok(None) => whole += 1,
            Ok(Some(said)) => lines.push(format!("{shown}: {said}")),
            Err(StoreError::Busy(why) | StoreError::Invalid(why)) => lines.push(why),
            Err(error @ StoreError::TooLarge { .. }) => lines.push(format!("{shown}: not imported: {error}")),
            Err(error) => return Err(error.into()),
        }
    }
    crate::store::SessionStore::close(store.as_ref()).await?;
    lines.push(format!("{whole} sessions came over whole; start ktl-agent with --data {}", data.display()));
    Ok(lines.join("\n"))
}

/// Brings one session over; says what is not as it was.
async fn one(
    go: &GoStore,
    store: &Arc<SqliteStore>,
    key: &MarkKey,
    from: GoSession,
) -> Result<Option<Said>, StoreError> {
    let id = SessionId::parse(&from.id)
        .map_err(|error| StoreError::Invalid(format!("{:?}: not imported: {error}", shortened(&from.id))))?;
    let masker = Masker::of_session(key, &id, []).speaking();
    let mut batch = go.frames(&from.id, 0)?;
    let first = batch.first().map_or(1, |frame| frame.sequence.max(1));
    let new = Imported {
        id: id.clone(),
        created: from.created,
        first: Seq(first),
        meta: masker.mask(meta(&from)),
        tags: masker.mask(tags(&from)),
    };
    let mut skip = store.import(new).await?.0.saturating_sub(first - 1);
    let (mut missing, mut broken, mut next) = (0, 0, first);
    while let Some(last) = batch.last().map(|frame| frame.sequence) {
        let mut frames = Vec::with_capacity(batch.len());
        for frame in batch {
            missing += frame.sequence.saturating_sub(next);
            next = frame.sequence + 1;
            match payload(&masker, &frame) {
                // Masked all the same: what comes next may begin where this one ended.
                Some(_) if skip > 0 => skip -= 1,
                Some((producer, payload)) => frames.push((frame.received, producer, payload)),
                None => broken += 1,
            }
        }
        store.import_frames(&id, frames).await?;
        batch = go.frames(&from.id, last)?;
    }
    store.import_end(&id, stood(&masker, &from)).await?;
    let said = [(missing, "frames are missing in the file"), (broken, "frames cannot be read")];
    let said: Vec<String> = said
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    Ok((!said.is_empty()).then(|| said.join(", ")))
}

type Payload = Masked<crate::frame::Payload>;

/// A frame without what the store says better; none when it does not decode.
fn payload(masker: &Masker, frame: &GoFrame) -> Option<(String, Payload)> {
    let frame = MirrorFrame::decode(frame.proto.as_slice()).ok()?;
    let masker = masker.of(&frame.producer);
    let producer = masker.mask(frame.producer).into_inner();
    let bare = MirrorFrame { payload: frame.payload, ..MirrorFrame::default() };
    Some((producer, masker.mask(bare).into_payload()))
}

fn meta(from: &GoSession) -> Meta {
    let [command, requester, cluster, context, namespace, release, chart] = from.meta.clone();
    let args = serde_json::from_str(&from.args).unwrap_or_default();
    Meta { command, args, requester, cluster, context, namespace, release, chart, ..Meta::default() }
}

fn tags(from: &GoSession) -> Tags {
    serde_json::from_str(&from.tags).unwrap_or_default()
}

fn stood(masker: &Masker, from: &GoSession) -> Stood {
    let status = match (from.state, from.exit_code) {
        (2, CANCELLED) => Status::Cancelled,
        (2, _) => Status::Done,
        (3, _) => Status::Error,
        // Nobody publishes to it any more; the agent finds that out by itself.
        _ => Status::Running,
    };
    Stood {
        status,
        exit_code: from.exit_code,
        message: masker.mask(from.message.clone()),
        completed: from.completed,
        last_seen: from.last_seen,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(128).collect()
}
