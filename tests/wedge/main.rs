//! The wire that cannot wedge: every way in which an editor, an agent, or our own code, can misbehave on the language
//! server's wires, over standard input and output, against the built binary. The agent is a scripted one.
//!
//! No test sleeps to wait, none measures time: where something must not be late, it must come before something that
//! cannot be early. What needs a misbehaving handler runs against the binary built with `--features fault-injection`,
//! everything else against the one that ships.

#![allow(clippy::unwrap_used)] // Tests fail by panicking, here and in what they share.

mod agent;
#[allow(dead_code)] // Shared with other suites, which use other parts of it.
#[path = "../support/editor.rs"]
mod editor;
#[allow(dead_code)] // As above.
#[path = "../support/profile.rs"]
mod profile;
#[allow(dead_code)] // As above.
#[path = "../support/wire.rs"]
mod wire;

mod bare;
mod busy;
mod documents;
mod ending;
mod frames;
mod ladder;
mod lifecycle;
mod order;
mod panics;
mod scene;
mod silence;
mod unanswered;
mod watched;

use std::path::{Path, PathBuf};

use editor::Editor;

/// The binary that ships.
fn shipped() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ktl-lsp"))
}

/// An editor on the shipped binary, after the handshake.
fn ready() -> Editor {
    Editor::ready(shipped(), &profile::silent())
}

/// An editor on the binary with faults, after the handshake; `None`, and a word about it, where there is no such binary.
fn ready_for_faults() -> Option<Editor> {
    let Some(folder) = std::env::var_os("KTL_TEST_FAULT_BIN") else {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "KTL_TEST_FAULT_BIN is not set; build ktl-lsp with --features fault-injection and name its folder"
        );
        eprintln!("skipped: KTL_TEST_FAULT_BIN is not set, and this needs a server that misbehaves");
        return None;
    };
    Some(Editor::ready(&PathBuf::from(folder).join("ktl-lsp"), &profile::silent()))
}
