//! A follower: a cursor that reads pages. Replay and live are the same loop.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::{sync::watch, time::timeout};

use super::followers::Place;
use crate::{
    frame::Frame,
    session::{Cursor, Epoch, Seq, SessionId, Status},
    store::{Heading, Page, PageLimit, SessionStore, StoreError},
};

/// What a follower is told, in order.
#[allow(clippy::large_enum_variant)] // Nearly all of them are frames: a box would cost each one an allocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// The next frame.
    Frame(Frame),
    /// All frames up to `head` were sent; what follows is live. Said once.
    CaughtUp {
        /// The last frame.
        head: Seq,
    },
    /// These frames are not there any more.
    Gap {
        /// The first that is missing.
        from: Seq,
        /// The last that is missing.
        to: Seq,
        /// Why: "retention" or "damaged".
        reason: &'static str,
    },
    /// The cursor belongs to another history: start again after `(epoch, first - 1)`. Nothing follows.
    Resync {
        /// The history there is.
        epoch: Epoch,
        /// Its oldest frame.
        first: Seq,
        /// Its last frame.
        head: Seq,
    },
    /// Nothing has happened for a while.
    Heartbeat {
        /// The last frame.
        head: Seq,
    },
    /// The session has ended and every frame of it was sent. Nothing follows, but in a tail.
    End {
        /// How.
        status: Status,
        /// 0 done, 1 failed, 130 cancelled.
        exit_code: i32,
        /// One sentence.
        message: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The session's end.
    End,
    /// The caller leaves.
    Left,
    /// The head, as it is when all before it was sent.
    Head,
}

/// The state of one follower.
pub(super) struct Follower {
    store: Arc<dyn SessionStore>,
    more: watch::Receiver<u64>,
    place: Place,
    id: SessionId,
    after: Cursor,
    heartbeat: Duration,
    until: Until,
    waiting: VecDeque<Followed>,
    caught_up: bool,
    told_end: bool,
    over: bool,
}

impl Follower {
    pub(super) fn new(
        store: Arc<dyn SessionStore>,
        more: watch::Receiver<u64>,
        place: Place,
        id: SessionId,
        after: Cursor,
        heartbeat: Duration,
    ) -> Self {
        let (waiting, until) = (VecDeque::new(), Until::End);
        let (caught_up, told_end, over) = (false, false, false);
        Self { store, more, place, id, after, heartbeat, until, waiting, caught_up, told_end, over }
    }

    pub(super) fn past_the_end(self) -> Self {
        Self { until: Until::Left, ..self }
    }

    pub(super) fn up_to_the_head(self) -> Self {
        Self { until: Until::Head, ..self }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Followed, StoreError>> + Send {
        stream::unfold(self, |mut follower| async move {
            let next = follower.next().await?;
            Some((next, follower))
        })
    }

    async fn next(&mut self) -> Option<Result<Followed, StoreError>> {
        loop {
            if let Some(next) = self.waiting.pop_front() {
                match &next {
                    Followed::Frame(frame) => self.place.took(frame.seq),
                    Followed::Gap { to, .. } => self.place.took(*to),
                    _ => {}
                }
                return Some(Ok(next));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.read().await {
                self.over = true;
                return Some(Err(error));
            }
        }
    }

    /// Reads a page, or waits until there may be one. Puts at least one thing into `waiting`, or nothing when the
    /// loop has to come again.
    async fn read(&mut self) -> Result<(), StoreError> {
        // Seen before the read: a write that comes during it wakes the wait below.
        self.more.mark_unchanged();
        let page = match self.store.page(&self.id, self.after, PageLimit::default()).await {
            // A tail may be there before its session is.
            Err(StoreError::NotFound(_)) if self.until == Until::Left && self.after == Cursor::START => {
                let _ = timeout(self.heartbeat, self.more.changed()).await;
                return Ok(());
            }
            page => page?,
        };
        match page {
            Page::Foreign(Heading { epoch, first, head, .. }) => {
                self.waiting.push_back(Followed::Resync { epoch, first, head });
                self.over = true;
            }
            Page::Frames(heading, frames) => {
                self.after.epoch = heading.epoch;
                self.push(&heading, frames);
                if self.after.seq >= heading.head {
                    self.at_the_head(heading).await;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, heading: &Heading, frames: Vec<Frame>) {
        let nothing = frames.is_empty();
        for frame in frames {
            self.skip_to(frame.seq, heading);
            self.after.seq = frame.seq;
            self.waiting.push_back(Followed::Frame(frame));
        }
        if nothing {
            self.skip_to(heading.head.next(), heading);
        }
    }

    /// Says what is missing before `next`. Retention takes the oldest frames; a hole behind them is damage.
    fn skip_to(&mut self, next: Seq, heading: &Heading) {
        for (before, reason) in [(next.min(heading.first), "retention"), (next, "damaged")] {
            let from = self.after.seq.next();
            if before > from {
                let to = Seq(before.0 - 1);
                self.waiting.push_back(Followed::Gap { from, to, reason });
                self.after.seq = to;
            }
        }
    }

    /// Everything there is was sent or waits in `waiting`.
    async fn at_the_head(&mut self, heading: Heading) {
        let Heading { head, status, exit_code, message, .. } = heading;
        if !self.caught_up {
            self.caught_up = true;
            self.waiting.push_back(Followed::CaughtUp { head });
        }
        let ended = status.is_terminal() && self.until != Until::Head;
        if ended && !self.told_end {
            self.waiting.push_back(Followed::End { status, exit_code, message });
        }
        // A publisher that was lost may speak again, and end once more.
        self.told_end = ended;
        self.over = self.until == Until::Head || (ended && self.until == Until::End);
        if self.over || !self.waiting.is_empty() {
            return;
        }
        if timeout(self.heartbeat, self.more.changed()).await.is_err() {
            self.waiting.push_back(Followed::Heartbeat { head });
        }
    }
}
