//! `Chart.yaml`, as far as places and names in it matter.

use crate::text::{Span, Spanned};
use crate::yaml::{Entry, Node, Tree};

/// A `Chart.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartFile {
    /// `name`.
    pub name: Option<Spanned<String>>,
    /// `version`.
    pub version: Option<Spanned<String>>,
    /// `appVersion`.
    pub app_version: Option<Spanned<String>>,
    /// `apiVersion`.
    pub api_version: Option<Spanned<String>>,
    /// `type`.
    pub kind: Option<Spanned<String>>,
    /// `kubeVersion`.
    pub kube_version: Option<Spanned<String>>,
    /// `dependencies`, in order.
    pub dependencies: Vec<Dependency>,
    /// The first key of the file: the place for what is missing from it.
    pub first_key: Option<Span>,
}

/// An entry of `dependencies`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependency {
    /// `name`.
    pub name: Option<Spanned<String>>,
    /// `alias`.
    pub alias: Option<Spanned<String>>,
    /// `version`.
    pub version: Option<Spanned<String>>,
    /// `repository`.
    pub repository: Option<Spanned<String>>,
    /// The whole entry.
    pub span: Option<Span>,
}

impl Dependency {
    /// What it is called in values and in template paths: the alias, else the name.
    pub fn called(&self) -> Option<&str> {
        self.alias.as_ref().or(self.name.as_ref()).map(|name| name.value.as_str())
    }
}

/// Reads a `Chart.yaml`; what is missing or no text is absent.
pub fn parse(_path: &str, text: &str) -> ChartFile {
    let tree = Tree::parse(text);
    let Some(root) = tree.root() else { return ChartFile::default() };
    let field = |key| text_of(root.entry(key));
    ChartFile {
        name: field("name"),
        version: field("version"),
        app_version: field("appVersion"),
        api_version: field("apiVersion"),
        kind: field("type"),
        kube_version: field("kubeVersion"),
        dependencies: root.get("dependencies").into_iter().flat_map(Node::items).map(dependency).collect(),
        first_key: root.entries().next().map(|entry| entry.key.span()),
    }
}

fn dependency(node: Node<'_>) -> Dependency {
    let field = |key| text_of(node.entry(key));
    Dependency {
        name: field("name"),
        alias: field("alias"),
        version: field("version"),
        repository: field("repository"),
        span: Some(node.span()),
    }
}

fn text_of(entry: Option<Entry<'_>>) -> Option<Spanned<String>> {
    let value = entry?.value;
    let text = value.text().filter(|_| !value.is_null())?;
    Some(Spanned::new(text.to_owned(), value.span()))
}
