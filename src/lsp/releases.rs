//! Releases as the user wrote them, and everything that an operation on one needs.
//!
//! What is missing or not understood is a finding on the item that names it, before anything starts. Places in the
//! findings here carry absolute paths, because nothing was sent yet. No network, no editor.

use std::path::{Path, PathBuf};

use ktl_chart::{
    chart_file, config,
    finding::{Confidence, Finding, Place, Severity},
    text::{Span, Spanned},
};
use serde_json::{Value, json};

use crate::workspace::{self, Buffers, Found};

mod cluster;
mod collect;
mod plan;

pub(crate) use cluster::{Cluster, Kubeconfigs, Label, label};
pub(crate) use collect::Sources;
pub(crate) use collect::{clean, sha256};
pub(crate) use plan::{Plan, SetFlag, plan};

/// One release of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// Its name.
    pub(crate) name: String,
    /// The file that names it: a `.ktl.yaml`, or the `Chart.yaml` of a bare chart.
    pub(crate) path: PathBuf,
    /// Where its name is written in that file.
    pub(crate) place: Span,
    /// What it is made of.
    pub(crate) definition: Definition,
    /// What must stop an operation on it, whatever else is right.
    pub(crate) stops: Vec<Finding>,
}

/// Where a release is described.
#[derive(Debug, Clone)]
pub(crate) enum Definition {
    /// An entry of a file that describes releases.
    Entry(Box<config::Release>),
    /// A chart that nobody describes: a release of its own name.
    Bare {
        /// Values files beside the chart that may be put on top, such as `values-dev.yaml`.
        offered: Vec<String>,
        /// Those that shall be.
        layers: Vec<String>,
    },
}

impl Release {
    /// The folder that relative paths count from.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The namespace, where one is written.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.entry()?.namespace.as_ref().map(|namespace| namespace.value.as_str())
    }

    /// The entry in the file that describes it; `None` for a bare chart.
    pub(crate) fn entry(&self) -> Option<&config::Release> {
        match &self.definition {
            Definition::Entry(entry) => Some(entry),
            Definition::Bare { .. } => None,
        }
    }

    /// What an editor or a script passes back to mean this one.
    pub(crate) fn choice(&self) -> Value {
        json!({ "release": self.name, "workspace": self.folder(), "namespace": self.namespace() })
    }

    /// An error about this release, at `span` of its file.
    fn error(&self, span: Span, code: &'static str, message: String) -> Finding {
        Finding {
            place: Some(Place { file: self.path.display().to_string(), span }),
            confidence: Confidence::Exact,
            ..Finding::unplaced(Severity::Error, code, message)
        }
    }

    fn error_at(&self, item: &Spanned<String>, code: &'static str, message: String) -> Finding {
        self.error(item.span, code, message)
    }
}

/// Every release of the workspace, in the order of paths and then of the text.
pub(crate) fn all(found: &Found, buffers: &Buffers) -> Vec<Release> {
    let described = found
        .configs
        .iter()
        .filter_map(|path| buffers.text(path).ok().map(|text| in_config(path, &text)))
        .flatten();
    let bare = found.charts.iter().filter_map(|folder| bare(&folder.join("Chart.yaml"), buffers));
    described.chain(bare).collect()
}

/// The releases that one file describes.
pub(crate) fn in_config(path: &Path, text: &str) -> Vec<Release> {
    let parsed = config::parse(&path.display().to_string(), text);
    let entries: Vec<Span> = parsed.config.releases.iter().map(|release| release.entry).collect();
    parsed
        .config
        .releases
        .into_iter()
        .map(|entry| {
            let elsewhere: Vec<Span> =
                entries.iter().copied().filter(|other| *other != entry.entry).collect();
            let mut stops: Vec<Finding> =
                parsed.findings.iter().filter(|finding| stops(finding, &elsewhere)).cloned().collect();
            stops.extend(entry.blocked.iter().filter(|blocked| !parsed.findings.contains(blocked)).cloned());
            Release {
                name: entry.name.value.clone(),
                path: path.to_owned(),
                place: entry.name.span,
                stops,
                definition: Definition::Entry(Box::new(entry)),
            }
        })
        .collect()
}

/// The release that a chart is by itself; `None` when the file cannot be read.
pub(crate) fn bare(chart_yaml: &Path, buffers: &Buffers) -> Option<Release> {
    let text = buffers.text(chart_yaml).ok()?;
    let folder = chart_yaml.parent()?;
    let chart = chart_file::parse(&chart_yaml.display().to_string(), &text);
    let (name, place) = match chart.name {
        Some(name) => (name.value, name.span),
        None => (folder.file_name()?.to_string_lossy().into_owned(), Span::new(0, first_line(&text))),
    };
    Some(Release {
        name,
        path: chart_yaml.to_owned(),
        place,
        definition: Definition::Bare { offered: offered(folder), layers: Vec::new() },
        stops: Vec::new(),
    })
}

/// The one release that is meant, or those that it could be.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// Exactly this one.
    One(Box<Release>),
    /// Several fit, and nothing is started on a guess.
    Several(Vec<Release>),
    /// None fits; why, and what to do.
    Nothing(String),
}

