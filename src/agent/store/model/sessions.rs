//! The sessions of the model: what a store has to answer, without a disk, a clock or SQL.

use crate::{
    session::{Cursor, Epoch, Event, Owner, Seq, SessionId, Status},
    store::{Append, contract::text},
};

pub(super) struct Modeled {
    pub(super) id: SessionId,
    pub(super) owner: Owner,
    pub(super) has_request: bool,
    pub(super) status: Status,
    pub(super) epoch: Epoch,
    pub(super) reborn: bool,
    /// The producer's number, where it has one, and the text.
    pub(super) frames: Vec<(Option<u64>, String)>,
    /// How many of the oldest are gone.
    pub(super) trimmed: usize,
    /// The newest epoch of the only producer.
    pub(super) fence: u64,
    pub(super) pinned: bool,
    pub(super) team: Option<String>,
    /// Steps at which it was last seen and ended; 0 for not ended.
    pub(super) seen: u64,
    pub(super) completed: u64,
}

impl Modeled {
    pub(super) fn is_bare(&self) -> bool {
        self.frames.is_empty()
            && !self.has_request
            && self.owner == Owner::Publisher
            && self.status == Status::Running
    }

    pub(super) fn is_free(&self) -> bool {
        self.status != Status::Running && !self.pinned
    }

    pub(super) fn head(&self) -> u64 {
        self.frames.len() as u64
    }

    pub(super) fn last_counter(&self) -> u64 {
        self.frames.iter().filter_map(|(counter, _)| *counter).max().unwrap_or(0)
    }

    /// A frame that is gone answers with the place before the oldest that is left.
    fn number_of(&self, counter: u64) -> usize {
        let at = self.frames.iter().position(|(known, _)| *known == Some(counter)).unwrap();
        (at + 1).max(self.trimmed)
    }

    /// `None` when the producer may write.
    pub(super) fn fence(&mut self, epoch: u64) -> Option<String> {
        if epoch != 0 && epoch < self.fence {
            return Some(format!("fenced by {}", self.fence));
        }
        self.fence = self.fence.max(epoch);
        None
    }

    pub(super) fn append(&mut self, batch: &Append, step: u64) -> String {
        let before = self.fence;
        if let Some(refused) = self.fence(batch.producer.epoch) {
            return refused;
        }
        let last = self.last_counter();
        if batch.counter.is_some_and(|counter| counter > last + 1) {
            // What is refused changes nothing, not even who may write.
            self.fence = before;
            return format!("gap {}", last + 1);
        }
        let mut numbers = Vec::new();
        let mut stored = false;
        for (at, payload) in batch.payloads.iter().enumerate() {
            let counter = batch.counter.map(|counter| counter + at as u64);
            if let Some(counter) = counter.filter(|counter| *counter <= last) {
                numbers.push(self.number_of(counter));
                continue;
            }
            self.frames.push((counter, text(payload.get()).to_owned()));
            numbers.push(self.frames.len());
            stored = true;
        }
        if stored {
            self.seen = step;
            self.happened(batch.end.as_ref().map_or(Event::Frame, |end| Event::Ended(end.status)), step);
        }
        format!("{}..{} {}", numbers[0], numbers[numbers.len() - 1], !stored)
    }

    pub(super) fn happened(&mut self, event: Event, step: u64) {
        let before = self.status;
        self.status = before.after(event, self.owner);
        if self.status == Status::Running {
            self.completed = 0;
        } else if self.completed == 0 {
            self.completed = step;
        }
    }

    pub(super) fn page(&self, after: Cursor) -> String {
        let head = self.head();
        let bare = after.epoch == Epoch(0) && (!self.reborn || after.seq == Seq(0));
        if (after.epoch != self.epoch && !bare) || after.seq.0 > head {
            return format!("foreign {head}");
        }
        let from = self.trimmed.max(usize::try_from(after.seq.0).unwrap());
        let texts: Vec<&str> = self.frames[from..].iter().map(|(_, text)| text.as_str()).collect();
        format!("{} {texts:?}", self.status.word())
    }
}
