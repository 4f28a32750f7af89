//! A workspace of `fixtures/charts` in a folder of its own, and the places that its annotations expect.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ktl_fixtures::{Fixture, Mark};
use serde_json::Value;
use tempfile::TempDir;

/// The namespace that fixtures name; each workspace gets its own in its place.
const NAMESPACE: &str = "ktl-test";

/// Files on the disk, as a user has them open.
pub(crate) struct Workspace {
    folder: TempDir,
    fixture: Fixture,
}

impl Workspace {
    /// Lays folders of `fixtures/charts` over each other, the last on top.
    pub(crate) fn of(layers: &[&str], namespace: &str) -> Self {
        let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/charts");
        let mut files = BTreeMap::new();
        for layer in layers {
            let root = charts.join(layer);
            collect(&root, &root, &mut files);
        }
        let texts =
            files.iter().map(|(path, text)| format!("#- {path}\n{}", text.replace(NAMESPACE, namespace)));
        let fixture = Fixture::parse(&texts.collect::<String>());
        let folder =
            tempfile::Builder::new().prefix("ktl-e2e-").tempdir().expect("a folder for the workspace");
        let workspace = Self { folder, fixture };
        for (path, text) in workspace.fixture.files() {
            workspace.write(&path, &text);
        }
        workspace
    }

    /// The folder that the editor opens.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the workspace.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The same for the editor.
    pub(crate) fn uri(&self, file: &str) -> String {
        format!("file://{}", self.path(file).display())
    }

    /// What the fixture put into a file.
    pub(crate) fn text(&self, file: &str) -> &str {
        self.fixture.text(file)
    }

    /// Changes a file on the disk.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("its folder can be made");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The one file that has annotations.
    pub(crate) fn annotated(&self) -> String {
        let expected = self.fixture.expected();
        let place = expected.first().and_then(|mark| mark.place.clone());
        place.expect("the fixture expects something").0
    }

    /// Fails unless the diagnostics of a file are exactly what its annotations say, as
    /// `severity code confidence: message`.
    #[track_caller]
    pub(crate) fn assert_found(&self, file: &str, diagnostics: &[Value]) {
        let text = self.text(file);
        let found: Vec<Mark> = diagnostics
            .iter()
            .map(|diagnostic| Mark {
                place: Some((file.to_owned(), bytes(text, &diagnostic["range"]))),
                text: words(diagnostic),
            })
            .collect();
        let expected = self.fixture.expected();
        let of_file = |mark: &&Mark| mark.place.as_ref().is_some_and(|(path, _)| path == file);
        let expected: Vec<Mark> = expected.iter().filter(of_file).cloned().collect();
        assert!(!expected.is_empty(), "the fixture expects nothing in {file}");
        ktl_fixtures::assert_marks(&self.fixture, &expected, &found);
    }
}

/// A diagnostic in the words of the annotations.
fn words(diagnostic: &Value) -> String {
    let severity = match diagnostic["severity"].as_i64() {
        Some(1) => "error",
        Some(2) => "warning",
        Some(3) => "information",
        _ => "hint",
    };
    let text = |value: &Value| value.as_str().unwrap_or("(none)").to_owned();
    let code = text(&diagnostic["code"]);
    let confidence = text(&diagnostic["data"]["confidence"]);
    format!("{severity} {code} {confidence}: {}", text(&diagnostic["message"]))
}

/// An LSP range in UTF-16 units as bytes of the text. Written anew here, so that an error in ours is not its own oracle.
fn bytes(text: &str, range: &Value) -> Range<usize> {
    let byte = |position: &Value| {
        let line = usize::try_from(position["line"].as_u64().expect("a line")).unwrap();
        let units = usize::try_from(position["character"].as_u64().expect("a character")).unwrap();
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let mut left = units;
        let within: usize = text[start..]
            .chars()
            .take_while(|c| {
                let fits = left >= c.len_utf16();
                left = left.saturating_sub(c.len_utf16());
                fits
            })
            .map(char::len_utf8)
            .sum();
        start + within
    };
    byte(&range["start"])..byte(&range["end"])
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    let listing = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in listing {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let name = path.strip_prefix(root).expect("it is below").display().to_string();
        files.insert(
            name,
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        );
    }
}
