//! `.ktl.yaml`, and `stack.yaml` and `release.yaml` beside it: what they say, and what is wrong with them.
//!
//! Reading never fails: what cannot be understood is a finding on its place, and the rest counts. One table of keys
//! (`keys`) decides what is known, how it is typed, what is not done yet, and what the JSON Schema says.

mod check;
pub mod duration;
mod help;
mod keys;
mod read;
mod release;
mod schema;

use serde_json::Value;

use crate::finding::Finding;
use crate::text::Spanned;
use crate::yaml::Tree;

pub use help::{Help, help};
pub use release::{ApplyOptions, ClusterRef, Release, SetKind, SetValue};

/// What reading a file gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What the file says, as far as it could be understood.
    pub config: Config,
    /// What is wrong with it, in the order of the text.
    pub findings: Vec<Finding>,
}

/// A `.ktl.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The agent to use; `None`: one is started on this machine.
    pub agent: Option<AgentSettings>,
    /// The releases, in order. Of two with one name the first.
    pub releases: Vec<Release>,
}

/// How to reach an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentSettings {
    /// `https://host:port` or `http://host:port`.
    pub address: Option<Spanned<String>>,
    /// Certificates.
    pub tls: TlsSettings,
    /// The environment variable that holds the token.
    pub token_env: Option<Spanned<String>>,
    /// The file that holds the token.
    pub token_file: Option<Spanned<String>>,
    /// The address of its HTTP side, for an agent that does not tell it.
    pub http: Option<Spanned<String>>,
    /// Whether the agent sees the same disk (a Go agent only).
    pub shared_paths: bool,
}

/// Files for TLS, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Trusted certificates, PEM.
    pub ca: Option<Spanned<String>>,
    /// The name the certificate must have, where it is not the host.
    pub server_name: Option<Spanned<String>>,
    /// The client's certificate, PEM.
    pub cert: Option<Spanned<String>>,
    /// The client's key, PEM.
    pub key: Option<Spanned<String>>,
}

/// Whether a file describes releases: a `.ktl.yaml` does, a `stack.yaml` or `release.yaml` where its content is ours and
/// not that of another tool with a file of that name. Which one it is, the name in `path` says.
pub fn describes_releases(path: &str, text: &str) -> bool {
    let file = read::File::of(path);
    file == read::File::Ktl || text.len() <= read::MAX_BYTES && read::is_ours(file, &Tree::parse(text))
}

/// Reads a `.ktl.yaml`, `stack.yaml` or `release.yaml`; which one, the name in `path` says. Never fails. A file that is
/// another tool's says nothing.
pub fn parse(path: &str, text: &str) -> Parsed {
    read::parse(path, text)
}

/// The JSON Schema of `.ktl.yaml`, made from the table that also drives [`parse`].
pub fn json_schema() -> Value {
    schema::schema()
}

#[cfg(test)]
mod tests;
