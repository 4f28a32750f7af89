//! Watches the objects of a release until they are ready: a feed of what the cluster says, a board that knows what
//! it means, and the facts that follow.
//!
//! Watching begins with the upgrade, beside helm, so that a cause is told while helm still waits. What the user's
//! rights do not allow to watch is said once and then left to helm's own answer.

mod board;
mod cause;
mod feed;
mod logs;
mod told;

pub use board::{Board, Progress};
pub use cause::Cause;
pub use feed::{Feed, Seen};
pub use logs::{Logs, Said};
pub use told::Told;
