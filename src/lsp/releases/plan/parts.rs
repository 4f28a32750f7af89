//! The parts of a release: its chart, its values files and its single values, each looked up where it is named.

use std::path::{Path, PathBuf};

use ktl_chart::{
    config::{SetKind, SetValue},
    finding::Finding,
    text::Spanned,
    values,
};

use super::SetFlag;
use crate::{
    releases::{
        Definition, Release, clean,
        collect::{Collection, relative},
    },
    settings::resolve_path,
    workspace::Buffers,
};

/// What the chart turned out to be.
pub(super) enum Chart {
    Folder(PathBuf),
    Archive(PathBuf),
    Reference(String),
}

/// What is read out of a release, and what is wrong with it.
pub(super) struct Parts<'a> {
    pub(super) release: &'a Release,
    pub(super) buffers: &'a Buffers,
    pub(super) collection: Collection,
    pub(super) problems: Vec<Finding>,
}

impl Parts<'_> {
    pub(super) fn chart(&mut self) -> Option<Chart> {
        let release = self.release;
        let Some(entry) = release.entry() else {
            let folder = release.folder().to_owned();
            self.add_chart(&folder, None)?;
            return Some(Chart::Folder(folder));
        };
        let Some(item) = &entry.chart else {
            let message =
                format!("release {} has no chart; add chart: with a folder, a .tgz or oci://…", release.name);
            self.problems.push(release.error(entry.name.span, "chart-missing", message));
            return None;
        };
        let text = item.value.as_str();
        if text.starts_with("oci://") || text.starts_with("https://") || text.starts_with("http://") {
            return Some(Chart::Reference(text.to_owned()));
        }
        let path = clean(&resolve_path(release.folder(), text));
        if path.is_dir() || self.buffers.has(&path.join("Chart.yaml")) {
            self.add_chart(&path, Some(item))?;
            return Some(Chart::Folder(path));
        }
        if path.is_file() {
            self.add_file(&path, item, "chart-missing")?;
            return Some(Chart::Archive(path));
        }
        if is_repository_chart(text) && entry.chart_version.is_some() {
            return Some(Chart::Reference(text.to_owned()));
        }
        self.problems.push(release.error_at(item, "chart-missing", missing_chart(text, &path)));
        None
    }

    fn add_chart(&mut self, folder: &Path, item: Option<&Spanned<String>>) -> Option<()> {
        let span = item.map_or(self.release.place, |item| item.span);
        let added = if self.buffers.has(&folder.join("Chart.yaml")) {
            self.collection.add_folder(folder, self.buffers)
        } else {
            Err(format!("{} is no chart: it has no Chart.yaml", folder.display()))
        };
        added.map_err(|problem| self.problems.push(self.release.error(span, "chart-missing", problem))).ok()
    }

    pub(super) fn values(&mut self) -> Vec<PathBuf> {
        let items: Vec<Spanned<String>> = match &self.release.definition {
            Definition::Entry(entry) => entry.values.clone(),
            Definition::Bare { layers, .. } => {
                layers.iter().map(|layer| Spanned::new(layer.clone(), self.release.place)).collect()
            }
        };
        let paths: Vec<PathBuf> =
            items.iter().filter_map(|item| self.file(item, &item.value, "values-missing")).collect();
        for path in &paths {
            let text = self.buffers.text(path).unwrap_or_default();
            self.problems.extend(values::secret_references(&path.display().to_string(), &text));
        }
        paths
    }

    pub(super) fn set(&mut self) -> Vec<Flag> {
        let Some(entry) = self.release.entry() else { return Vec::new() };
        entry
            .set
            .iter()
            .map(|value| match value.kind {
                SetKind::File => Flag::Files(self.set_files(value)),
                kind => Flag::Plain(SetFlag { kind, expression: value.expression.clone() }),
            })
            .collect()
    }

    /// `a=one.txt,b=two.txt`: each file becomes a source.
    fn set_files(&mut self, value: &SetValue) -> Vec<(String, PathBuf)> {
        let mut files = Vec::new();
        for part in value.expression.split(',') {
            let item = Spanned::new(part.to_owned(), value.span);
            let Some((key, file)) = part.split_once('=') else {
                let message = format!("{part:?} names no file; write it as key=path");
                self.problems.push(self.release.error_at(&item, "set-file-missing", message));
                continue;
            };
            files.extend(self.file(&item, file, "set-file-missing").map(|path| (key.to_owned(), path)));
        }
        files
    }

    /// A file that `item` names by `text`.
    fn file(&mut self, item: &Spanned<String>, text: &str, code: &'static str) -> Option<PathBuf> {
        if text.contains("://") {
            let message = format!("{text} is a URL; download the file and name it by its path");
            self.problems.push(self.release.error_at(item, code, message));
            return None;
        }
        let path = clean(&resolve_path(self.release.folder(), text));
        if !self.buffers.has(&path) {
            let message = if path.is_dir() {
                format!("{text} is a folder; name a file in it")
            } else {
                format!("there is no file {text}: looked for {}", path.display())
            };
            self.problems.push(self.release.error_at(item, code, message));
            return None;
        }
        self.add_file(&path, item, code)?;
        Some(path)
    }

    fn add_file(&mut self, path: &Path, item: &Spanned<String>, code: &'static str) -> Option<()> {
        let added = self.collection.add(path, self.buffers);
        added.map_err(|problem| self.problems.push(self.release.error_at(item, code, problem))).ok()
    }
}

/// A flag before the root of the sources is known.
pub(super) enum Flag {
    Plain(SetFlag),
    Files(Vec<(String, PathBuf)>),
}

impl Flag {
    pub(super) fn inside(self, root: &Path) -> Result<SetFlag, String> {
        match self {
            Self::Plain(flag) => Ok(flag),
            Self::Files(files) => {
                let parts: Result<Vec<String>, String> =
                    files.iter().map(|(key, path)| Ok(format!("{key}={}", relative(root, path)?))).collect();
                Ok(SetFlag { kind: SetKind::File, expression: parts?.join(",") })
            }
        }
    }
}

/// `repo/name`, and nothing that looks like a path.
fn is_repository_chart(text: &str) -> bool {
    let is_word = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.starts_with('~');
    text.split_once('/')
        .is_some_and(|(repository, name)| is_word(repository) && is_word(name) && !name.contains('/'))
}

fn missing_chart(text: &str, path: &Path) -> String {
    let hint = if is_repository_chart(text) {
        "; a chart of a repository needs chartVersion beside it"
    } else {
        "; the path counts from this file"
    };
    format!("there is no chart {text}: looked for {}{hint}", path.display())
}
