//! The stories that users live: the built `ktl-lsp` over standard input and output, the agent that it starts, the real
//! helm and a real cluster.
//!
//! Each story has its own state folder, so its own agent, and its own namespace, and leaves neither behind. Nothing
//! sleeps to synchronize: a story that needs an apply to be in the middle uses the `gated` chart, whose hook waits until
//! the story opens its gate. Diagnostics are compared with the annotations of `fixtures/charts`.

#![allow(clippy::unwrap_used)] // Tests fail by panicking, here and in what they share.

#[allow(dead_code)] // Shared with other suites, which use other parts of it.
#[path = "../support/agent.rs"]
mod agent;
#[allow(dead_code)] // As above.
#[path = "../support/cluster.rs"]
mod cluster;
#[allow(dead_code)] // As above.
#[path = "../support/editor.rs"]
mod editor;
#[allow(dead_code)] // As above.
#[path = "../support/http.rs"]
mod http;
#[allow(dead_code)] // As above.
#[path = "../support/profile.rs"]
mod profile;
#[allow(dead_code)] // As above.
#[path = "../support/wire.rs"]
mod wire;
#[allow(dead_code)] // As above.
#[path = "../support/workspace.rs"]
mod workspace;

mod apply;
mod buffers;
mod cancel;
mod commands;
mod doors;
mod failures;
mod interrupted;
mod lenses;
mod options;
mod remote;
mod secrets;
mod shared;
mod story;
mod terminal;
mod tls;
