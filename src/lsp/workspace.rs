//! The folders that the editor has open: what in them can be deployed, and their texts as the user sees them.
//!
//! Reads the disk, so it runs on a thread for blocking work. Knows nothing of releases, agents or LSP.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ktl_chart::config;
use ropey::Rope;

/// Folders that hold other people's files or build output.
const SKIPPED: [&str; 6] = ["node_modules", "target", "vendor", "dist", "bin", "__pycache__"];
/// Nobody keeps a `.ktl.yaml` deeper than this.
const MAX_DEPTH: usize = 8;
/// A folder with more entries is not searched to its end; the user is told to name the release's folder.
const MAX_ENTRIES: usize = 50_000;
/// The file that describes releases.
const OWN_NAME: &str = ".ktl.yaml";
/// With the names that do so where their content is ours.
const CONFIG_NAMES: [&str; 3] = [OWN_NAME, "stack.yaml", "release.yaml"];

/// The open documents by path. What the user sees wins over what the disk holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers {
    texts: Arc<HashMap<PathBuf, Rope>>,
}

impl Buffers {
    /// The documents as they are now.
    pub(crate) fn new(texts: HashMap<PathBuf, Rope>) -> Self {
        Self { texts: Arc::new(texts) }
    }

    /// The document, if it is open.
    pub(crate) fn open(&self, path: &Path) -> Option<&Rope> {
        self.texts.get(path)
    }

    /// The file as the user sees it.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.open(path) {
            Some(text) => Ok(text.to_string().into_bytes()),
            None => fs::read(path),
        }
    }

    /// The file as the user sees it, for files that are texts. What is no UTF-8 is replaced.
    pub(crate) fn text(&self, path: &Path) -> io::Result<String> {
        match self.open(path) {
            Some(text) => Ok(text.to_string()),
            None => fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Whether the user sees a file there.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.open(path).is_some() || path.is_file()
    }

    /// The open documents below `folder`.
    pub(crate) fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.texts.keys().map(PathBuf::as_path).filter(move |path| path.starts_with(folder))
    }
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Files that describe releases, in the order of their paths.
    pub(crate) configs: Vec<PathBuf>,
    /// Folders with a `Chart.yaml` that no such file stands above, in the order of their paths.
    pub(crate) charts: Vec<PathBuf>,
    /// Whether the search stopped at a limit.
    pub(crate) cut: bool,
}

/// Searches the folders. Documents that were never saved are found as well.
pub(crate) fn search(folders: &[PathBuf], buffers: &Buffers) -> Found {
    let mut found = Found::default();
    let mut entries = 0;
    for folder in folders {
        visit(folder, 0, buffers, &mut entries, &mut found);
        for path in buffers.below(folder) {
            note(path, buffers, &mut found);
        }
    }
    for list in [&mut found.configs, &mut found.charts] {
        list.sort();
        list.dedup();
    }
    let Found { configs, charts, .. } = &mut found;
    charts.retain(|chart| !is_governed(chart, configs) && !is_subchart(chart));
    found
}

/// The files that describe releases directly in `folder`.
pub(crate) fn configs_in(folder: &Path, buffers: &Buffers) -> Vec<PathBuf> {
    let paths = CONFIG_NAMES.iter().map(|name| folder.join(name));
    paths.filter(|path| is_config(path, buffers)).collect()
}

/// Whether a file of this name may describe releases; what stands in it decides.
pub(crate) fn has_config_name(path: &Path) -> bool {
    path.file_name().is_some_and(|name| CONFIG_NAMES.iter().any(|known| name == *known))
}

/// Whether a file describes releases. Two of the names are generic: other tools use them too, and charts for what they
/// render.
pub(crate) fn is_config(path: &Path, buffers: &Buffers) -> bool {
    if !has_config_name(path) || !buffers.has(path) {
        return false;
    }
    let is_ours = |text: String| config::describes_releases(&path.display().to_string(), &text);
    let is_generic = path.file_name().is_some_and(|name| name != OWN_NAME);
    !is_generic || !is_template(path, buffers) && buffers.text(path).is_ok_and(is_ours)
}

/// Whether a chart renders the file.
fn is_template(path: &Path, buffers: &Buffers) -> bool {
    path.ancestors()
        .skip(1)
        .filter(|folder| folder.file_name().is_some_and(|name| name == "templates"))
        .any(|templates| buffers.has(&templates.with_file_name("Chart.yaml")))
}

