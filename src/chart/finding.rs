//! A finding: a place, a kind and words, before it is an LSP diagnostic or a frame.

use crate::text::Span;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it is; `None` is an honest "not known" and goes with [`Confidence::None`].
    pub place: Option<Place>,
    /// How bad it is.
    pub severity: Severity,
    /// Stable and short, for filters and documentation: `values-syntax`, `config-unknown-key`, ….
    pub code: &'static str,
    /// How sure the place is.
    pub confidence: Confidence,
    /// Lower case, names the fact and offers the next step.
    pub message: String,
    /// Other places that help to understand it.
    pub related: Vec<Related>,
    /// The object that the cluster refused or that does not come up: `Deployment shop/web`.
    pub object: Option<ObjectRef>,
    /// The field of that object, as the API names it.
    pub field: Option<String>,
    /// Changes that would mend it.
    pub fixes: Vec<Fix>,
}

impl Finding {
    /// A finding on a place that is certain.
    pub fn at(place: Place, severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { place: Some(place), confidence: Confidence::Exact, ..Self::unplaced(severity, code, message) }
    }

    /// A finding whose place is not known.
    pub fn unplaced(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            place: None,
            severity,
            code,
            confidence: Confidence::None,
            message: message.into(),
            related: Vec::new(),
            object: None,
            field: None,
            fixes: Vec::new(),
        }
    }

    /// The same finding with a place that is only probable.
    #[must_use]
    pub fn likely(mut self) -> Self {
        self.confidence = Confidence::Likely;
        self
    }

    /// The same finding with one more place beside it.
    #[must_use]
    pub fn with_related(mut self, place: Place, message: impl Into<String>) -> Self {
        self.related.push(Related { place, message: message.into() });
        self
    }

    /// The same finding with a change that mends it.
    #[must_use]
    pub fn with_fix(mut self, title: impl Into<String>, edits: Vec<Edit>) -> Self {
        self.fixes.push(Fix { title: title.into(), edits });
        self
    }
}

impl Place {
    /// A span in a file.
    pub fn new(file: impl Into<String>, span: Span) -> Self {
        Self { file: file.into(), span }
    }
}

/// A span in a source. The file is the source's path: relative, with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The source's path.
    pub file: String,
    /// The bytes meant, never empty in a non-empty text.
    pub span: Span,
}

/// How bad a finding is, in LSP's four steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// It fails, or will.
    Error,
    /// It works and probably not as meant.
    Warning,
    /// Worth knowing.
    Information,
    /// A nudge.
    Hint,
}

/// How sure a place is. A guess is never shown as exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confidence {
    /// This is the place.
    Exact,
    /// Probably this is the place.
    Likely,
    /// The place is not known.
    None,
}

/// A second place and what it has to do with the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// Why it is shown.
    pub message: String,
}

/// A Kubernetes object by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// `apps/v1`; empty where the failure did not say it.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A change that would mend a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What the user reads: `change to 'namespace'`.
    pub title: String,
    /// The replacements, in no order, that do not overlap.
    pub edits: Vec<Edit>,
}

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty span inserts.
    pub place: Place,
    /// What stands there then.
    pub new_text: String,
}
