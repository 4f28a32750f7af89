//! A process by more than its number: numbers are used again, the start time tells who is meant.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// A process that was seen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Ticks after boot when it began: field 22 of `/proc/PID/stat`.
    pub started: u64,
}

impl Process {
    /// This process.
    pub fn current() -> Option<Self> {
        i32::try_from(std::process::id()).ok().and_then(Self::of)
    }

    /// The live process with this number.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse(&stat).map(|started| Self { pid, started })
    }

    /// Whether exactly this process still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Asks it to end; false when it is gone.
    pub fn terminate(&self) -> bool {
        let pid = Pid::from_raw(self.pid).filter(|_| self.is_alive());
        pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
    }
}

/// The start time; `None` for a process that ended and waits for its parent.
fn parse(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses and may contain anything, so count from its end.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_field_22_whatever_the_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200";
        assert_eq!(parse(stat), Some(98765));
        assert_eq!(parse(&stat.replace(" S ", " Z ")), None);
        assert_eq!(parse("42 (short) S 1"), None);
    }

    #[test]
    fn a_number_used_again_is_another_process() {
        let this = Process::current().unwrap();
        assert!(this.is_alive());
        let other = Process { started: this.started + 1, ..this };
        assert!(!other.is_alive() && !other.terminate());
    }
}
