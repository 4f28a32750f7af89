//! The sources of one operation on disk: files of 0600 in a folder of 0700, gone when the operation ends.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::{ContentHash, Listed, Manifest, SourceError, SourcePath, pool::Content};

/// Writes the files below `folder`, which is made first. Existing files are never followed or overwritten.
pub fn write(folder: &Path, files: &[(SourcePath, Content)]) -> Result<(), SourceError> {
    for (path, content) in files {
        write_one(folder, path, content)
            .map_err(|source| SourceError::Write { path: path.to_string(), source })?;
    }
    private_folder(folder).map_err(|source| SourceError::Write { path: ".".to_owned(), source })
}

/// Reads back what [`write()`] wrote, as text; bytes that are no UTF-8 are replaced. A file that is not what was sent
/// is an error: a power cut may have left a part of it, and a part of some values is a valid file too.
pub fn read(folder: &Path, manifest: &Manifest) -> io::Result<BTreeMap<String, String>> {
    let text = |(path, listed): (&SourcePath, &Listed)| {
        let bytes = fs::read(path.below(folder))?;
        if ContentHash::of(&bytes) != listed.sha256 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not what was sent")));
        }
        Ok((path.to_string(), to_text(&bytes)))
    };
    manifest.iter().map(text).collect()
}

/// Makes a folder and its parents, each for its owner only.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write_one(folder: &Path, path: &SourcePath, content: &[u8]) -> io::Result<()> {
    let target = path.below(folder);
    if let Some(parent) = target.parent() {
        private_folder(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
    file.write_all(content)?;
    // The run is adopted after a power cut only with all of its files.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn files(list: &[(&str, &[u8])]) -> Vec<(SourcePath, Content)> {
        list.iter()
            .map(|(path, content)| (SourcePath::parse(path).unwrap(), Content::from(*content)))
            .collect()
    }

    #[test]
    fn files_are_private_and_come_back() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("src");
        write(&folder, &files(&[("chart/templates/a.yaml", b"a: 1\n"), ("values.yaml", b"\xff")])).unwrap();
        let mode = |path: &str| fs::metadata(folder.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("."), mode("chart"), mode("values.yaml")), (0o700, 0o700, 0o600));
        assert_eq!(fs::read(folder.join("chart/templates/a.yaml")).unwrap(), b"a: 1\n");
    }

    #[test]
    fn a_file_that_is_not_what_was_sent_is_not_read_back() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("src");
        write(&folder, &files(&[("values.yaml", b"replicas: 10\n")])).unwrap();
        let listed = Listed { sha256: ContentHash::of(b"replicas: 10\n"), size: 13 };
        let manifest = Manifest::new([(SourcePath::parse("values.yaml").unwrap(), listed)]).unwrap();
        assert_eq!(read(&folder, &manifest).unwrap()["values.yaml"], "replicas: 10\n");
        fs::write(folder.join("values.yaml"), "replicas: 1").unwrap();
        let error = read(&folder, &manifest).unwrap_err().to_string();
        assert!(error.contains("values.yaml"), "{error}");
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let victim = home.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let folder = home.path().join("src");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&victim, folder.join("values.yaml")).unwrap();
        let error = write(&folder, &files(&[("values.yaml", b"x")])).unwrap_err();
        assert!(error.to_string().contains("values.yaml"), "{error}");
        assert_eq!(fs::read_to_string(victim).unwrap(), "untouched");
    }
}
