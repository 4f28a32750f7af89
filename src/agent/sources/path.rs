//! Paths of sources: relative, cleaned, and never out of their folder.
//!
//! The same rules hold for every path of a request (values layers, a chart directory), so a path that was accepted
//! can be joined to a folder without looking at it again.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::SourceError;

/// The most segments of a path.
pub const MAX_DEPTH: usize = 32;
/// The most bytes of a path.
pub const MAX_PATH_BYTES: usize = 1024;
/// The most bytes of one segment: what file systems take.
pub const MAX_SEGMENT_BYTES: usize = 255;

/// A relative path with `/`, without `.` and `..`; the root itself is `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourcePath(String);

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// `/etc/passwd`, `C:\x`, `https://x`.
    #[error("it is absolute or has a scheme")]
    Absolute,
    /// `..` anywhere, also where it would stay inside.
    #[error("it contains '..'")]
    Parent,
    /// A separator on some systems and a letter on others.
    #[error("it contains a backslash")]
    Backslash,
    /// NUL, newlines and their like.
    #[error("it contains a control character")]
    Control,
    /// Beyond [`MAX_PATH_BYTES`].
    #[error("it is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// Beyond [`MAX_SEGMENT_BYTES`].
    #[error("one of its names is longer than {MAX_SEGMENT_BYTES} bytes")]
    SegmentTooLong,
    /// Beyond [`MAX_DEPTH`].
    #[error("it is deeper than {MAX_DEPTH} folders")]
    TooDeep,
}

impl SourcePath {
    /// Cleans `./` and doubled slashes away and refuses everything that could lead elsewhere.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        clean(text).map(Self).map_err(|fault| SourceError::Path { path: shortened(text), fault })
    }

    /// The cleaned text; `.` for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its names from the root on; none for the root itself.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| *segment != ".")
    }

    /// Where it lies below a folder.
    pub fn below(&self, folder: &std::path::Path) -> PathBuf {
        self.segments().fold(folder.to_owned(), |path, segment| path.join(segment))
    }

    /// Whether `other` is this folder or lies in it.
    pub fn contains(&self, other: &Self) -> bool {
        self.0 == "."
            || other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl TryFrom<String> for SourcePath {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        Self::parse(&text)
    }
}

impl From<SourcePath> for String {
    fn from(path: SourcePath) -> Self {
        path.0
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// At most 120 characters of what a client sent, for a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn clean(text: &str) -> Result<String, PathFault> {
    refuse_whole(text)?;
    let mut kept: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => return Err(PathFault::Parent),
            long if long.len() > MAX_SEGMENT_BYTES => return Err(PathFault::SegmentTooLong),
            name => kept.push(name),
        }
    }
    match kept.len() {
        0 => Ok(".".to_owned()),
        depth if depth > MAX_DEPTH => Err(PathFault::TooDeep),
        _ => Ok(kept.join("/")),
    }
}

fn refuse_whole(text: &str) -> Result<(), PathFault> {
    if text.is_empty() {
        return Err(PathFault::Empty);
    }
    if text.len() > MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    if text.contains('\\') {
        return Err(PathFault::Backslash);
    }
    if text.chars().any(char::is_control) {
        return Err(PathFault::Control);
    }
    // Helm takes anything with a scheme for an address, and Windows a letter with a colon for a disk.
    let has_scheme = text.split('/').next().is_some_and(|first| first.contains(':'));
    if text.starts_with('/') || has_scheme { Err(PathFault::Absolute) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (sent, kept) in [
            ("values.yaml", "values.yaml"),
            ("./charts//web/./Chart.yaml", "charts/web/Chart.yaml"),
            ("charts/web/", "charts/web"),
            (".", "."),
            ("./", "."),
            ("...", "..."),
            ("größe/wert.yaml", "größe/wert.yaml"),
            ("a:b/c", ""),
            ("a/b:c", "a/b:c"),
        ] {
            assert_eq!(clean(sent).unwrap_or_default(), kept, "{sent}");
        }
    }

    #[test]
    fn paths_that_could_leave_are_refused() {
        let long = "x/".repeat(600);
        let deep = "x/".repeat(33);
        let segment = "x".repeat(256);
        for (sent, fault) in [
            ("", PathFault::Empty),
            ("/etc/passwd", PathFault::Absolute),
            ("C:/x", PathFault::Absolute),
            ("https://x/values.yaml", PathFault::Absolute),
            ("../x", PathFault::Parent),
            ("a/../b", PathFault::Parent),
            ("a/..", PathFault::Parent),
            ("..\\x", PathFault::Backslash),
            ("a\0b", PathFault::Control),
            ("a\nb", PathFault::Control),
            (&long, PathFault::TooLong),
            (&deep, PathFault::TooDeep),
            (&segment, PathFault::SegmentTooLong),
        ] {
            assert_eq!(clean(sent), Err(fault), "{sent}");
        }
    }

    #[test]
    fn a_folder_contains_what_lies_in_it_and_not_its_neighbors() {
        let path = |text| SourcePath::parse(text).unwrap();
        assert!(path("charts/web").contains(&path("charts/web/Chart.yaml")));
        assert!(!path("charts/web").contains(&path("charts/web2/Chart.yaml")));
        assert!(path(".").contains(&path("Chart.yaml")));
    }

    #[test]
    fn a_refusal_shows_the_path_but_not_all_of_it() {
        let error = SourcePath::parse(&"y".repeat(5000)).unwrap_err().to_string();
        assert!(error.len() < 400 && error.contains("longer than 1024"), "{error}");
    }
}