fn visit(folder: &Path, depth: usize, buffers: &Buffers, entries: &mut usize, found: &mut Found) {
    let Ok(listing) = fs::read_dir(folder) else { return };
    for entry in listing.flatten() {
        *entries += 1;
        if *entries > MAX_ENTRIES {
            found.cut = true;
            return;
        }
        let path = entry.path();
        // Links to folders are not followed: they may lead in circles, and what they lead to is found at its own place.
        let Ok(kind) = entry.file_type() else { continue };
        if !kind.is_dir() {
            note(&path, buffers, found);
        } else if depth < MAX_DEPTH && !is_skipped(&path) {
            visit(&path, depth + 1, buffers, entries, found);
        }
    }
}

fn note(path: &Path, buffers: &Buffers, found: &mut Found) {
    if is_config(path, buffers) {
        found.configs.push(path.to_owned());
    } else if path.file_name().is_some_and(|name| name == "Chart.yaml") {
        found.charts.extend(path.parent().map(Path::to_owned));
    }
}

fn is_skipped(folder: &Path) -> bool {
    let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { return true };
    name.starts_with('.') || SKIPPED.contains(&name)
}

/// A chart is a release of its own only where no file above it describes releases.
fn is_governed(chart: &Path, configs: &[PathBuf]) -> bool {
    configs.iter().any(|config| config.parent().is_some_and(|folder| chart.starts_with(folder)))
}

/// Charts below `charts/` of another chart are installed by that one.
fn is_subchart(chart: &Path) -> bool {
    let Some(parent) = chart.parent() else { return false };
    parent.file_name().is_some_and(|name| name == "charts")
        && parent.parent().is_some_and(|outer| outer.join("Chart.yaml").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::folder;

    fn names(folder: &Path, paths: &[PathBuf]) -> Vec<String> {
        paths.iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn finds_configs_and_bare_charts_and_skips_what_is_not_ours() {
        let files = [
            "shop/.ktl.yaml",
            "shop/charts/web/Chart.yaml",
            "bare/Chart.yaml",
            "bare/charts/db/Chart.yaml",
            "node_modules/x/Chart.yaml",
            ".git/.ktl.yaml",
            "stack.txt",
        ];
        let folder = folder(&files.map(|file| (file, "")));
        let found = search(&[folder.path().to_owned()], &Buffers::default());
        assert_eq!(names(folder.path(), &found.configs), ["shop/.ktl.yaml"]);
        assert_eq!(names(folder.path(), &found.charts), ["bare"]);
        assert!(!found.cut);
    }

    #[test]
    fn files_of_other_tools_and_templates_hide_no_chart() {
        let ours = "name: web\nchart: ./web\n";
        let folder = folder(&[
            ("Chart.yaml", ""),
            ("templates/release.yaml", ours),
            ("web/Chart.yaml", ""),
            ("web/templates/sub/release.yaml", ours),
        ]);
        let found = |stack: &str| {
            fs::write(folder.path().join("stack.yaml"), stack).unwrap();
            let found = search(&[folder.path().to_owned()], &Buffers::default());
            (found.configs.len(), found.charts.len())
        };
        assert_eq!(found("version: '3.8'\nservices: {web: {image: nginx}}\n"), (0, 2));
        assert!(configs_in(folder.path(), &Buffers::default()).is_empty());
        assert_eq!(found("resolver: lts-22.7\npackages: [.]\n"), (0, 2));
        assert_eq!(found("releases: []\n"), (1, 0));
    }

    #[test]
    fn a_document_that_was_never_saved_counts() {
        let folder = folder(&[]);
        let path = folder.path().join(".ktl.yaml");
        let buffers = Buffers::new(HashMap::from([(path.clone(), "releases: []".into())]));
        assert_eq!(search(&[folder.path().to_owned()], &buffers).configs, std::slice::from_ref(&path));
        assert_eq!(configs_in(folder.path(), &buffers), std::slice::from_ref(&path));
        assert_eq!(buffers.text(&path).unwrap(), "releases: []");
    }

    #[test]
    fn an_open_document_wins_over_the_disk() {
        let folder = folder(&[("values.yaml", "")]);
        let path = folder.path().join("values.yaml");
        let buffers = Buffers::new(HashMap::from([(path.clone(), "a: 1".into())]));
        assert_eq!(buffers.read(&path).unwrap(), b"a: 1");
        assert_eq!(Buffers::default().read(&path).unwrap(), b"");
    }

    #[test]
    fn a_folder_that_does_not_exist_has_nothing() {
        assert_eq!(search(&["/nonexistent".into()], &Buffers::default()), Found::default());
    }
}
