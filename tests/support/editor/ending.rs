//! How the test editor and its server part, and what may be left over then: nothing that nobody expected.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::receiving::is_refusal;
use super::{Editor, PATIENCE};

impl Editor {
    /// Leaves as the protocol says, and expects nothing to be left over.
    pub(crate) fn quit(mut self) {
        assert_eq!(self.call("shutdown", Value::Null), Ok(Value::Null));
        self.notify("exit", Value::Null);
        assert_eq!(self.ended(), 0, "after shutdown the exit code is 0");
    }

    /// Kills the server, as a crash or an impatient user does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server can be killed");
        self.finished = true;
    }

    /// Like [`Editor::ended`], without reading what the server said meanwhile.
    pub(crate) fn exit_code_unread(mut self) -> i32 {
        self.finished = true;
        self.wait_code()
    }

    /// Waits for the end of the process; its exit code. What the server said is checked here.
    pub(crate) fn ended(mut self) -> i32 {
        self.finished = true;
        let code = self.wait_code();
        // The pipe is at its end now, so this ends.
        while let Ok(received) = self.inbox.recv_timeout(PATIENCE) {
            self.accept(received);
        }
        self.check_leftovers();
        code
    }

    fn wait_code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the server can be waited for") {
                return status
                    .code()
                    .unwrap_or_else(|| panic!("the server died: {status}{}", self.stderr.tail()));
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("the server did not end{}", self.stderr.tail());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn check_leftovers(&mut self) {
        for message in &self.pending {
            if is_refusal(message) || message["method"] == "window/showMessage" {
                self.unexpected.push(message.to_string());
            }
        }
        if !self.panics_expected && self.stderr.contains("panicked") {
            self.unexpected.push("a panic".to_owned());
        }
        assert!(self.unexpected.is_empty(), "nobody expected {:#?}{}", self.unexpected, self.stderr.tail());
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let left_running = !self.finished && matches!(self.child.try_wait(), Ok(None));
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A reader that was stopped must be able to end.
        self.gate.open();
        assert!(
            thread::panicking() || !left_running,
            "the test left its server running; end with `quit` or `ended`"
        );
    }
}
