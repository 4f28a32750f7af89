//! Notices that the editor is gone although nobody closed our input: an editor that was killed may have left the
//! pipe to another child of its own.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};
use tokio::sync::mpsc::Sender;

use super::{Event, Loss, last_resort};

/// How often a process is looked for where the system cannot tell of its end.
const INTERVAL: Duration = Duration::from_millis(500);

/// Watches the process on a thread of its own; its end is [`Loss::Parent`].
///
/// A process that is not there right now is not watched: it just spoke to us, so its number is one of another
/// process namespace (an editor outside of our container).
pub(crate) fn watch(process_id: i64, events: Sender<Event>) -> io::Result<()> {
    let Some(pid) = i32::try_from(process_id).ok().filter(|id| *id > 0).and_then(Pid::from_raw) else {
        return Ok(());
    };
    if !is_there(pid) {
        tracing::warn!(
            process_id,
            "the client's processId is not a process here; its end will not be noticed"
        );
        return Ok(());
    }
    let run = move || {
        wait_for_end(pid);
        tracing::warn!(process_id, "the client's process ended");
        tell(&events, last_resort);
    };
    thread::Builder::new().name("lsp-parent".into()).spawn(run)?;
    Ok(())
}

/// Says that the client is gone. The queue may be full because the server hangs, so the last resort does not wait for
/// a place in it.
fn tell(events: &Sender<Event>, last_resort: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name("lsp-last-resort".into()).spawn(last_resort) {
        tracing::warn!(%error, "no thread for the last resort");
    }
    let _ = events.blocking_send(Event::Lost(Loss::Parent));
}

fn wait_for_end(pid: Pid) {
    // A descriptor tells at once, and cannot mistake a new process of the same number for the old one.
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => {
            while let Err(Errno::INTR) = poll(&mut [PollFd::new(&process, PollFlags::IN)], None) {}
        }
        Err(_) => {
            while is_there(pid) {
                thread::sleep(INTERVAL);
            }
        }
    }
}

fn is_there(pid: Pid) -> bool {
    // Not allowed to signal it means that it exists.
    matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_end_of_the_process_is_noticed_before_anybody_reaps_it() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let waiter = thread::spawn(move || wait_for_end(pid));
        assert!(is_there(pid));
        drop(child.stdin.take());
        waiter.join().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_is_not_here_is_not_watched() {
        let (events, mut lost) = tokio::sync::mpsc::channel(1);
        for absent in [0, -1, i64::MAX, i64::from(i32::MAX)] {
            watch(absent, events.clone()).unwrap();
        }
        drop(events);
        assert!(lost.blocking_recv().is_none());
    }

    #[test]
    fn the_last_resort_does_not_wait_for_a_server_that_hangs() {
        // Full, and nobody reads.
        let (events, _hanging) = tokio::sync::mpsc::channel(1);
        events.try_send(Event::Lost(Loss::Input)).unwrap();
        let (ended, end) = std::sync::mpsc::channel();
        thread::spawn(move || tell(&events, move || ended.send(()).unwrap()));
        end.recv_timeout(Duration::from_secs(10)).expect("the last resort came");
    }
}
