//! Charts, values files and `.ktl.yaml` as text with spans, and the blame of a failure on them.
//!
//! Pure: text in, plain data out. Nothing here reads a file, waits, or knows LSP or the protocol.

pub mod blame;
pub mod chart_file;
pub mod config;
pub mod finding;
pub mod suggest;
pub mod text;
pub mod values;
pub mod yaml;

#[cfg(test)]
mod tests;
