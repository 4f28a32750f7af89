//! Follows one session over any number of connections.
//!
//! Promise: every frame after the cursor is handed out once, in order. What the reader has to know besides (the
//! agent is away, an older part is gone, the history started anew) comes in the same stream.

use std::time::Duration;

use ktl_proto::control::v1::{Cursor, End, FollowEvent, FollowRequest, Frame, Gap, follow_event::Event};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};

use super::{Agent, AgentError, backoff::Backoff, link::sessions};

/// How often the agent shall say that it is still there.
const HEARTBEAT_MS: u32 = 5_000;
/// A stream that says nothing for so long is dead, whatever TCP believes.
const SILENCE: Duration = Duration::from_secs(20);

/// What a follower reads.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The next frame.
    Frame(Box<Frame>),
    /// What was recorded has been read; what follows happens now.
    CaughtUp,
    /// Frames that are not there any more.
    Gap(Gap),
    /// The session has another history than the one read so far; that one starts now.
    Restarted,
    /// The agent is away; it is tried again after `retry`.
    Away {
        /// Why, in words for a person.
        why: String,
        /// When it is tried again.
        retry: Duration,
    },
    /// The session has ended; nothing follows.
    End(End),
    /// The session cannot be followed; nothing follows.
    Failed(AgentError),
}

/// A reader of one session.
pub(crate) struct Follower {
    agent: Agent,
    session: String,
    cursor: Place,
    phase: Phase,
    backoff: Backoff,
}

enum Phase {
    Closed,
    Waiting { until: Instant },
    Open { stream: Box<Streaming<FollowEvent>>, link: u64 },
    Over,
}

impl Follower {
    pub(super) fn new(agent: Agent, session: &str) -> Self {
        Self {
            agent,
            session: session.to_owned(),
            cursor: Place { epoch: 0, seq: 0 },
            phase: Phase::Closed,
            backoff: Backoff::default(),
        }
    }

