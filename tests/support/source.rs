//! The project's own Rust code as data: which files there are, and which names each of them uses outside its tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// One `.rs` file.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) lines: usize,
    /// Whether it opens with `//!`.
    pub(crate) has_module_docs: bool,
    /// Every path that is written in it outside of tests, as `a::b::c`, `use` declarations spelled out.
    pub(crate) names: BTreeSet<String>,
    pub(crate) text: String,
}

impl Source {
    /// Whether one of its names is this one, or lies below it.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|used| used.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
    }

    /// Whether it is the `mod tests` of a module, in a file of its own: that module has said what it is.
    pub(crate) fn is_module_of_tests(&self) -> bool {
        self.path.starts_with("src/") && self.path.ends_with("/tests.rs")
    }

    /// Whether the whole file is tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The modules of its own crate that it uses, by their top-level names: `crate::a::B` and `super::…` alike.
    pub(crate) fn siblings(&self, crate_root: &str) -> BTreeSet<String> {
        let own = module_path(self.path.strip_prefix(crate_root).unwrap_or(&self.path));
        self.names.iter().filter_map(|name| top_level(&own, name)).collect()
    }
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below the given folders.
pub(crate) fn read(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root().join(folder), "rs", &mut paths);
    }
    paths.sort();
    paths.iter().map(|path| read_one(path)).collect()
}

/// All files below `folder` with this extension, without what tools put there.
pub(crate) fn collect(folder: &Path, extension: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "node_modules" | "target" | "dist" | ".git") {
            collect(&path, extension, into);
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
}

fn read_one(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut names = Names::default();
    names.visit_file(&file);
    Source {
        path: path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"),
        lines: text.lines().count(),
        has_module_docs: text.starts_with("//!"),
        names: names.0,
        text,
    }
}

/// `store/sqlite/read.rs` is `store::sqlite::read`; the crate's own files are the empty path.
fn module_path(file: &str) -> Vec<String> {
    let parts: Vec<_> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.as_slice(), [only] if only == "lib" || only == "main") { Vec::new() } else { parts }
}

fn top_level(own: &[String], name: &str) -> Option<String> {
    let segments: Vec<_> = name.split("::").collect();
    let supers = segments.iter().take_while(|segment| **segment == "super").count();
    let mut absolute: Vec<&str> = match *segments.first()? {
        "crate" => Vec::new(),
        "self" => own.iter().map(String::as_str).collect(),
        _ if supers > 0 => own.iter().take(own.len().saturating_sub(supers)).map(String::as_str).collect(),
        _ => return None,
    };
    absolute.extend(&segments[supers.max(1)..]);
    absolute.first().map(|&first| first.to_owned())
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn add_use(&mut self, prefix: &str, tree: &UseTree) {
        let join = |name: &dyn std::fmt::Display| {
            if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") }
        };
        match tree {
            UseTree::Path(path) => self.add_use(&join(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => drop(self.0.insert(prefix.to_owned())),
            UseTree::Name(name) => drop(self.0.insert(join(&name.ident))),
            UseTree::Rename(rename) => drop(self.0.insert(join(&rename.ident))),
            UseTree::Glob(_) => drop(self.0.insert(join(&"*"))),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add_use(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use("", &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.0.insert(segments.join("::"));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        // What a macro makes of its tokens is its own affair; paths look the same everywhere.
        let tokens = call.tokens.to_string().replace(" :: ", "::").replace(":: ", "::").replace(" ::", "::");
        let is_name = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
        let words = tokens.split(|character| !is_name(character));
        self.0.extend(words.filter(|word| word.contains("::")).map(|word| word.trim_matches(':').to_owned()));
    }
}

fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
