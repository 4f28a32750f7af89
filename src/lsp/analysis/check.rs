//! What a text says about itself: which files are checked, as what, and with what result.

use std::path::Path;

use ktl_chart::finding::Finding;
use ktl_chart::{config, values};
use lsp_types::{Diagnostic, Uri};
use ropey::Rope;

use crate::capabilities::Encoding;
use crate::convert::{self, Files};
use crate::documents::Snapshot;
use crate::releases::clean;
use crate::workspace::{Buffers, configs_in};

/// What a file is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.ktl.yaml` and its relatives.
    Config,
    /// Something that Helm reads as plain YAML.
    Values,
    /// YAML that is a values layer if a release says so, and else may be anything, a template for one.
    Unnamed,
}

impl Kind {
    /// What a document is read as, by its name; `None`: it is not ours to check.
    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        let kind = Self::of_name(snapshot.file_name()?)?;
        let path = snapshot.key.path().unwrap_or(Path::new(""));
        // A template is no YAML yet, and a workflow named `release.yaml` is somebody else's.
        let is_template = path.iter().any(|folder| folder == "templates");
        let is_workflow = path.parent().is_some_and(|folder| folder.ends_with(".github/workflows"));
        Some(if is_template || is_workflow { Self::Unnamed } else { kind })
    }

    fn of_name(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        if !matches!(extension, "yaml" | "yml") {
            return None;
        }
        Some(match stem {
            ".ktl" | "stack" | "release" => Self::Config,
            "Chart" => Self::Values,
            _ if stem.contains("values") => Self::Values,
            _ => Self::Unnamed,
        })
    }
}

/// The diagnostics of one text. Reads the disk for what the names of files do not say.
pub(super) fn check(
    kind: Kind,
    snapshot: &Snapshot,
    buffers: &Buffers,
    encoding: Encoding,
) -> Vec<Diagnostic> {
    let name = snapshot.file_name().unwrap_or_default();
    let text = snapshot.text.to_string();
    let findings: Vec<Finding> = match kind {
        Kind::Config => config::parse(name, &text).findings,
        Kind::Values => values::check(name, &text),
        Kind::Unnamed if snapshot.key.path().is_some_and(|path| is_layer(path, buffers)) => {
            values::check(name, &text)
        }
        Kind::Unnamed => Vec::new(),
    };
    let only = OneFile { name, snapshot };
    findings.iter().filter_map(|finding| Some(convert::diagnostic(finding, &only, encoding)?.1)).collect()
}

/// Whether a release of a folder above names the file among its values.
fn is_layer(file: &Path, buffers: &Buffers) -> bool {
    let configs = file.ancestors().skip(1).flat_map(|folder| configs_in(folder, buffers));
    configs.into_iter().any(|config| names_layer(&config, file, buffers))
}

fn names_layer(config: &Path, file: &Path, buffers: &Buffers) -> bool {
    let (Some(folder), Ok(text)) = (config.parent(), buffers.text(config)) else { return false };
    let parsed = config::parse(&config.to_string_lossy(), &text).config;
    let mut layers = parsed.releases.iter().flat_map(|release| &release.values);
    layers.any(|layer| clean(&folder.join(&layer.value)) == file)
}

/// The world of a check of one text.
struct OneFile<'a> {
    name: &'a str,
    snapshot: &'a Snapshot,
}

impl Files for OneFile<'_> {
    fn find(&self, file: &str) -> Option<(Uri, Rope)> {
        (file == self.name).then(|| (self.snapshot.uri.clone(), self.snapshot.text.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lsp_types::{DidOpenTextDocumentParams, TextDocumentItem};

    use super::*;
    use crate::documents::Documents;

    #[test]
    fn files_are_read_by_their_names() {
        for (name, kind) in [
            (".ktl.yaml", Some(Kind::Config)),
            ("stack.yaml", Some(Kind::Config)),
            ("values.yaml", Some(Kind::Values)),
            ("values-prod.yml", Some(Kind::Values)),
            ("prod.values.yaml", Some(Kind::Values)),
            ("Chart.yaml", Some(Kind::Values)),
            ("deployment.yaml", Some(Kind::Unnamed)),
            ("values.schema.json", None),
            ("values", None),
        ] {
            assert_eq!(Kind::of_name(name), kind, "{name}");
        }
    }

    /// How many problems are seen in `path` with broken YAML in it, beside this `.ktl.yaml` in `/w`.
    fn problems(path: &str, config: &str) -> usize {
        let uri = format!("file://{path}").parse().unwrap();
        let text_document = TextDocumentItem::new(uri, "yaml".into(), 1, "a: b: c\n".into());
        let snapshot = Documents::default().open(&DidOpenTextDocumentParams { text_document });
        let buffers = Buffers::new(HashMap::from([("/w/.ktl.yaml".into(), Rope::from_str(config))]));
        let kind = Kind::of(&snapshot).unwrap();
        check(kind, &snapshot, &buffers, Encoding::Utf16).len()
    }

    #[test]
    fn a_file_of_any_name_is_checked_once_a_release_layers_it() {
        let named = "releases:\n  - name: web\n    chart: ./web\n    values: [./envs/../envs/prod.yaml]\n";
        assert_eq!(problems("/w/envs/prod.yaml", named), 1);
        assert_eq!(problems("/w/envs/prod.yaml", "releases: []\n"), 0);
        assert_eq!(problems("/w/envs/test.yaml", named), 0);
    }

    #[test]
    fn templates_are_no_yaml_whatever_their_name() {
        assert_eq!(problems("/w/web/templates/values.yaml", "releases: []\n"), 0);
        assert_eq!(problems("/w/web/templates/release.yaml", "releases: []\n"), 0);
        assert_eq!(problems("/w/.github/workflows/release.yaml", "releases: []\n"), 0);
        assert_eq!(problems("/w/web/values.yaml", "releases: []\n"), 1);
    }
}
