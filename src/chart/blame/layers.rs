//! Which layer of values wins at a path.
//!
//! Low to high: a subchart's own `values.yaml`, the chart's, the values files in their order, then what the release sets
//! beside the files, kind by kind as Helm orders them. Maps are merged; a list or single value hides what lies below, and
//! `null` removes it.

pub(super) mod strvals;

use super::scene::{Scene, clean, join};
use crate::config::SetKind;
use crate::finding::Place;
use crate::text::Span;
use crate::yaml::{Entry, Node, Tree};

/// All layers of values that one chart sees, high to low.
pub(super) struct Layers<'a> {
    sets: Vec<SetLayer>,
    files: Vec<FileLayer<'a>>,
    config: Option<&'a str>,
}

struct SetLayer {
    path: Vec<String>,
    span: Span,
}

struct FileLayer<'a> {
    file: &'a str,
    tree: Tree,
    /// How many steps of a path lie above this file: those that lead to the subchart whose own values it holds.
    above: usize,
}

/// Where a path is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The value, at its anchor if an alias stands there.
    pub(super) value: Place,
    /// The key; of a list's item its first key or the item.
    pub(super) key: Place,
    /// The alias, where the value stands elsewhere.
    pub(super) alias: Option<Place>,
    /// How many steps of the path were found: all of them, or fewer where something on the way is no map.
    pub(super) depth: usize,
}

impl<'a> Layers<'a> {
    /// The layers that the subchart at `subcharts` (names from the top) sees; the top chart itself for none.
    pub(super) fn of(scene: &Scene<'a>, subcharts: &[String]) -> Self {
        let mut files: Vec<FileLayer<'a>> = Vec::new();
        let mut add = |path: &str, above: usize| {
            if let Some((file, text)) = scene.sources().get_key_value(path) {
                files.push(FileLayer { file, tree: Tree::parse(text), above });
            }
        };
        for path in scene.case.values.iter().rev() {
            add(&clean(path), 0);
        }
        let mut dir = scene.chart.clone();
        add(&join(&dir, "values.yaml"), 0);
        for (depth, called) in subcharts.iter().enumerate() {
            let below = join(&dir, &format!("charts/{called}"));
            dir = scene.subchart(&dir, called).unwrap_or(below);
            add(&join(&dir, "values.yaml"), depth + 1);
        }
        Self { sets: sets(scene), files, config: scene.case.config_path }
    }

    /// What wins at a path; a step may be a key or an index. `None` when no layer knows even its first step.
    pub(super) fn find(&self, path: &[String]) -> Option<Found> {
        if let Some(found) = self.find_in_sets(path, false) {
            return Some(found);
        }
        let mut best: Option<Found> = None;
        for layer in &self.files {
            let Some(found) = layer.find(path) else { continue };
            if found.hides_below || found.found.depth == path.len() {
                return Some(found.found);
            }
            if best.as_ref().is_none_or(|best| best.depth < found.found.depth) {
                best = Some(found.found);
            }
        }
        best.filter(|best| best.depth > 0).or_else(|| self.find_in_sets(path, true))
    }

    /// What wins at a path if it is set in full.
    pub(super) fn find_whole(&self, path: &[String]) -> Option<Found> {
        self.find(path).filter(|found| found.depth == path.len())
    }

    /// The first key of the highest file that has one: the place for what is missing at the top.
    pub(super) fn first_key(&self) -> Option<Place> {
        let own = self.files.iter().map(|layer| layer.above).max()?;
        let mut files = self.files.iter().filter(|layer| layer.above == own);
        files.find_map(|layer| {
            let entry = layer.tree.root()?.entries().next()?;
            Some(Place::new(layer.file, entry.key.span()))
        })
    }

    /// A value set beside the files: at the path or above it, or, where `below` is asked for, anywhere under it.
    fn find_in_sets(&self, path: &[String], below: bool) -> Option<Found> {
        let wins = |set: &&SetLayer| {
            !path.is_empty() && if below { set.path.starts_with(path) } else { path.starts_with(&set.path) }
        };
        let set = self.sets.iter().find(wins)?;
        let place = Place::new(self.config?, set.span);
        Some(Found { value: place.clone(), key: place, alias: None, depth: path.len() })
    }
}

/// The values set in `.ktl.yaml`, high to low.
fn sets(scene: &Scene<'_>) -> Vec<SetLayer> {
    const ORDER: [SetKind; 5] =
        [SetKind::Literal, SetKind::File, SetKind::String, SetKind::Value, SetKind::Json];
    let Some(release) = &scene.release else { return Vec::new() };
    let mut layers = Vec::new();
    for kind in ORDER {
        for set in release.set.iter().rev().filter(|set| set.kind == kind) {
            let first_only = matches!(kind, SetKind::Json | SetKind::Literal);
            let paths = match set.expression.split_once('=') {
                Some((key, _)) if first_only => strvals::parse(&format!("{key}=")),
                _ => strvals::parse(&set.expression),
            };
            let paths = paths.unwrap_or_default();
            layers.extend(paths.into_iter().rev().map(|path| SetLayer { path, span: set.span }));
        }
    }
    layers
}

/// How far a file knows a path, and whether it settles the matter for the layers below.
struct InFile {
    found: Found,
    hides_below: bool,
}

impl FileLayer<'_> {
    fn find(&self, path: &[String]) -> Option<InFile> {
        let path = path.get(self.above..)?;
        let mut node = self.tree.root()?;
        let mut found = None;
        for (depth, step) in path.iter().enumerate() {
            let Some((next, key)) = next(node, step) else {
                // A list or single value of a higher layer is taken whole; a map is merged.
                let hides_below = !node.is_mapping() && found.is_some();
                return found.map(|found| InFile { found, hides_below });
            };
            found = Some(self.found(next, key, self.above + depth + 1));
            node = next;
        }
        Some(InFile { found: found?, hides_below: true })
    }

    fn found(&self, node: Node<'_>, key: Span, depth: usize) -> Found {
        let place = |span| Place::new(self.file, span);
        let target = node.resolved().span();
        let value = if target.is_empty() { key } else { target };
        let alias = (node.span() != target).then(|| place(node.span()));
        Found { value: place(value), key: place(key), alias, depth }
    }
}

/// One step down: the value, and the key to show for it.
fn next<'t>(node: Node<'t>, step: &str) -> Option<(Node<'t>, Span)> {
    if node.is_sequence() {
        let item = node.items().nth(step.parse().ok()?)?;
        let first: Option<Entry<'_>> = item.entries().next();
        return Some((item, first.map_or(item.span(), |entry| entry.key.span())));
    }
    let entry = node.entry(step)?;
    Some((entry.value, entry.key.span()))
}
