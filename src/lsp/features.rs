//! What the editor shows of releases and runs: lenses, code actions, diagnostics.
//!
//! The parts are pure, texts and runs in, plain data out. Only `show_runs` is a task, because findings move while
//! somebody types.

mod actions;
mod diagnostics;
mod lenses;
mod refresh;

pub(crate) use actions::actions;
pub(crate) use diagnostics::show_runs;
pub(crate) use lenses::{Offer, depend_on, labeled, lenses, offers};
pub(crate) use refresh::Refresh;
