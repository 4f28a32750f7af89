//! From the tree of a file to what it says.

mod defaults;
mod fields;

use std::collections::HashMap;

use super::check::{Check, TOO_LARGE};
use super::keys::{KTL, RELEASE, RELEASE_FILE, STACK, Shape};
use super::{AgentSettings, Config, Parsed, Release, TlsSettings};
use crate::finding::{Finding, Place, Severity};
use crate::text::Span;
use crate::values;
use crate::yaml::{self, Node, Tree};
use defaults::Defaults;
use fields::{flag, text};

/// The longest file that is read, in bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// The most releases that are read.
const MAX_RELEASES: usize = 1000;

/// Which of the files it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    Ktl,
    Stack,
    Release,
}

impl File {
    pub(super) fn of(path: &str) -> Self {
        match path.rsplit(['/', '\\']).next().unwrap_or_default() {
            "stack.yaml" | "stack.yml" => Self::Stack,
            "release.yaml" | "release.yml" => Self::Release,
            _ => Self::Ktl,
        }
    }
}

/// Whether what stands in the file makes it one of ours. Docker, Stack, Flux and many a workflow have files of the two
/// generic names too, so there the content decides: a format of ours, or else the keys that no release can do without.
pub(super) fn is_ours(file: File, tree: &Tree) -> bool {
    let root = tree.root();
    let has = |key| root.is_some_and(|root| root.get(key).is_some());
    let format = root.and_then(|root| root.get("apiVersion")).and_then(Node::text);
    match (file, format) {
        (File::Ktl, _) => true,
        (_, Some(format)) => format.starts_with("ktl"),
        (File::Stack, None) => has("releases"),
        (File::Release, None) => has("name") && has("chart"),
    }
}

pub(super) fn parse(path: &str, text: &str) -> Parsed {
    let mut check = Check::new(path, text);
    if text.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes; ktl reads at most {MAX_BYTES}: move values to files of their own",
            text.len()
        );
        check.error(Span::new(0, text.len().min(200)).first_line(text), TOO_LARGE, message);
        return Parsed { config: Config::default(), findings: check.findings };
    }
    let (file, tree) = (File::of(path), Tree::parse(text));
    if !is_ours(file, &tree) {
        return Parsed::default();
    }
    let scan = yaml::scan(text);
    if let Some(problem) = &scan.problem {
        check.push(values::syntax(path, "config-syntax", problem));
    }
    if let Some(span) = scan.second_document {
        let message = "only the first document of this file is read; everything from here on is ignored";
        check.report(span, Severity::Warning, "config-second-document", message);
    }
    for alias in tree.unknown_aliases() {
        let message =
            format!("unknown anchor: no `&{}` stands above", alias.of(text).trim_start_matches('*'));
        check.error(*alias, "config-unknown-anchor", message);
    }
    let config = tree.root().map(|root| read(&mut check, root, file)).unwrap_or_default();
    let mut findings = check.findings;
    // What the repair of a broken text left out is not missing.
    if tree.is_repaired() {
        findings.retain(|finding| finding.code != "config-missing-key");
    }
    findings.sort_by_key(|finding| finding.place.as_ref().map(|place| place.span));
    Parsed { config, findings }
}

fn read(check: &mut Check<'_>, root: Node<'_>, file: File) -> Config {
    let top = Span::new(root.span().start, root.span().start);
    if root.is_null() {
        return Config::default();
    }
    if !root.is_mapping() {
        check.wrong_type(root, top, "a map with `releases`");
        return Config::default();
    }
    if file == File::Release {
        check.object(root, &[RELEASE, RELEASE_FILE], "a release", top);
        check.secret_references(root);
        let release = Defaults::none().release(root, std::mem::take(&mut check.blocked));
        return Config { agent: None, releases: release.into_iter().collect() };
    }
    let table = if file == File::Stack { STACK } else { KTL };
    check.object_except(root, &[table], "this file", top, "releases");
    let defaults = Defaults::of(root, file == File::Stack, std::mem::take(&mut check.blocked));
    let agent = root.get("agent").filter(|node| node.is_mapping()).map(agent);
    Config { agent, releases: releases(check, root, &defaults) }
}

fn releases(check: &mut Check<'_>, root: Node<'_>, defaults: &Defaults) -> Vec<Release> {
    let Some(entry) = root.entry("releases").filter(|entry| !entry.value.is_null()) else {
        return Vec::new();
    };
    if !entry.value.is_sequence() {
        check.wrong_type(entry.value, entry.key.span(), "a list of releases");
        return Vec::new();
    }
    let mut releases: Vec<Release> = Vec::new();
    let mut names: HashMap<String, Span> = HashMap::new();
    for (number, item) in entry.value.items().enumerate() {
        if number == MAX_RELEASES {
            let message =
                format!("more than {MAX_RELEASES} releases; ktl reads no further: use several files");
            check.error(entry.key.span(), TOO_LARGE, message);
            break;
        }
        if item.is_null() {
            check.item(Shape::Object(RELEASE), item, entry.key.span());
            continue;
        }
        check.object(item, &[RELEASE], "a release", entry.key.span());
        check.secret_references(item);
        if check.is_exhausted() {
            break;
        }
        let blocked = std::mem::take(&mut check.blocked);
        let Some(release) = defaults.release(item, blocked) else { continue };
        if let Some(first) = names.get(&release.name.value) {
            let message = format!(
                "two releases are called `{}`: commands choose a release by its name, so this one cannot be reached; \
                 rename it",
                release.name.value
            );
            let place = Place::new(check.path, release.name.span);
            let finding = Finding::at(place, Severity::Error, "config-duplicate-release", message);
            check.push(finding.with_related(Place::new(check.path, *first), "the first one"));
            continue;
        }
        names.insert(release.name.value.clone(), release.name.span);
        releases.push(release);
    }
    releases
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
