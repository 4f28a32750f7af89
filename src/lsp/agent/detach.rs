//! Starts a child in a session of its own, so that closing a terminal or an editor does not end it.

use std::{os::unix::process::CommandExt as _, process::Command};

/// Makes `command` call `setsid` before it runs.
pub(super) fn detached(command: &mut Command) -> &mut Command {
    // SAFETY: the closure runs between fork and exec and calls only setsid, which is async-signal-safe and
    // touches no memory of ours.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        })
    }
}
