//! Standard output that may be closed at any time, and complaints beside it.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

/// Prints lines for as long as somebody reads them.
#[derive(Debug, Default)]
pub(super) struct Output {
    closed: bool,
}

impl Output {
    /// Prints one line. A reader that went away (`| head`) is not an error, and nothing more is printed.
    pub(super) fn line(&mut self, line: impl Display) {
        if !self.closed {
            let mut stdout = io::stdout().lock();
            self.closed = writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err();
        }
    }

    /// Whether the reader went away.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Says what is wrong, to the person and not to the reader of the output.
pub(super) fn complain(message: impl Display) {
    let _ = writeln!(io::stderr(), "ktl-lsp: {message}");
}

/// Whether the output goes to a person, and not into a file or another program.
pub(super) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// Whether colors help: a terminal, and nobody who asked for none.
pub(super) fn wants_color() -> bool {
    is_watched() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
