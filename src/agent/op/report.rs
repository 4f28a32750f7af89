//! How an operation speaks: masked, numbered, and once.
//!
//! The operation's own facts are counted from its first to its last, and a step that is done again after a crash
//! says the same facts again: the journal knows them by their numbers. Lines of helm are counted by the shim. What
//! the cluster says is not counted, it is remembered (see [`super::rollout::Told`]).

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    frame::{
        Body, Ended, Fact, Finding, Level, Line, LineSource, Note, NoteKind, Phase, PhaseName, PhaseState,
    },
    journal::{Batch, Journal},
    mask::{Masked, Masker},
    session::SessionId,
    shim::now_nanos,
    store::{MAX_BATCH, StoreError},
};

/// The producer of the operation's own facts.
pub const OPERATION: &str = "apply";
/// The producer of what the cluster says.
pub const ROLLOUT: &str = "rollout";
/// The producer of what the agent says about itself.
pub const AGENT: &str = "agent";

/// The pauses before an append is tried again while the disk is full or the store is away.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15)];

/// The voice of one operation.
pub struct Reporter {
    journal: Journal,
    id: SessionId,
    masker: Masker,
    said: u64,
}

impl Reporter {
    /// A voice that said `said` facts before.
    pub fn new(journal: Journal, id: SessionId, masker: &Masker, said: u64) -> Self {
        Self { journal, id, masker: masker.speaking(), said }
    }

    /// The session.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// How many facts the operation has said of itself.
    pub fn said(&self) -> u64 {
        self.said
    }

    /// What hides the secrets of this session.
    pub fn masker(&self) -> &Masker {
        &self.masker
    }

    /// Hides these values too, from now on.
    pub fn hide(&self, more: Vec<String>) {
        self.masker.learn(more);
    }

    /// Hides these values too, until it hides by another masker: they may be secret, and may be not.
    pub fn suspect(&mut self, values: Vec<String>) {
        self.masker = self.masker.suspecting(values);
    }

    /// Hides from now on what this masker hides, and nothing else.
    pub fn hide_by(&mut self, masker: Masker) {
        self.masker = masker;
    }

    /// Says the operation's next facts.
    pub async fn say(&mut self, bodies: Vec<Body>) -> Result<(), StoreError> {
        let count = bodies.len() as u64;
        self.append(OPERATION, Some(self.said + 1), bodies).await?;
        self.said += count;
        Ok(())
    }

    /// Says that a phase begins or ends.
    pub async fn phase(
        &mut self,
        name: PhaseName,
        state: PhaseState,
        message: &str,
        started: i64,
    ) -> Result<(), StoreError> {
        let mut phase = Phase { message: message.to_owned(), started_unix_nano: started, ..Phase::default() };
        phase.set_name(name);
        phase.set_state(state);
        if state != PhaseState::Running {
            phase.completed_unix_nano = now_nanos();
        }
        self.say(vec![Body::Phase(phase)]).await
    }

    /// Says findings.
    pub async fn findings(&mut self, findings: Vec<Finding>) -> Result<(), StoreError> {
        self.say(findings.into_iter().map(Body::Finding).collect()).await
    }

    /// Says what somebody else counted, `first` being the number of the first.
    pub async fn relay(&self, producer: &str, first: u64, bodies: Vec<Body>) -> Result<(), StoreError> {
        self.append(producer, Some(first), bodies).await
    }

    /// Hears what was said before its time: the mask goes on where this ended.
    pub fn overhear(&self, producer: &str, bodies: Vec<Body>) {
        let masker = self.masker.of(producer);
        for body in bodies {
            drop(masker.mask(Fact { body: Some(body) }));
        }
    }

    /// Says what nobody counts.
    pub async fn mention(&self, producer: &str, bodies: Vec<Body>) -> Result<(), StoreError> {
        self.append(producer, None, bodies).await
    }

    /// Says something about the session itself.
    pub async fn note(&self, kind: NoteKind, text: String) -> Result<(), StoreError> {
        let note = Note { kind: kind.into(), text, principal: String::new() };
        self.mention(AGENT, vec![Body::Note(note)]).await
    }

    /// A line of the agent's own in the log.
    pub async fn remark(&self, level: Level, phase: PhaseName, text: String) -> Result<(), StoreError> {
        let (source, level, phase) = (LineSource::Agent.into(), level.into(), phase.into());
        self.mention(AGENT, vec![Body::Line(Line { source, level, text, phase })]).await
    }

    /// Counts on from the last fact that the journal has. A step that is done again may say fewer facts than the
    /// first time, and what comes after it must not pass for one of those.
    pub async fn catch_up(&mut self) -> Result<(), StoreError> {
        let last = self.journal.last_counter(&self.id, OPERATION).await?;
        self.said = self.said.max(last);
        Ok(())
    }

