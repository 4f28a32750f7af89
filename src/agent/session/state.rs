//! The states of a session and every way between them.

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Frames are still expected.
    Running,
    /// Ended well.
    Done,
    /// Ended badly.
    Error,
    /// Stopped because somebody asked.
    Cancelled,
    /// Whoever wrote it is gone without a word.
    Lost,
}

/// Who writes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An operation of this agent.
    Agent,
    /// A client, through the public API.
    Publisher,
}

/// What can happen to the state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame was appended.
    Frame,
    /// The operation said how it ended.
    Ended(Status),
    /// A client set the state through the public API.
    Reported(Status),
}

impl Status {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Running, Self::Done, Self::Error, Self::Cancelled, Self::Lost];

    /// Whether nothing more is expected.
    pub fn is_terminal(self) -> bool {
        self != Self::Running
    }

    /// The state after `event` in a session of `owner`. Total: an event that may change nothing changes nothing.
    ///
    /// A terminal state stays, with two exceptions. A reported error overwrites an end that was not one, because
    /// the public API's states only climb and its clients count on it. And a publisher that was given up for lost
    /// and speaks again was not lost; an operation's session, which the agent itself gave up, stays so.
    #[must_use]
    pub fn after(self, event: Event, owner: Owner) -> Self {
        match (self, event) {
            (Self::Running, Event::Ended(next) | Event::Reported(next)) => next,
            (Self::Done | Self::Cancelled, Event::Reported(Self::Error)) => Self::Error,
            (Self::Lost, Event::Frame) if owner == Owner::Publisher => Self::Running,
            (stays, _) => stays,
        }
    }

    /// The state in one lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> impl Iterator<Item = Event> {
        let said = Status::ALL.into_iter().flat_map(|s| [Event::Ended(s), Event::Reported(s)]);
        said.chain([Event::Frame])
    }

    #[test]
    fn a_terminal_state_stays_but_for_the_two_exceptions() {
        for owner in [Owner::Agent, Owner::Publisher] {
            for status in Status::ALL.into_iter().filter(|s| s.is_terminal()) {
                for event in events() {
                    let next = status.after(event, owner);
                    let error_over_done = event == Event::Reported(Status::Error)
                        && matches!(status, Status::Done | Status::Cancelled);
                    let back = status == Status::Lost && event == Event::Frame && owner == Owner::Publisher;
                    assert_eq!(next != status, error_over_done || back, "{status:?} {event:?} {owner:?}");
                }
            }
        }
    }

    #[test]
    fn a_running_session_takes_the_end_it_is_told() {
        for end in Status::ALL {
            assert_eq!(Status::Running.after(Event::Ended(end), Owner::Agent), end);
        }
        assert_eq!(Status::Running.after(Event::Frame, Owner::Agent), Status::Running);
    }

    #[test]
    fn a_lost_operation_is_not_revived_by_a_frame() {
        assert_eq!(Status::Lost.after(Event::Frame, Owner::Agent), Status::Lost);
        assert_eq!(Status::Lost.after(Event::Frame, Owner::Publisher), Status::Running);
    }
}
