//! What an operation was told to run on: paths with hashes and sizes, checked as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContentHash, MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, SourceError, SourcePath};

/// One file by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The hash of its bytes.
    pub sha256: ContentHash,
    /// How many bytes.
    pub size: u64,
}

/// The files of one operation, by path in order. Any two of them fit into one folder, on every file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest(BTreeMap<SourcePath, Listed>);

impl Manifest {
    /// Checks paths, limits and conflicts; the first mistake is the answer.
    pub fn new(files: impl IntoIterator<Item = (SourcePath, Listed)>) -> Result<Self, SourceError> {
        let mut listed = BTreeMap::new();
        let mut bytes = 0_u64;
        for (path, file) in files {
            if file.size > MAX_FILE_BYTES {
                return Err(SourceError::FileTooLarge { name: path.to_string() });
            }
            bytes = bytes.saturating_add(file.size);
            if listed.insert(path.clone(), file).is_some() {
                let same = path.to_string();
                return Err(SourceError::Conflict { first: same.clone(), second: same, how: "are the same" });
            }
        }
        if listed.len() > MAX_FILES {
            return Err(SourceError::TooMany { count: listed.len() });
        }
        if bytes > MAX_TOTAL_BYTES {
            return Err(SourceError::TotalTooLarge { bytes });
        }
        refuse_conflicts(listed.keys())?;
        Ok(Self(listed))
    }

    /// Every path with its file, in order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&SourcePath, &Listed)> {
        self.0.iter()
    }

    /// What is listed under this path.
    pub fn get(&self, path: &SourcePath) -> Option<&Listed> {
        self.0.get(path)
    }

    /// Whether this exact file is listed.
    pub fn has_file(&self, path: &SourcePath) -> bool {
        self.0.contains_key(path)
    }

    /// Whether any file lies in this folder.
    pub fn has_folder(&self, folder: &SourcePath) -> bool {
        self.0.keys().any(|path| path != folder && folder.contains(path))
    }
}

/// Folders and files share one name space, and some disks do not tell upper from lower case.
fn refuse_conflicts<'a>(paths: impl Iterator<Item = &'a SourcePath>) -> Result<(), SourceError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Folder,
        File,
    }
    let mut seen: BTreeMap<String, (String, Kind)> = BTreeMap::new();
    for path in paths {
        let mut end = 0;
        for segment in path.as_str().split('/') {
            end += segment.len();
            let here = &path.as_str()[..end];
            end += 1;
            let kind = if here.len() == path.as_str().len() { Kind::File } else { Kind::Folder };
            let folded = here.to_lowercase();
            let Some((spelled, was)) = seen.get(&folded) else {
                seen.insert(folded, (here.to_owned(), kind));
                continue;
            };
            let how = match (spelled == here, *was == kind) {
                (false, _) => "differ only in case",
                (true, false) => "are a file and a folder of the same name",
                (true, true) => continue,
            };
            return Err(SourceError::Conflict { first: spelled.clone(), second: path.to_string(), how });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, u64)]) -> Result<Manifest, SourceError> {
        let listed = |size| Listed { sha256: ContentHash::of(b""), size };
        Manifest::new(files.iter().map(|(path, size)| (SourcePath::parse(path).unwrap(), listed(*size))))
    }

    #[test]
    fn a_chart_is_accepted_and_found_by_folder() {
        let chart = manifest(&[("c/Chart.yaml", 1), ("c/templates/a.yaml", 2), ("values.yaml", 3)]).unwrap();
        let path = |text| SourcePath::parse(text).unwrap();
        assert!(
            chart.has_folder(&path("c"))
                && chart.has_folder(&path("c/templates"))
                && chart.has_folder(&path("."))
        );
        assert!(!chart.has_folder(&path("values.yaml")) && chart.has_file(&path("values.yaml")));
    }

    #[test]
    fn paths_that_cannot_live_together_are_refused() {
        for (files, how) in [
            (vec![("a.yaml", 1), ("./a.yaml", 1)], "are the same"),
            (vec![("a.yaml", 1), ("A.yaml", 1)], "case"),
            (vec![("Dir/a.yaml", 1), ("dir/b.yaml", 1)], "case"),
            (vec![("a", 1), ("a/b", 1)], "a file and a folder"),
            (vec![("a", 1), ("a-b", 1), ("a/b/c", 1)], "a file and a folder"),
        ] {
            let error = manifest(&files).unwrap_err().to_string();
            assert!(error.contains(how), "{error}");
        }
    }

    #[test]
    fn limits_name_themselves() {
        let error = manifest(&[("big.bin", MAX_FILE_BYTES + 1)]).unwrap_err().to_string();
        assert!(error.contains("big.bin") && error.contains("8388608"), "{error}");
        let names: Vec<String> = (0..9).map(|number| format!("{number}.bin")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), MAX_FILE_BYTES)).collect();
        let error = manifest(&files).unwrap_err().to_string();
        assert!(error.contains("67108864"), "{error}");
        let names: Vec<String> = (0..=MAX_FILES).map(|number| format!("f{number}")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        let error = manifest(&files).unwrap_err().to_string();
        assert!(error.contains("20000 files"), "{error}");
    }
}
