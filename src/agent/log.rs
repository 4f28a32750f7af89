//! The agent's own log: lines on standard error, which pass the same door as everything that is stored.
//!
//! An error may carry what a server, a credential plugin or a file said. Whoever logs it does not have to think of
//! that: the only way to the log leads through [`Memory::mask_log`], which also knows the values of all sessions.

use std::{
    io::{self, IsTerminal as _, Write},
    panic,
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::mask::Memory;

/// The client of the cluster logs what credential plugins print; what matters of it is in the sessions, masked.
const QUIET: &str = "info,kube_client=off,kube_runtime=off";

/// Logs from now on, panics too. `memory` is that of the journal, so that values of its sessions are hidden.
pub fn init(memory: &Memory) {
    let filter = EnvFilter::try_from_env("KTL_LOG").unwrap_or_else(|_| EnvFilter::new(QUIET));
    let colors = io::stderr().is_terminal();
    let door = Door { memory: memory.clone(), out: io::stderr };
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colors).with_writer(door).init();
    let memory = memory.clone();
    panic::set_hook(Box::new(move |panic| {
        let words = memory.mask_log(&format!("{panic}\n"));
        // There is nobody left to tell when this fails.
        let _ = io::stderr().write_all(words.as_bytes());
    }));
}

/// Makes a writer for each line.
struct Door<M> {
    memory: Memory,
    out: M,
}

impl<'a, W: Write, M: Fn() -> W + 'a> MakeWriter<'a> for Door<M> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { memory: &self.memory, out: (self.out)() }
    }
}

/// One line, which comes as a whole.
struct Line<'a, W> {
    memory: &'a Memory,
    out: W,
}

impl<W: Write> Write for Line<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let masked = self.memory.mask_log(&String::from_utf8_lossy(bytes));
        self.out.write_all(masked.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{mask::MarkKey, session::SessionId};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_secret_is_logged() {
        let (paper, memory) = (Paper::default(), Memory::default());
        let _known = memory.masker(&MarkKey::random(), &SessionId::mint(), ["canary-4711".to_owned()]);
        let out = paper.clone();
        let door = Door { memory, out: move || out.clone() };
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(door).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(error = "cannot reach https://me:hunter2@x/", "it said canary-4711");
        });
        let said = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert!(said.contains("cannot reach https://me:") && said.ends_with('\n'), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("canary-4711"), "{said}");
    }
}