    /// The last word.
    pub async fn end(&mut self, ended: Ended) -> Result<(), StoreError> {
        self.catch_up().await?;
        let ended = self.masker.mask(ended);
        let mut attempt = 0;
        loop {
            match self.journal.finish(&self.id, OPERATION, Some(self.said + 1), ended.clone()).await {
                Ok(_) => break,
                Err(error) => self.wait_after(error, &mut attempt).await?,
            }
        }
        self.said += 1;
        Ok(())
    }

    async fn append(&self, producer: &str, first: Option<u64>, bodies: Vec<Body>) -> Result<(), StoreError> {
        let masker = self.masker.of(producer);
        let facts = bodies.into_iter().map(|body| masker.mask(Fact { body: Some(body) }));
        let facts: Vec<Masked<Fact>> = facts.collect();
        for (index, part) in facts.chunks(MAX_BATCH).enumerate() {
            let counter = first.map(|first| first + (index * MAX_BATCH) as u64);
            self.append_part(producer, counter, part).await?;
        }
        Ok(())
    }

    async fn append_part(
        &self,
        producer: &str,
        counter: Option<u64>,
        facts: &[Masked<Fact>],
    ) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            let batch = Batch { producer: producer.to_owned(), counter, facts: facts.to_vec() };
            match self.journal.append(&self.id, batch).await {
                Ok(_) => return Ok(()),
                Err(error) => self.wait_after(error, &mut attempt).await?,
            }
        }
    }

    /// Waits after a failure that can pass; helm goes on meanwhile and its output waits in the run folder.
    async fn wait_after(&self, error: StoreError, attempt: &mut usize) -> Result<(), StoreError> {
        if !matches!(error, StoreError::Full(_) | StoreError::ReadOnly { .. }) {
            return Err(error);
        }
        if *attempt == 0 {
            tracing::warn!(session = %self.id, %error, "the journal takes no frames, trying again");
        }
        sleep(PAUSES[(*attempt).min(PAUSES.len() - 1)]).await;
        *attempt += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        frame::WireStatus,
        mask::MarkKey,
        session::{Meta, Owner, Status, Tags},
        store::{NewSession, sqlite::SqliteStore},
    };

    #[tokio::test]
    async fn a_step_done_again_with_fewer_facts_does_not_swallow_the_end() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&home.path().join("sessions.db")).unwrap();
        let journal = Journal::new(Arc::new(store), MarkKey::random());
        let id = SessionId::mint();
        let masker = journal.masker(&id, []);
        let (meta, tags) = (masker.mask(Meta::default()), masker.mask(Tags::new()));
        let new = NewSession { id: id.clone(), meta, tags, owner: Owner::Agent, request: None };
        journal.create(new).await.unwrap();
        let line = |text: &str| Body::Line(Line { text: text.to_owned(), ..Line::default() });
        let mut before = Reporter::new(journal.clone(), id.clone(), &masker, 0);
        before.say(vec![line("1"), line("2"), line("3")]).await.unwrap();
        let mut again = Reporter::new(journal.clone(), id.clone(), &masker, 0);
        again.say(vec![line("1")]).await.unwrap();
        let status = WireStatus::Done.into();
        let ended = Ended { status, exit_code: 0, message: "over".to_owned(), left_behind: None };
        again.end(ended).await.unwrap();
        let session = journal.session(&id).await.unwrap().unwrap();
        assert_eq!((session.status, session.head.0, again.said()), (Status::Done, 4, 4));
    }

    #[tokio::test]
    async fn a_secret_that_began_before_a_restart_is_hidden_after_it() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&home.path().join("sessions.db")).unwrap();
        let journal = Journal::new(Arc::new(store), MarkKey::random());
        let id = SessionId::mint();
        let line = |text: &str| Body::Line(Line { text: text.to_owned(), ..Line::default() });
        let masker = journal.masker(&id, []);
        let (meta, tags) = (masker.mask(Meta::default()), masker.mask(Tags::new()));
        let new = NewSession { id: id.clone(), meta, tags, owner: Owner::Agent, request: None };
        journal.create(new).await.unwrap();
        let reporter = Reporter::new(journal.clone(), id.clone(), &masker, 0);
        reporter.overhear("helm", vec![line("kind: Secret"), line("stringData:")]);
        reporter.relay("helm", 1, vec![line("  note: correct horse"), line("done")]).await.unwrap();
        let frames: Vec<_> =
            futures::StreamExt::collect(journal.recorded(&id, crate::session::Cursor::START)).await;
        let said = format!("{frames:?}");
        assert!(
            said.contains("note: «secret:") && !said.contains("correct") && said.contains("done"),
            "{said}"
        );
    }
}