    /// The next thing to know; `None` after the end. Dropping the future loses nothing, so it may stand in a select.
    pub(crate) async fn next(&mut self) -> Option<Followed> {
        loop {
            match &mut self.phase {
                Phase::Over => return None,
                Phase::Waiting { until } => {
                    sleep_until(*until).await;
                    self.phase = Phase::Closed;
                }
                Phase::Closed => match self.open().await {
                    Ok((stream, link)) => self.phase = Phase::Open { stream: Box::new(stream), link },
                    Err(error) => return Some(self.stumble(error)),
                },
                Phase::Open { stream, link } => {
                    let link = *link;
                    let said = match timeout(SILENCE, stream.message()).await {
                        Ok(Ok(Some(event))) => Ok(event.event),
                        Ok(Ok(None)) => Err(Status::unavailable("it closed the stream")),
                        Ok(Err(status)) => Err(status),
                        Err(_) => Err(Status::unavailable(format!("silent for {} s", SILENCE.as_secs()))),
                    };
                    match said {
                        Ok(event) => {
                            self.backoff.reset();
                            if let Some(followed) = event.and_then(|event| self.take(event)) {
                                return Some(followed);
                            }
                        }
                        Err(status) => {
                            self.phase = Phase::Closed;
                            let error = self.agent.refused(link, status).await;
                            return Some(self.stumble(error));
                        }
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<(Streaming<FollowEvent>, u64), AgentError> {
        let link = self.agent.link().await?;
        let request = FollowRequest {
            session_id: self.session.clone(),
            after: Some(Cursor { epoch: self.cursor.epoch, seq: self.cursor.seq }),
            heartbeat_ms: HEARTBEAT_MS,
        };
        match timeout(SILENCE, sessions(link.clone()).follow(request)).await {
            Ok(Ok(response)) => {
                self.agent.here(&link);
                Ok((response.into_inner(), link.number))
            }
            Ok(Err(status)) => Err(self.agent.refused(link.number, status).await),
            Err(_) => {
                self.agent.drop_link(link.number).await;
                Err(AgentError::Deadline { call: "follow", seconds: SILENCE.as_secs() })
            }
        }
    }

    /// An error that may pass is waited out; any other is the last thing said.
    fn stumble(&mut self, error: AgentError) -> Followed {
        // An agent that was followed before may get its new certificate a moment later.
        let waits = matches!(
            error,
            AgentError::Deadline { .. } | AgentError::Local(_) | AgentError::Untrusted { .. }
        );
        if !error.may_pass() && !waits {
            self.phase = Phase::Over;
            return Followed::Failed(error);
        }
        let retry = self.backoff.next();
        self.phase = Phase::Waiting { until: Instant::now() + retry };
        self.agent.away(&error, retry);
        let why = match error {
            AgentError::Unreachable { why, .. } => why,
            other => other.to_string(),
        };
        Followed::Away { why, retry }
    }

    fn take(&mut self, event: Event) -> Option<Followed> {
        match event {
            Event::Frame(frame) => match self.cursor.admit(frame.epoch, frame.seq) {
                Admitted::Next => Some(Followed::Frame(Box::new(frame))),
                Admitted::Repeat => None,
            },
            Event::CaughtUp(_) => Some(Followed::CaughtUp),
            Event::Gap(gap) => {
                self.cursor.seq = self.cursor.seq.max(gap.to);
                Some(Followed::Gap(gap))
            }
            Event::Resync(resync) => {
                self.cursor = Place { epoch: resync.epoch, seq: resync.first.saturating_sub(1) };
                self.phase = Phase::Closed;
                Some(Followed::Restarted)
            }
            Event::Heartbeat(_) => None,
            Event::End(end) => {
                self.phase = Phase::Over;
                Some(Followed::End(end))
            }
        }
    }
}

/// The last frame that was handed out. Epoch 0 is "before everything".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    epoch: u64,
    seq: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Admitted {
    Next,
    Repeat,
}

impl Place {
    /// Takes a frame that was not seen yet. After a reconnect an agent may send what we already have.
    fn admit(&mut self, epoch: u64, seq: u64) -> Admitted {
        if epoch == self.epoch && seq <= self.seq {
            return Admitted::Repeat;
        }
        *self = Self { epoch, seq };
        Admitted::Next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::{AgentState, Target},
        settings::Remote,
    };

    fn follower() -> Follower {
        let agent = Agent::new(Target::Remote(Remote::plain("http://127.0.0.1:1")));
        agent.follow("s")
    }

    fn frame(epoch: u64, seq: u64) -> Event {
        Event::Frame(Frame { epoch, seq, ..Frame::default() })
    }

    fn taken(follower: &mut Follower, event: Event) -> Option<u64> {
        match follower.take(event) {
            Some(Followed::Frame(frame)) => Some(frame.seq),
            _ => None,
        }
    }

    #[test]
    fn no_frame_is_handed_out_twice() {
        let mut follower = follower();
        let seen: Vec<_> =
            [1, 2, 2, 1, 3].into_iter().filter_map(|seq| taken(&mut follower, frame(7, seq))).collect();
        assert_eq!(seen, [1, 2, 3]);
    }

    #[test]
    fn a_resync_starts_the_other_history_before_its_first_frame() {
        let mut follower = follower();
        taken(&mut follower, frame(7, 9));
        let event = Event::Resync(ktl_proto::control::v1::Resync { epoch: 8, first: 4, head: 5 });
        assert!(matches!(follower.take(event), Some(Followed::Restarted)));
        assert_eq!(follower.cursor, Place { epoch: 8, seq: 3 });
        assert_eq!(taken(&mut follower, frame(8, 4)), Some(4));
    }

    #[test]
    fn a_gap_moves_the_cursor_so_that_a_reconnect_does_not_ask_for_it_again() {
        let mut follower = follower();
        taken(&mut follower, frame(7, 1));
        let gap = Gap { from: 2, to: 5, reason: "retention".to_owned() };
        assert!(matches!(follower.take(Event::Gap(gap)), Some(Followed::Gap(_))));
        assert_eq!(follower.cursor.seq, 5);
    }

    #[tokio::test]
    async fn an_agent_that_is_away_is_said_each_time_and_tried_again() {
        let mut follower = follower();
        for _ in 0..2 {
            assert!(matches!(follower.next().await, Some(Followed::Away { .. })));
        }
        assert!(matches!(&*follower.agent.state().borrow(), AgentState::Disconnected { .. }));
    }
}
