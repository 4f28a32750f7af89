//! A chart that cannot be loaded: it is not there, or its `Chart.yaml` says something Helm does not take.

use super::scene::{Scene, join};
use crate::chart_file::{ChartFile, Dependency};
use crate::finding::{Finding, Place, Severity};
use crate::text::Span;

/// Words about a chart that is not there or is no chart: the place is `chart:` of the release.
const MISSING: &[&str] = &[
    "Chart.yaml file is missing",
    "unable to detect chart at",
    "failed to download",
    "chart not found",
    "could not find protocol handler",
    "non-absolute URLs should be in form of",
    "no chart name found",
    "no chart version found",
    "does not appear to be a gzipped archive",
    "file does not appear to be",
    "is not a valid chart repository",
    "failed to perform \"FetchReference\"",
    "failed to resolve",
    "chart metadata is missing",
];

pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    dependencies(scene, message)
        .or_else(|| metadata(scene, message).map(|finding| vec![finding]))
        .or_else(|| missing(scene, message).map(|finding| vec![finding]))
}

fn missing(scene: &Scene<'_>, message: &str) -> Option<Finding> {
    let path_not_found = message.starts_with("path \"") && message.ends_with("\" not found");
    let in_repository =
        (message.starts_with("chart \"") || message.starts_with("repo ")) && message.contains("not found");
    if !path_not_found && !in_repository && !MISSING.iter().any(|words| message.contains(words)) {
        return None;
    }
    let text = format!("the chart cannot be loaded: {message}");
    match scene.chart_place() {
        Some(place) => Some(Finding::at(place, Severity::Error, "chart-missing", text)),
        None => Some(Finding::at(scene.release_place()?, Severity::Error, "chart-missing", text).likely()),
    }
}

/// `validation: chart.metadata.version "one.two" is invalid` and its kin: the value, or where it is missing the first key.
fn metadata(scene: &Scene<'_>, message: &str) -> Option<Finding> {
    let chart = scene.chart_file.as_ref()?;
    let span = if let Some((_, rest)) = message.split_once("chart.metadata.") {
        let field = rest.split_whitespace().next()?;
        named(chart, field).or(chart.first_key)?
    } else if message.contains("unsupported chart version") {
        named(chart, "apiVersion").or(chart.first_key)?
    } else if message.contains("which is incompatible with Kubernetes") {
        named(chart, "kubeVersion")?
    } else {
        return None;
    };
    let place = Place::new(join(&scene.chart, "Chart.yaml"), span);
    Some(Finding::at(place, Severity::Error, "chart-metadata", message))
}

fn named(chart: &ChartFile, field: &str) -> Option<Span> {
    let value = match field {
        "name" => &chart.name,
        "version" => &chart.version,
        "appVersion" => &chart.app_version,
        "apiVersion" => &chart.api_version,
        "type" => &chart.kind,
        "kubeVersion" => &chart.kube_version,
        _ => return None,
    };
    value.as_ref().map(|value| value.span)
}

/// `… found in Chart.yaml, but missing in charts/ directory: redis, postgresql`.
fn dependencies(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    let (_, names) = message.split_once("but missing in charts/ directory: ")?;
    let chart = scene.chart_file.as_ref()?;
    let findings = names.lines().next()?.split(", ").filter_map(|name| {
        let named = |dependency: &&Dependency| {
            dependency.name.as_ref().is_some_and(|written| written.value == name.trim())
        };
        let span = chart.dependencies.iter().find(named)?.name.as_ref()?.span;
        let text =
            format!("`{}` is declared here and missing in charts/: run `helm dependency build`", name.trim());
        let place = Place::new(join(&scene.chart, "Chart.yaml"), span);
        Some(Finding::at(place, Severity::Error, "chart-dependency", text))
    });
    Some(findings.collect())
}
