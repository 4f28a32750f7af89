//! The files that an operation needs, as the user sees them at this moment.
//!
//! Unsaved documents win over the disk. Everything below a chart is sent, because what a chart leaves out is Helm's
//! decision (`.helmignore`), not ours; only `.git` is of no use to anybody.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::workspace::Buffers;

/// What an agent takes; told here, before anything is sent.
const MAX_FILES: usize = 20_000;
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;
const MAX_DEPTH: usize = 32;

/// The files of one operation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The folder that their paths count from.
    pub(crate) root: PathBuf,
    /// By path: relative, with `/`.
    pub(crate) files: BTreeMap<String, SourceFile>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// The SHA-256 of it, in lower-case hex.
    pub(crate) sha256: String,
}

impl SourceFile {
    /// Hashes the content.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { sha256: sha256(&bytes), bytes }
    }
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Files on their way to becoming sources, by absolute path.
#[derive(Debug, Default)]
pub(super) struct Collection {
    files: BTreeMap<PathBuf, Vec<u8>>,
    total: u64,
}

impl Collection {
    /// Adds one file. The error says what is wrong with it.
    pub(super) fn add(&mut self, path: &Path, buffers: &Buffers) -> Result<(), String> {
        let path = clean(path);
        if self.files.contains_key(&path) {
            return Ok(());
        }
        if buffers.open(&path).is_none() {
            let size = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
            limit(size, MAX_FILE_BYTES, || {
                format!("{} is larger than the limit for one file", path.display())
            })?;
            self.room_for(size)?;
        }
        let bytes = buffers.read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.total += bytes.len() as u64;
        self.room_for(0)?;
        if self.files.len() >= MAX_FILES {
            return Err(format!("the chart and its values are more than {MAX_FILES} files"));
        }
        self.files.insert(path, bytes);
        Ok(())
    }

    /// Adds everything below a folder, and what is open there without being saved.
    pub(super) fn add_folder(&mut self, folder: &Path, buffers: &Buffers) -> Result<(), String> {
        let folder = clean(folder);
        self.visit(&folder, buffers, 0)?;
        for path in buffers.below(&folder) {
            self.add(path, buffers)?;
        }
        Ok(())
    }

    /// Helm follows links, so we do; a circle of them ends at the limit of the depth.
    fn visit(&mut self, folder: &Path, buffers: &Buffers, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!(
                "{} lies more than {MAX_DEPTH} folders deep; a link may lead in a circle",
                folder.display()
            ));
        }
        let listing = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in listing {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            let metadata = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if metadata.is_dir() {
                if path.file_name().is_none_or(|name| name != ".git") {
                    self.visit(&path, buffers, depth + 1)?;
                }
            } else if metadata.is_file() {
                self.add(&path, buffers)?;
            }
        }
        Ok(())
    }

    fn room_for(&self, size: u64) -> Result<(), String> {
        limit(self.total + size, MAX_TOTAL_BYTES, || {
            "the chart and its values are larger than the limit".to_owned()
        })
    }

    /// Below the workspace folder that holds everything, else below the deepest folder that does.
    pub(super) fn rooted(self, folders: &[PathBuf]) -> Result<Sources, String> {
        let root = folders
            .iter()
            .map(|folder| clean(folder))
            .find(|folder| self.files.keys().all(|path| path.starts_with(folder)))
            .unwrap_or_else(|| common_folder(self.files.keys()));
        let mut files = BTreeMap::new();
        for (path, bytes) in self.files {
            files.insert(relative(&root, &path)?, SourceFile::new(bytes));
        }
        Ok(Sources { root, files })
    }
}

/// `path` below `root`, with `/`.
pub(super) fn relative(root: &Path, path: &Path) -> Result<String, String> {
    let path = clean(path);
    let below = path.strip_prefix(root).unwrap_or(&path);
    let parts: Option<Vec<&str>> = below.components().map(|part| part.as_os_str().to_str()).collect();
    parts
        .map(|parts| parts.join("/"))
        .ok_or_else(|| format!("{} is no UTF-8 path; rename the file", path.display()))
}

