//! What holds for every release of a file, and a release built upon it.

use super::fields::{flag, set_values, text, texts};
use crate::config::{ApplyOptions, ClusterRef, Release, SetValue, duration};
use crate::finding::Finding;
use crate::text::Spanned;
use crate::yaml::Node;

/// A stack's `defaults`, and what in the file's head stops every operation.
#[derive(Default)]
pub(super) struct Defaults {
    cluster: ClusterRef,
    namespace: Option<Spanned<String>>,
    values: Vec<Spanned<String>>,
    set: Vec<SetValue>,
    apply: ApplyOptions,
    tags: Vec<String>,
    blocked: Vec<Finding>,
    /// The guards of the file's own `verify`, which a release may replace by its own.
    blocked_by_verify: Vec<Finding>,
}

impl Defaults {
    pub(super) fn none() -> Self {
        Self::default()
    }

    pub(super) fn of(root: Node<'_>, is_stack: bool, blocked: Vec<Finding>) -> Self {
        let node = root.get("defaults").filter(|_| is_stack);
        let verify = node.unwrap_or(root).get("verify").map(Node::span);
        let inside = |finding: &Finding| {
            let span = finding.place.as_ref().map(|place| place.span);
            span.zip(verify).is_some_and(|(span, verify)| verify.contains(span.start))
        };
        let (blocked_by_verify, blocked) = blocked.into_iter().partition(inside);
        let head = Self { blocked, blocked_by_verify, ..Self::default() };
        let Some(node) = node else { return head };
        Self {
            cluster: node.get("cluster").map(cluster).unwrap_or_default(),
            namespace: text(node, "namespace"),
            values: texts(node, "values"),
            set: set_values(node),
            apply: apply(node, ApplyOptions::default()),
            tags: texts(node, "tags").into_iter().map(|tag| tag.value).collect(),
            ..head
        }
    }

    /// The release that an entry describes; `None` without a name.
    pub(super) fn release(&self, node: Node<'_>, own_blocked: Vec<Finding>) -> Option<Release> {
        let own = node.get("cluster").map(cluster).unwrap_or_default();
        let cluster = ClusterRef {
            name: own.name.or_else(|| self.cluster.name.clone()),
            kubeconfig: own.kubeconfig.or_else(|| self.cluster.kubeconfig.clone()),
            context: own.context.or_else(|| self.cluster.context.clone()),
        };
        let mut blocked = own_blocked;
        blocked.extend(self.blocked.iter().cloned());
        if node.get("verify").and_then(|verify| verify.get("mode")).is_none_or(Node::is_null) {
            blocked.extend(self.blocked_by_verify.iter().cloned());
        }
        let tags = texts(node, "tags").into_iter().map(|tag| tag.value);
        Some(Release {
            name: text(node, "name")?,
            entry: node.resolved().span(),
            chart: text(node, "chart"),
            chart_version: text(node, "chartVersion"),
            namespace: text(node, "namespace").or_else(|| self.namespace.clone()),
            cluster: (cluster != ClusterRef::default()).then_some(cluster),
            values: self.values.iter().cloned().chain(texts(node, "values")).collect(),
            set: self.set.iter().cloned().chain(set_values(node)).collect(),
            apply: apply(node, self.apply.clone()),
            tags: self.tags.iter().cloned().chain(tags).collect(),
            blocked,
        })
    }
}

fn cluster(node: Node<'_>) -> ClusterRef {
    ClusterRef {
        name: text(node, "name"),
        kubeconfig: text(node, "kubeconfig"),
        context: text(node, "context"),
    }
}

fn apply(node: Node<'_>, otherwise: ApplyOptions) -> ApplyOptions {
    let Some(node) = node.get("apply") else { return otherwise };
    let timeout = text(node, "timeout")
        .and_then(|text| duration::parse(&text.value))
        .filter(|timeout| !timeout.is_zero());
    ApplyOptions {
        wait: flag(node, "wait").or(otherwise.wait),
        atomic: flag(node, "atomic").unwrap_or(otherwise.atomic),
        timeout: timeout.unwrap_or(otherwise.timeout),
        create_namespace: flag(node, "createNamespace").unwrap_or(otherwise.create_namespace),
        fail_fast: flag(node, "failFast").unwrap_or(otherwise.fail_fast),
        queue: flag(node, "queue").unwrap_or(otherwise.queue),
    }
}
