//! Files that Helm cannot read: values and `Chart.yaml` with broken YAML, and what is not there.
//!
//! The number in the message is ignored and the source is read again: it is off by a line or two, and has no column.

use super::scene::{Scene, clean, is_tail, join};
use crate::finding::{Finding, Place, Severity};
use crate::text::{Span, Spanned};
use crate::values;
use crate::yaml;

pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    if let Some(path) = missing_file(message)
        && let Some(finding) = missing(scene, path, message)
    {
        return Some(vec![finding]);
    }
    unreadable(scene, message)
}

/// `failed to parse values.prod.yaml: …`, `cannot load values.yaml: …`, `error unpacking subchart redis in demo: cannot
/// load values.yaml: …`.
fn unreadable(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    let (printed, in_chart) = match message.strip_prefix("failed to parse ") {
        Some(rest) => (rest, false),
        None => (message.split_once("cannot load ")?.1, true),
    };
    let (printed, detail) = printed.split_once(": ")?;
    let path = if in_chart {
        chart_file(scene, message, printed)
    } else {
        scene.source(printed).map(str::to_owned)
    }?;
    let text = scene.text(&path)?;
    let found = errors(&path, text);
    if !found.is_empty() {
        return Some(found);
    }
    // It is good YAML now and here: the text may have changed, or Helm minds what we do not.
    let finding =
        Finding::at(Place::new(path, head(text)), Severity::Error, "values-unreadable", detail).likely();
    Some(vec![scene.with_release(finding, "the release that reads this file")])
}

/// The first line of a file: the place of a fault that may be anywhere in it.
pub(super) fn head(text: &str) -> Span {
    yaml::shown(text, Span::new(0, text.lines().next().map_or(0, str::len)))
}

/// What keeps Helm from reading a text, without warnings about it.
fn errors(path: &str, text: &str) -> Vec<Finding> {
    values::check(path, text).into_iter().filter(|finding| finding.severity == Severity::Error).collect()
}

/// A file of the chart, or of the subchart that the message names.
fn chart_file(scene: &Scene<'_>, message: &str, name: &str) -> Option<String> {
    let subcharts = subcharts_named(message);
    if !subcharts.is_empty() {
        return Some(join(&scene.subchart_at(&subcharts), name));
    }
    let own = join(&scene.chart, name);
    // Without a name of a subchart the broken file is the one that does not parse.
    let broken = |path: &str| scene.text(path).is_some_and(|text| !errors(path, text).is_empty());
    if broken(&own) {
        return Some(own);
    }
    let below = join(&scene.chart, "");
    let tail = format!("/{name}");
    let mut others = scene.sources().keys().filter(|path| path.starts_with(&below) && path.ends_with(&tail));
    others.find(|path| broken(path)).cloned().or_else(|| scene.text(&own).map(|_| own))
}

/// The names from the top in `error unpacking subchart a in demo: error unpacking subchart b in a: …`.
fn subcharts_named(message: &str) -> Vec<String> {
    let steps = message.split("error unpacking subchart ").skip(1);
    steps.filter_map(|step| step.split_once(" in ")).map(|(called, _)| called.to_owned()).collect()
}

/// The path of `open PATH: no such file or directory`.
fn missing_file(message: &str) -> Option<&str> {
    let end =
        message.find(": no such file or directory").or_else(|| message.find(": The system cannot find"))?;
    let start = message[..end].rfind("open ").map(|open| open + "open ".len());
    let start = start.or_else(|| message[..end].rfind("stat ").map(|stat| stat + "stat ".len()))?;
    Some(&message[start..end])
}

/// The item of `.ktl.yaml` that names a file which is not there.
fn missing(scene: &Scene<'_>, printed: &str, message: &str) -> Option<Finding> {
    let release = scene.release.as_ref()?;
    let printed = clean(printed);
    let means = |written: &str| is_tail(&printed, clean(written).trim_start_matches("../"));
    let in_values = || release.values.iter().rev().find(|item| means(&item.value)).map(|item| item.span);
    let in_set = || {
        let files = release.set.iter().filter(|set| set.kind == crate::config::SetKind::File);
        let mut named =
            files.filter(|set| set.expression.split_once('=').is_some_and(|(_, path)| means(path)));
        named.next().map(|set| set.span)
    };
    let in_chart = || {
        let chart: &Spanned<String> = release.chart.as_ref()?;
        let whole = clean(&chart.value);
        let named = is_tail(&printed, &whole) || is_tail(&printed, &format!("{whole}/Chart.yaml"));
        named.then_some(chart.span)
    };
    if let Some(span) = in_values() {
        let text = format!("the values file does not exist: {message}");
        return Some(Finding::at(scene.in_config(span)?, Severity::Error, "values-missing", text));
    }
    if let Some(span) = in_set() {
        return Some(Finding::at(scene.in_config(span)?, Severity::Error, "set-file-missing", message));
    }
    let text = format!("the chart cannot be loaded: {message}");
    Some(Finding::at(scene.in_config(in_chart()?)?, Severity::Error, "chart-missing", text))
}
