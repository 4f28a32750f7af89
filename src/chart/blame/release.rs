//! What can only be pinned on the release as a whole: a refusal of the cluster, a rollout that fails, a name.

use super::scene::Scene;
use crate::config::ClusterRef;
use crate::finding::{Finding, ObjectRef, Severity};
use crate::text::{Span, Spanned};

/// A refused or failing object: the place is the release's entry until a renderer with origins knows the line.
pub(super) fn object(
    scene: &Scene<'_>,
    object: &ObjectRef,
    field: Option<&str>,
    reason: &str,
    message: &str,
) -> Finding {
    let field_text = field.map(|field| format!(" {field}")).unwrap_or_default();
    let reason_text = if reason.is_empty() { String::new() } else { format!("{reason}: ") };
    let text = format!("{}{field_text}: {reason_text}{}", shown(object), message.trim());
    let mut finding = on_release(scene, "object-failed", text);
    finding.object = Some(object.clone());
    finding.field = field.map(str::to_owned);
    finding
}

fn shown(object: &ObjectRef) -> String {
    if object.namespace.is_empty() {
        return format!("{} {}", object.kind, object.name);
    }
    format!("{} {}/{}", object.kind, object.namespace, object.name)
}

/// A failure that nobody here understands. It has no place; the release stands beside it.
pub(super) fn unknown(scene: &Scene<'_>, code: &'static str, message: &str) -> Finding {
    let message = if message.is_empty() { "helm failed and printed nothing" } else { message };
    scene.with_release(Finding::unplaced(Severity::Error, code, message), "the release that failed")
}

/// A failure that the cluster had a part in: a finding for each object that it refused, else one for the release.
pub(super) fn refused(scene: &Scene<'_>, message: &str) -> Vec<Finding> {
    if message.is_empty() {
        return vec![unknown(scene, "helm-failed", message)];
    }
    let refusals: Vec<Finding> = message
        .lines()
        .filter_map(invalid_object)
        .map(|invalid| object(scene, &invalid.object, invalid.field, "", invalid.why))
        .collect();
    if refusals.is_empty() {
        return vec![on_release(scene, "upgrade-failed", message.to_owned())];
    }
    refusals
}

fn on_release(scene: &Scene<'_>, code: &'static str, message: String) -> Finding {
    match scene.release_place() {
        Some(place) => Finding::at(place, Severity::Error, code, message).likely(),
        None => Finding::unplaced(Severity::Error, code, message),
    }
}

/// An object that the API server refused, as helm tells it.
struct Invalid<'a> {
    object: ObjectRef,
    field: Option<&'a str>,
    /// The rest of the line: what is wrong with the field, or all of it where it names several fields.
    why: &'a str,
}

/// `Deployment.apps "web" is invalid: spec.replicas: Invalid value: …`.
fn invalid_object(line: &str) -> Option<Invalid<'_>> {
    let (before, why) = line.split_once("\" is invalid: ")?;
    let (before, name) = before.rsplit_once(" \"").or_else(|| before.rsplit_once('"'))?;
    let kind = before.rsplit(|c: char| c.is_whitespace()).next()?;
    let kind = kind.split('.').next()?.to_owned();
    let object =
        ObjectRef { api_version: String::new(), kind, namespace: String::new(), name: name.to_owned() };
    let one_field = why.split_once(": ").filter(|(field, _)| is_path(field));
    let (field, why) = one_field.map_or((None, why), |(field, why)| (Some(field), why));
    Some(Invalid { object, field, why })
}

/// `spec.containers[0].image`, but not the `[` that opens a list of several fields.
fn is_path(field: &str) -> bool {
    !field.is_empty() && !field.starts_with('[') && !field.contains(char::is_whitespace)
}

/// Messages about what `.ktl.yaml` itself says: the release's name, its namespace, its cluster.
pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    if message.contains("invalid release name") {
        let place = scene.release_place()?;
        return Some(vec![Finding::at(place, Severity::Error, "release-name", message)]);
    }
    let release = scene.release.as_ref();
    let (code, spans): (_, Vec<Option<Span>>) = if is_about_namespace(message) {
        ("namespace", vec![release.and_then(|release| span_of(release.namespace.as_ref()))])
    } else {
        let is_about_context = message.contains("context \"") && message.contains("does not exist");
        if !is_about_context && !UNREACHABLE.iter().any(|words| message.contains(words)) {
            return None;
        }
        let cluster = release.and_then(|release| release.cluster.as_ref());
        let field = |of: fn(&ClusterRef) -> Option<&Spanned<String>>| {
            cluster.and_then(|cluster| span_of(of(cluster)))
        };
        let context = field(|cluster| cluster.context.as_ref());
        let kubeconfig = field(|cluster| cluster.kubeconfig.as_ref());
        let name = field(|cluster| cluster.name.as_ref());
        let first = if is_about_context { context } else { kubeconfig };
        ("cluster-unreachable", vec![first, kubeconfig, context, name])
    };
    let named = spans.into_iter().flatten().next().and_then(|span| scene.in_config(span));
    let place = named.or_else(|| scene.release_place())?;
    Some(vec![Finding::at(place, Severity::Error, code, message).likely()])
}

const UNREACHABLE: &[&str] =
    &["Kubernetes cluster unreachable", "kubernetes cluster unreachable", "invalid configuration: "];

fn is_about_namespace(message: &str) -> bool {
    (message.contains("namespaces \"") && message.contains("\" not found"))
        || message.contains("because it is being terminated")
}

fn span_of(field: Option<&Spanned<String>>) -> Option<Span> {
    field.map(|field| field.span)
}