/// Finds the release called `name`, or the only one. `folders` are searched; a folder that itself describes the
/// release is enough and spares the search.
pub(crate) fn choose(folders: &[PathBuf], name: Option<&str>, buffers: &Buffers) -> Choice {
    let near: Vec<Release> = folders.iter().flat_map(|folder| directly_in(folder, buffers)).collect();
    if let (Some(name), [folder]) = (name, folders)
        && let Some(release) = near.into_iter().find(|release| release.name == name)
    {
        let _ = folder;
        return Choice::One(Box::new(release));
    }
    let found = workspace::search(folders, buffers);
    let mut releases = all(&found, buffers);
    let known: Vec<String> = releases.iter().map(|release| release.name.clone()).collect();
    if let Some(name) = name {
        releases.retain(|release| release.name == name);
    }
    match (releases.len(), name) {
        (1, _) => Choice::One(Box::new(releases.remove(0))),
        (0, Some(name)) => Choice::Nothing(unknown(name, &known, found.cut)),
        (0, None) => Choice::Nothing(nothing_here(folders, found.cut)),
        _ => Choice::Several(releases),
    }
}

fn directly_in(folder: &Path, buffers: &Buffers) -> Vec<Release> {
    let configs = workspace::configs_in(folder, buffers);
    let charts = if configs.is_empty() && buffers.has(&folder.join("Chart.yaml")) {
        vec![folder.to_owned()]
    } else {
        Vec::new()
    };
    all(&Found { configs, charts, cut: false }, buffers)
}

fn unknown(name: &str, known: &[String], cut: bool) -> String {
    if known.is_empty() {
        return format!(
            "there is no release {name:?}: the workspace has no .ktl.yaml with releases and no Chart.yaml"
        );
    }
    let hint = match ktl_chart::suggest::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}", known.join(", ")),
    };
    let cut =
        if cut { "; the workspace is large and was not searched to its end, name the folder" } else { "" };
    format!("there is no release {name:?}; {hint}{cut}")
}

fn nothing_here(folders: &[PathBuf], cut: bool) -> String {
    let places: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let places =
        if places.is_empty() { "the workspace: no folder is open".to_owned() } else { places.join(", ") };
    let cut = if cut { " (searched in part: it is large)" } else { "" };
    format!(
        "nothing to deploy in {places}{cut}; add a .ktl.yaml with releases, or open a folder with a Chart.yaml"
    )
}

/// An error stops every release of its file, except when it stands in the entry of another one.
fn stops(finding: &Finding, elsewhere: &[Span]) -> bool {
    finding.severity == Severity::Error
        && !finding
            .place
            .as_ref()
            .is_some_and(|place| elsewhere.iter().any(|entry| entry.contains(place.span.start)))
}

/// `values*.yaml` beside the chart, without the `values.yaml` that always counts.
fn offered(folder: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = listing
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_layer_name(name))
        .collect();
    names.sort();
    names
}

/// Whether a file of this name beside a chart is offered as a layer.
pub(crate) fn is_layer_name(name: &str) -> bool {
    let is_yaml = Path::new(name).extension().is_some_and(|kind| kind == "yaml" || kind == "yml");
    name.starts_with("values") && name != "values.yaml" && is_yaml
}

fn first_line(text: &str) -> usize {
    text.lines().next().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::folder;

    fn chosen(files: &[(&str, &str)], name: Option<&str>) -> Choice {
        let folder = folder(files);
        choose(&[folder.path().to_owned()], name, &Buffers::default())
    }

    const TWO: &str = "releases:\n  - name: web\n    chart: ./web\n  - name: db\n    chart: ./db\n";

    #[test]
    fn the_only_release_needs_no_name() {
        let files = [(".ktl.yaml", "releases:\n  - name: web\n    chart: ./web\n")];
        let Choice::One(release) = chosen(&files, None) else { panic!() };
        assert_eq!(release.name, "web");
    }

    #[test]
    fn several_releases_are_offered_and_none_is_taken() {
        let Choice::Several(releases) = chosen(&[(".ktl.yaml", TWO)], None) else { panic!() };
        assert_eq!(releases.len(), 2);
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        let Choice::Nothing(why) = chosen(&[(".ktl.yaml", TWO)], Some("wep")) else { panic!() };
        assert!(why.contains("did you mean \"web\"?"), "{why}");
    }

    #[test]
    fn an_empty_workspace_says_what_to_add() {
        let Choice::Nothing(why) = chosen(&[], None) else { panic!() };
        assert!(why.contains("add a .ktl.yaml"), "{why}");
    }

    #[test]
    fn a_bare_chart_is_a_release_of_its_own_name_and_offers_its_layers() {
        let files = [
            ("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
            ("shop/values.yaml", ""),
            ("shop/values-dev.yaml", ""),
        ];
        let Choice::One(release) = chosen(&files, None) else { panic!() };
        assert_eq!(release.name, "shop");
        let Definition::Bare { offered, layers } = &release.definition else { panic!() };
        assert_eq!(offered, &["values-dev.yaml"]);
        assert!(layers.is_empty());
    }

    #[test]
    fn a_guard_that_this_version_does_not_have_stops_its_release_only() {
        let text = "releases:\n  - name: web\n    chart: ./web\n    approve: always\n  - name: db\n    chart: ./db\n";
        let releases = in_config(Path::new("/w/.ktl.yaml"), text);
        assert_eq!(releases[0].stops.len(), 1, "{:?}", releases[0].stops);
        assert!(releases[1].stops.is_empty(), "{:?}", releases[1].stops);
    }
}
