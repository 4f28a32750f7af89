//! Files of the agent's own disk as sources: only below folders that its owner allowed.
//!
//! A path is refused before the disk is asked about it, so that a refusal says nothing of what is there; and once
//! more after links were followed.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

use super::{ContentHash, Listed, MAX_FILE_BYTES, MAX_FILES, Manifest, SourceError, SourcePath};

/// Folders in which requests may name files, as the system knows them, without links.
#[derive(Clone, Debug, Default)]
pub struct Allowed(Vec<PathBuf>);

/// Files that were read, with their places below their common folder.
#[derive(Debug)]
pub struct Gathered {
    root: PathBuf,
    files: BTreeMap<SourcePath, Vec<u8>>,
}

/// Why a path is not read.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// It lies where nobody allowed it.
    #[error(
        "{field} {path:?}: this agent opens files of its own disk only below the folders named with --allow-path DIR, and this is in none of them"
    )]
    Denied {
        /// As the proto names it.
        field: String,
        /// As it was sent, shortened.
        path: String,
    },
    /// It is allowed and cannot be read.
    #[error("{field} {path:?}: {source}")]
    Unreadable {
        /// As the proto names it.
        field: String,
        /// As it was sent, shortened.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// What was found is no source.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl Allowed {
    /// These folders.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// Where a path of the field `field` lies, which may not exist.
    pub fn find(&self, field: &str, path: &str) -> Result<PathBuf, LocalError> {
        let denied = || LocalError::Denied { field: field.to_owned(), path: super::path::shortened(path) };
        let typed = std::path::absolute(path).map_err(|_| denied())?;
        let plain = without_dots(&typed).filter(|plain| self.holds(plain)).ok_or_else(denied)?;
        match fs::canonicalize(&plain) {
            Ok(found) if self.holds(&found) => Ok(found),
            Ok(_) => Err(denied()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(plain),
            Err(source) => Err(LocalError::Unreadable {
                field: field.to_owned(),
                path: super::path::shortened(path),
                source,
            }),
        }
    }

    fn holds(&self, path: &Path) -> bool {
        self.0.iter().any(|folder| path.starts_with(folder))
    }

    /// Reads these files, and folders with all that is in them, but for `.git`. Paths come from [`Allowed::find`];
    /// one that does not exist is passed over.
    pub fn gather(&self, field: &str, paths: &[PathBuf]) -> Result<Gathered, LocalError> {
        let parents = paths.iter().filter_map(|path| path.parent());
        let root = parents.map(Path::to_owned).reduce(|a, b| common(&a, &b)).unwrap_or_default();
        let mut gathered = Gathered { root, files: BTreeMap::new() };
        for path in paths.iter().filter(|path| path.exists()) {
            self.add(field, path, &mut gathered)?;
        }
        Ok(gathered)
    }

    fn add(&self, field: &str, path: &Path, gathered: &mut Gathered) -> Result<(), LocalError> {
        let shown = || super::path::shortened(&path.display().to_string());
        let fail = |source| LocalError::Unreadable { field: field.to_owned(), path: shown(), source };
        let found = fs::canonicalize(path).map_err(fail)?;
        if !self.holds(&found) {
            return Err(LocalError::Denied { field: field.to_owned(), path: shown() });
        }
        let metadata = fs::metadata(&found).map_err(fail)?;
        if metadata.is_dir() {
            let entries =
                fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(fail)?;
            let inner = entries.iter().filter(|entry| entry.file_name() != ".git");
            return inner.map(fs::DirEntry::path).try_for_each(|inner| self.add(field, &inner, gathered));
        }
        // Neither a pipe nor a device is a part of a chart, and reading one may never end.
        if !metadata.is_file() {
            return Ok(());
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(SourceError::FileTooLarge { name: shown() }.into());
        }
        if gathered.files.len() >= MAX_FILES {
            return Err(SourceError::TooMany { count: gathered.files.len() + 1 }.into());
        }
        let place = gathered.place(path)?;
        gathered.files.insert(place, fs::read(&found).map_err(fail)?);
        Ok(())
    }
}

impl Gathered {
    /// The source that stands for a path, whether it was read or does not exist.
    pub fn place(&self, path: &Path) -> Result<SourcePath, SourceError> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let text: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        SourcePath::parse(&text.join("/"))
    }

    /// What the files are.
    pub fn manifest(&self) -> Result<Manifest, SourceError> {
        let listed = |content: &[u8]| Listed { sha256: ContentHash::of(content), size: content.len() as u64 };
        Manifest::new(self.files.iter().map(|(path, content)| (path.clone(), listed(content))))
    }

    /// The contents, by place.
    pub fn files(&self) -> &BTreeMap<SourcePath, Vec<u8>> {
        &self.files
    }
}

/// The path as it reads, with its `..` taken back; none that leads above the root.
fn without_dots(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            other => plain.push(other),
        }
    }
    Some(plain)
}

fn common(one: &Path, other: &Path) -> PathBuf {
    one.iter().zip(other.iter()).take_while(|(a, b)| a == b).map(|(part, _)| part).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn disk() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(home.path()).unwrap();
        for (path, text) in [
            ("open/web/Chart.yaml", "name: web\n"),
            ("open/web/templates/a.yaml", "a: 1\n"),
            ("open/web/.git/config", "x"),
            ("open/dev.yaml", "b: 2\n"),
            ("closed/secret", "s"),
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        (home, root)
    }

    #[test]
    fn a_chart_and_its_values_are_gathered_below_their_common_folder() {
        let (_home, root) = disk();
        let allowed = Allowed::new(vec![root.join("open")]);
        let find = |path: &str| allowed.find("options.chart", root.join(path).to_str().unwrap()).unwrap();
        let paths = [find("open/web"), find("open/web/../dev.yaml"), find("open/none.yaml")];
        let gathered = allowed.gather("options.chart", &paths).unwrap();
        let places: Vec<_> = gathered.files().keys().map(SourcePath::as_str).collect();
        assert_eq!(places, ["dev.yaml", "web/Chart.yaml", "web/templates/a.yaml"]);
        assert_eq!(gathered.place(&paths[2]).unwrap().as_str(), "none.yaml");
        assert_eq!(gathered.manifest().unwrap().iter().count(), 3);
    }

    #[test]
    fn nothing_else_is_opened_and_nothing_is_said_of_it() {
        let (_home, root) = disk();
        symlink(root.join("closed/secret"), root.join("open/web/link")).unwrap();
        let allowed = Allowed::new(vec![root.join("open")]);
        let text = |path: &str| root.join(path).to_str().unwrap().to_owned();
        for path in ["closed/secret", "closed/none", "open/../closed/secret", "openly", "open/web/link"] {
            let error = allowed.find("options.values_files[0]", &text(path)).unwrap_err();
            assert!(matches!(error, LocalError::Denied { .. }), "{path}: {error}");
            assert!(error.to_string().contains("--allow-path"), "{error}");
        }
        let chart = allowed.find("options.chart", &text("open/web")).unwrap();
        let error = allowed.gather("options.chart", &[chart]).unwrap_err();
        assert!(matches!(error, LocalError::Denied { .. }), "a link out of a chart was followed: {error}");
        assert!(Allowed::default().find("options.chart", &text("open/web")).is_err());
    }
}
