//! From the tree of a file to what it says.

use std::time::Duration;

use super::{
    AgentSettings, ApplyOptions, ClusterRef, Config, Parsed, Release, SetKind, SetValue, TlsSettings,
};
use crate::finding::{Finding, Place, Severity};
use crate::text::Spanned;
use crate::yaml::scalar::{self, Scalar};
use crate::yaml::{self, Node, Tree};

pub(super) fn parse(path: &str, text: &str) -> Parsed {
    let tree = Tree::parse(text);
    let findings = yaml::problem(text)
        .map(|problem| {
            Finding::at(Place::new(path, problem.span), Severity::Error, "config-syntax", problem.words)
        })
        .into_iter()
        .collect();
    let Some(root) = tree.root() else { return Parsed { config: Config::default(), findings } };
    let releases = if path.rsplit('/').next() == Some("release.yaml") {
        release(root).into_iter().collect()
    } else {
        root.get("releases").into_iter().flat_map(Node::items).filter_map(release).collect()
    };
    Parsed { config: Config { agent: root.get("agent").map(agent), releases }, findings }
}

fn agent(node: Node<'_>) -> AgentSettings {
    let tls = node.get("tls");
    let tls_field = |key| tls.and_then(|tls| text(tls, key));
    AgentSettings {
        address: text(node, "address"),
        tls: TlsSettings {
            ca: tls_field("ca"),
            server_name: tls_field("serverName"),
            cert: tls_field("cert"),
            key: tls_field("key"),
        },
        token_env: text(node, "tokenEnv"),
        token_file: text(node, "tokenFile"),
        http: text(node, "http"),
        shared_paths: flag(node, "sharedPaths").unwrap_or_default(),
    }
}

fn release(node: Node<'_>) -> Option<Release> {
    Some(Release {
        name: text(node, "name")?,
        entry: node.span(),
        chart: text(node, "chart"),
        chart_version: text(node, "chartVersion"),
        namespace: text(node, "namespace"),
        cluster: node.get("cluster").map(|node| ClusterRef {
            name: text(node, "name"),
            kubeconfig: text(node, "kubeconfig"),
            context: text(node, "context"),
        }),
        values: texts(node, "values"),
        set: set_values(node),
        apply: node.get("apply").map(apply).unwrap_or_default(),
        tags: texts(node, "tags").into_iter().map(|tag| tag.value).collect(),
        blocked: Vec::new(),
    })
}

fn apply(node: Node<'_>) -> ApplyOptions {
    let default = ApplyOptions::default();
    ApplyOptions {
        wait: flag(node, "wait"),
        atomic: flag(node, "atomic").unwrap_or(default.atomic),
        timeout: text(node, "timeout").and_then(|text| duration(&text.value)).unwrap_or(default.timeout),
        create_namespace: flag(node, "createNamespace").unwrap_or(default.create_namespace),
        fail_fast: flag(node, "failFast").unwrap_or(default.fail_fast),
        queue: flag(node, "queue").unwrap_or(default.queue),
    }
}

fn set_values(node: Node<'_>) -> Vec<SetValue> {
    const KEYS: [(&str, SetKind); 5] = [
        ("set", SetKind::Value),
        ("setString", SetKind::String),
        ("setJson", SetKind::Json),
        ("setFile", SetKind::File),
        ("setLiteral", SetKind::Literal),
    ];
    let mut values = Vec::new();
    for (key, kind) in KEYS {
        let Some(node) = node.get(key) else { continue };
        for item in node.items() {
            let Some(text) = item.text() else { continue };
            values.push(SetValue { kind, expression: text.to_owned(), span: item.span() });
        }
        for entry in node.entries() {
            let (Some(name), Some(value)) = (entry.key.text(), entry.value.text()) else { continue };
            values.push(SetValue { kind, expression: format!("{name}={value}"), span: entry.span() });
        }
    }
    values
}

fn text(node: Node<'_>, key: &str) -> Option<Spanned<String>> {
    let value = node.get(key)?;
    let text = value.text().filter(|_| !value.is_null())?;
    Some(Spanned::new(text.to_owned(), value.span()))
}

fn texts(node: Node<'_>, key: &str) -> Vec<Spanned<String>> {
    let items = node.get(key).into_iter().flat_map(Node::items);
    items.filter_map(|item| Some(Spanned::new(item.text()?.to_owned(), item.span()))).collect()
}

fn flag(node: Node<'_>, key: &str) -> Option<bool> {
    match scalar::resolve(node.get(key)?.resolved())? {
        Scalar::Bool(value) => Some(value),
        _ => None,
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => number,
        "m" => number.checked_mul(60)?,
        "h" => number.checked_mul(3600)?,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}
