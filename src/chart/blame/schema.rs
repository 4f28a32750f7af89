//! Values that a `values.schema.json` refuses.
//!
//! Helm up to 3.17 and Helm from 3.18 on word this differently; `wording` reads both into one shape. Which file is at
//! fault neither says: the layer that wins at the path is.

mod broken;
mod wording;

use super::layers::{Found, Layers};
use super::scene::Scene;
use crate::finding::{Finding, Place, Severity};
use wording::{Context, Kind, Violation};

const HEAD: &str = "values don't meet the specifications of the schema(s) in the following chart(s):";

pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    let (_, list) = message.split_once(HEAD)?;
    let mut findings = Vec::new();
    for (chart, lines) in sections(list) {
        let subcharts = subcharts_called(scene, chart);
        if broken::is_meant(&lines) {
            findings.push(broken::read(scene, &subcharts[0], &lines));
            continue;
        }
        for violation in wording::parse(&lines) {
            findings.extend(place(scene, &subcharts, &violation));
        }
    }
    Some(findings)
}

/// The lines of each chart, below `name:`.
fn sections(list: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in list.lines().filter(|line| !line.trim().is_empty()) {
        let is_head = !line.starts_with(['-', ' ', '\t']) && line.ends_with(':') && !line.contains(' ');
        if is_head {
            sections.push((line.trim_end_matches(':'), Vec::new()));
        } else if let Some((_, lines)) = sections.last_mut() {
            lines.push(line);
        }
    }
    sections
}

/// The charts that a section may mean, as names from the top: it gives only the last one. Never empty.
fn subcharts_called(scene: &Scene<'_>, called: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let own = scene.chart_file.as_ref().and_then(|chart| chart.name.as_ref());
    if own.is_none_or(|own| own.value == called) {
        found.push(Vec::new());
    }
    let mut waiting = vec![(scene.chart.clone(), Vec::<String>::new())];
    while let Some((dir, names)) = waiting.pop() {
        // A chart cannot hold itself; a directory that says so must not keep us here.
        let Some(chart) = scene.chart_of(&dir).filter(|_| names.len() < 16) else { continue };
        for dependency in &chart.dependencies {
            let Some(name) = dependency.called() else { continue };
            let below = [names.as_slice(), &[name.to_owned()]].concat();
            if let Some(dir) = scene.subchart(&dir, name) {
                waiting.push((dir, below.clone()));
            }
            if name == called {
                found.push(below);
            }
        }
    }
    // Charts below charts/ need no entry in `dependencies`.
    if found.is_empty() && scene.subchart(&scene.chart, called).is_some() {
        found.push(vec![called.to_owned()]);
    }
    if found.is_empty() {
        found.push(Vec::new());
    }
    found
}

/// The findings of one violation: one, or one for each key that is not allowed.
fn place(scene: &Scene<'_>, charts: &[Vec<String>], violation: &Violation) -> Vec<Finding> {
    let resolved = charts.iter().map(|subcharts| {
        let layers = Layers::of(scene, subcharts);
        let path = resolve(&layers, subcharts, &violation.context);
        let depth = layers.find(&path).map_or(0, |found| found.depth);
        (layers, path, depth)
    });
    // Of equally good ones the first: the chart nearest to the top. `max_by_key` would take the last.
    let best = resolved.reduce(|best, other| if other.2 > best.2 { other } else { best });
    let Some((layers, path, _)) = best else { return Vec::new() };
    let shown = if path.is_empty() { "values".to_owned() } else { path.join(".") };
    let words = format!("{shown}: {}", violation.message);
    match &violation.kind {
        Kind::Key(names) if !names.is_empty() => {
            let key = |name: &String| key_finding(scene, &layers, &path, name, &words);
            names.iter().map(key).collect()
        }
        Kind::Missing(_) => vec![missing(scene, &layers, &path, words)],
        Kind::Item(index) => {
            let item = [path.as_slice(), &[index.to_string()]].concat();
            let found = layers.find_whole(&item).or_else(|| layers.find(&path));
            vec![on_value(scene, &layers, found, words, item.len())]
        }
        Kind::Key(_) | Kind::Value => vec![on_value(scene, &layers, layers.find(&path), words, path.len())],
    }
}

/// The path in the values of the top chart.
fn resolve(layers: &Layers<'_>, subcharts: &[String], context: &Context) -> Vec<String> {
    match context {
        // `global` is one for all charts, wherever it is set.
        Context::Pointer(steps) if steps.first().is_some_and(|step| step == "global") => {
            let below = [subcharts, steps.as_slice()].concat();
            if layers.find_whole(&below).is_some() { below } else { steps.clone() }
        }
        Context::Pointer(steps) => [subcharts, steps.as_slice()].concat(),
        Context::Dotted(words) => dotted(layers, subcharts.to_vec(), &words.split('.').collect::<Vec<_>>()),
    }
}

/// Dots separate keys and may also be in them: the shortest key that exists is taken, then the next, and so on.
fn dotted(layers: &Layers<'_>, path: Vec<String>, words: &[&str]) -> Vec<String> {
    if words.is_empty() || words == ["(root)"] {
        return path;
    }
    for count in 1..=words.len() {
        let longer = [path.as_slice(), &[words[..count].join(".")]].concat();
        if layers.find_whole(&longer).is_some() {
            return dotted(layers, longer, &words[count..]);
        }
    }
    [path, words.iter().map(|word| (*word).to_owned()).collect()].concat()
}

fn on_value(
    scene: &Scene<'_>,
    layers: &Layers<'_>,
    found: Option<Found>,
    words: String,
    depth: usize,
) -> Finding {
    let Some(found) = found else { return missing(scene, layers, &[], words) };
    let finding = Finding::at(found.value, Severity::Error, "values-schema", words);
    let finding = match found.alias {
        Some(alias) => finding.with_related(alias, "used here"),
        None => finding,
    };
    // Where only the way to the value is known, that is the best guess.
    if found.depth < depth { finding.likely() } else { finding }
}

fn key_finding(scene: &Scene<'_>, layers: &Layers<'_>, path: &[String], name: &str, words: &str) -> Finding {
    let whole = [path, &[name.to_owned()]].concat();
    match layers.find_whole(&whole) {
        Some(found) => Finding::at(found.key, Severity::Error, "values-schema", words),
        None => on_value(scene, layers, layers.find(path), words.to_owned(), whole.len()),
    }
}

/// A key that is missing: its parent's key where the highest layer has it, at the top the first key.
fn missing(scene: &Scene<'_>, layers: &Layers<'_>, path: &[String], words: String) -> Finding {
    let own = |key: Place| Finding::at(key, Severity::Error, "values-schema", words.clone());
    if let Some(found) = layers.find(path) {
        let finding = own(found.key);
        return if found.depth < path.len() { finding.likely() } else { finding };
    }
    if let Some(key) = layers.first_key() {
        return own(key);
    }
    match scene.release_place() {
        Some(place) => own(place).likely(),
        None => Finding::unplaced(Severity::Error, "values-schema", words),
    }
}