/// Without `.` and `..`, by words only: a link on the way keeps its name.
pub(crate) fn clean(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
        clean
    })
}

fn common_folder<'a>(mut paths: impl Iterator<Item = &'a PathBuf>) -> PathBuf {
    let first =
        paths.next().and_then(|path| path.parent()).map_or_else(|| PathBuf::from("/"), Path::to_owned);
    paths.fold(first, |common, path| {
        common
            .ancestors()
            .find(|folder| path.starts_with(folder))
            .map_or_else(|| PathBuf::from("/"), Path::to_owned)
    })
}

fn limit(size: u64, most: u64, what: impl Fn() -> String) -> Result<(), String> {
    if size <= most { Ok(()) } else { Err(format!("{} of {} MiB", what(), most / (1024 * 1024))) }
}

#[cfg(test)]
impl Sources {
    /// Sources out of nothing, for tests.
    pub(crate) fn of<const N: usize>(files: [(&str, Vec<u8>); N]) -> Self {
        let files =
            files.into_iter().map(|(path, bytes)| (path.to_owned(), SourceFile::new(bytes))).collect();
        Self { root: PathBuf::from("/w"), files }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::samples::folder;

    fn paths(sources: &Sources) -> Vec<&str> {
        sources.files.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_chart_is_sent_whole_without_git_and_with_unsaved_documents() {
        let files = ["web/Chart.yaml", "web/templates/a.yaml", "web/.helmignore", "web/.git/config"];
        let folder = folder(&files.map(|file| (file, "")));
        let fresh = folder.path().join("web/templates/new.yaml");
        let changed = folder.path().join("web/templates/a.yaml");
        let buffers = Buffers::new(HashMap::from([(fresh, "new".into()), (changed, "changed".into())]));
        let mut collection = Collection::default();
        collection.add_folder(&folder.path().join("web"), &buffers).unwrap();
        let sources = collection.rooted(&[folder.path().to_owned()]).unwrap();
        assert_eq!(
            paths(&sources),
            ["web/.helmignore", "web/Chart.yaml", "web/templates/a.yaml", "web/templates/new.yaml"]
        );
        assert_eq!(sources.files["web/templates/a.yaml"].bytes, b"changed");
    }

    #[test]
    fn what_lies_outside_of_the_workspace_moves_the_root_up() {
        let folder = folder(&[("app/.ktl.yaml", ""), ("shared/values.yaml", "")]);
        let mut collection = Collection::default();
        collection.add(&folder.path().join("app/.ktl.yaml"), &Buffers::default()).unwrap();
        collection.add(&folder.path().join("app/../shared/values.yaml"), &Buffers::default()).unwrap();
        let sources = collection.rooted(&[folder.path().join("app")]).unwrap();
        assert_eq!(sources.root, folder.path());
        assert_eq!(paths(&sources), ["app/.ktl.yaml", "shared/values.yaml"]);
    }

    #[test]
    fn a_circle_of_links_ends_with_a_message() {
        let folder = folder(&[("web/Chart.yaml", "")]);
        std::os::unix::fs::symlink(folder.path().join("web"), folder.path().join("web/again")).unwrap();
        let error =
            Collection::default().add_folder(&folder.path().join("web"), &Buffers::default()).unwrap_err();
        assert!(error.contains("32 folders deep") || error.contains("symbolic links"), "{error}");
    }

    #[test]
    fn a_file_over_the_limit_is_named_with_the_limit() {
        let folder = folder(&[]);
        let path = folder.path().join("big.bin");
        fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let error = Collection::default().add(&path, &Buffers::default()).unwrap_err();
        assert!(error.contains("big.bin") && error.contains("8 MiB"), "{error}");
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
