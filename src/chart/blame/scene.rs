//! The sources of a case, read once, with the ways from Helm's names to them.

use std::collections::BTreeMap;

use super::Case;
use crate::chart_file::{self, ChartFile, Dependency};
use crate::config::{self, Release};
use crate::finding::{Finding, Place};
use crate::text::Span;

/// A case with its `.ktl.yaml` and chart read.
pub(super) struct Scene<'a> {
    pub(super) case: &'a Case<'a>,
    /// The entry of the release in `.ktl.yaml`.
    pub(super) release: Option<Release>,
    /// The chart's directory, without `./` and a slash at the end; a reference stays as it is.
    pub(super) chart: String,
    /// The chart's `Chart.yaml`.
    pub(super) chart_file: Option<ChartFile>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(case: &'a Case<'a>) -> Self {
        let chart = clean(case.chart);
        let chart_file =
            case.sources.get(&join(&chart, "Chart.yaml")).map(|text| chart_file::parse("", text));
        let config = case.config_path.and_then(|path| Some((path, case.sources.get(path)?)));
        let releases =
            config.map(|(path, text)| config::parse(path, text).config.releases).unwrap_or_default();
        let release = releases.into_iter().find(|release| release.name.value == case.release);
        Self { case, release, chart, chart_file }
    }

    pub(super) fn sources(&self) -> &'a BTreeMap<String, String> {
        self.case.sources
    }

    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        self.sources().get(path).map(String::as_str)
    }

    /// A span in `.ktl.yaml`.
    pub(super) fn in_config(&self, span: Span) -> Option<Place> {
        Some(Place::new(self.case.config_path?, span))
    }

    /// The release's name in `.ktl.yaml`, else the chart's in `Chart.yaml`: the place of last resort.
    pub(super) fn release_place(&self) -> Option<Place> {
        if let Some(release) = &self.release {
            return self.in_config(release.name.span);
        }
        let path = join(&self.chart, "Chart.yaml");
        let chart = self.chart_file.as_ref()?;
        let span = chart.name.as_ref().map(|name| name.span).or(chart.first_key)?;
        Some(Place::new(path, span))
    }

    /// The release's `chart:` in `.ktl.yaml`.
    pub(super) fn chart_place(&self) -> Option<Place> {
        self.in_config(self.release.as_ref()?.chart.as_ref()?.span)
    }

    /// The finding with the release's entry beside it.
    pub(super) fn with_release(&self, finding: Finding, why: &str) -> Finding {
        match self.release_place() {
            Some(place) if finding.place.as_ref() != Some(&place) => finding.with_related(place, why),
            _ => finding,
        }
    }

    /// The source that Helm means by a path. Helm prints what it was given, which may lie in a folder of the agent.
    pub(super) fn source(&self, printed: &str) -> Option<&'a str> {
        let printed = clean(printed);
        let values = self.case.values.iter().rev().map(|path| clean(path));
        let known = values.chain(self.sources().keys().cloned()).find(|path| is_tail(&printed, path))?;
        self.sources().get_key_value(&known).map(|(path, _)| path.as_str())
    }

    /// The source of a template that Helm names by charts: `demo/charts/cache/templates/a.yaml`.
    pub(super) fn template(&self, virtual_path: &str) -> Option<&'a str> {
        let (_, mut rest) = virtual_path.split_once('/')?;
        let mut dir = self.chart.clone();
        while let Some(below) = rest.strip_prefix("charts/") {
            let (called, after) = below.split_once('/')?;
            dir = self.subchart(&dir, called).unwrap_or_else(|| join(&join(&dir, "charts"), called));
            rest = after;
        }
        self.sources().get_key_value(&join(&dir, rest)).map(|(path, _)| path.as_str())
    }

    /// The `Chart.yaml` of a directory.
    pub(super) fn chart_of(&self, dir: &str) -> Option<ChartFile> {
        Some(chart_file::parse("", self.text(&join(dir, "Chart.yaml"))?))
    }

    /// The directory of the dependency that a chart calls so, by alias or name. Directories need not be called as the
    /// chart in them.
    pub(super) fn subchart(&self, parent: &str, called: &str) -> Option<String> {
        let declared = self.chart_of(parent)?.dependencies;
        let declared = declared.iter().find(|dependency| dependency.called() == Some(called));
        let name = declared.and_then(name_of).unwrap_or(called).to_owned();
        let charts = join(parent, "charts");
        let own = join(&charts, &name);
        let named =
            |dir: &String| self.chart_of(dir).and_then(|chart| Some(chart.name?.value == name)) == Some(true);
        let manifests = self.sources().keys().filter_map(|path| {
            let dir = path.strip_suffix("/Chart.yaml")?;
            let below = dir.strip_prefix(charts.as_str())?.strip_prefix('/')?;
            (!below.contains('/')).then(|| dir.to_owned())
        });
        std::iter::once(own).chain(manifests).find(named)
    }
}

impl Scene<'_> {
    /// The directory of a subchart by its names from the top, as far as they are known.
    pub(super) fn subchart_at(&self, subcharts: &[String]) -> String {
        subcharts.iter().fold(self.chart.clone(), |dir, called| {
            self.subchart(&dir, called).unwrap_or_else(|| join(&dir, &format!("charts/{called}")))
        })
    }
}

fn name_of(dependency: &Dependency) -> Option<&str> {
    dependency.name.as_ref().map(|name| name.value.as_str())
}

/// A path without `./` parts, doubled slashes and a slash at the end; `..` stays unless a folder stands before it.
pub(super) fn clean(path: &str) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

pub(super) fn join(dir: &str, path: &str) -> String {
    if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") }
}

/// Whether `path` is `printed` or the last folders and file of it.
pub(super) fn is_tail(printed: &str, path: &str) -> bool {
    !path.is_empty()
        && printed.strip_suffix(path).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (path, clean_path) in [
            ("./a//b/", "a/b"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("/run/./x", "/run/x"),
            ("oci://r/c", "oci://r/c"),
            (".", ""),
        ] {
            assert_eq!(clean(path), clean_path, "{path}");
        }
    }

    #[test]
    fn a_tail_is_whole_names() {
        assert!(is_tail("/run/1/values.yaml", "values.yaml"));
        assert!(!is_tail("/run/1/dev-values.yaml", "values.yaml"));
        assert!(!is_tail("/run/1", ""));
    }
}
