//! A release as `.ktl.yaml` describes it.

use std::time::Duration;

use crate::finding::Finding;
use crate::text::{Span, Spanned};

/// An entry of `releases`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its name, which is also Helm's.
    pub name: Spanned<String>,
    /// The whole entry.
    pub entry: Span,
    /// A directory, a `.tgz`, `oci://…` or `repo/name`.
    pub chart: Option<Spanned<String>>,
    /// The chart's version, for charts from a repository.
    pub chart_version: Option<Spanned<String>>,
    /// The namespace to install into.
    pub namespace: Option<Spanned<String>>,
    /// The cluster.
    pub cluster: Option<ClusterRef>,
    /// Values files, low to high, as written.
    pub values: Vec<Spanned<String>>,
    /// Single values over the files, in the order of the text.
    pub set: Vec<SetValue>,
    /// How to apply it.
    pub apply: ApplyOptions,
    /// Labels of the user's own.
    pub tags: Vec<String>,
    /// What this version does not do yet and must not pretend to: each stops an operation on this release.
    pub blocked: Vec<Finding>,
}

/// A cluster as a release names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterRef {
    /// The agent's name for it.
    pub name: Option<Spanned<String>>,
    /// The kubeconfig's path as written, `~` included.
    pub kubeconfig: Option<Spanned<String>>,
    /// The context in the kubeconfig.
    pub context: Option<Spanned<String>>,
}

/// One value given beside the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetValue {
    /// Which of Helm's flags it is for.
    pub kind: SetKind,
    /// The flag's argument: `image.tag=1.27`.
    pub expression: String,
    /// Where it is written: the item of a list without its quotes, key and value of a map.
    pub span: Span,
}

/// Helm's flags that set single values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// `--set`.
    Value,
    /// `--set-string`.
    String,
    /// `--set-json`.
    Json,
    /// `--set-file`.
    File,
    /// `--set-literal`.
    Literal,
}

impl SetKind {
    /// Helm's flag.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Value => "--set",
            Self::String => "--set-string",
            Self::Json => "--set-json",
            Self::File => "--set-file",
            Self::Literal => "--set-literal",
        }
    }
}

/// `apply` of a release, with what holds where it says nothing.
// Switches of the file, each on its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Whether helm itself waits; unset: helm does not, and the rollout is watched all the same.
    pub wait: Option<bool>,
    /// Whether a failed upgrade is rolled back.
    pub atomic: bool,
    /// How long the whole may take.
    pub timeout: Duration,
    /// Whether a missing namespace is created.
    pub create_namespace: bool,
    /// Whether helm is stopped once the cause of a failure is certain.
    pub fail_fast: bool,
    /// Whether to wait for another operation on the release, or refuse.
    pub queue: bool,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            wait: None,
            atomic: false,
            timeout: Duration::from_mins(5),
            create_namespace: false,
            fail_fast: false,
            queue: true,
        }
    }
}
