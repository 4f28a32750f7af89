//! The invariants of `src/ARCHITECTURE.md`, as assertions. A table here is the place to change when one of them is to
//! change, and the commit that does so says why.

#![allow(clippy::unwrap_used)] // Tests fail by panicking.

#[path = "support/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use source::{Source, collect, root};

/// A name that only some files may use: `paths` are prefixes of files.
struct Only {
    names: &'static [&'static str],
    paths: &'static [&'static str],
    why: &'static str,
}

const ONLY: &[Only] = &[
    Only {
        names: &["rusqlite", "tokio_postgres"],
        paths: &["src/agent/store"],
        why: "SQL stays in the store",
    },
    Only {
        names: &["kube", "k8s_openapi"],
        paths: &["src/agent/kube", "src/agent/op/rollout", "src/agent/op/apply/render.rs"],
        why: "the cluster is reached through one client",
    },
    Only {
        names: &["tower_lsp", "lsp_types"],
        paths: &[
            "src/lsp/analysis",
            "src/lsp/board.rs",
            "src/lsp/capabilities.rs",
            "src/lsp/command",
            "src/lsp/convert",
            "src/lsp/documents.rs",
            "src/lsp/editor.rs",
            "src/lsp/fault.rs",
            "src/lsp/features",
            "src/lsp/hover.rs",
            "src/lsp/progress",
            "src/lsp/server",
            "src/lsp/transport",
        ],
        why: "LSP exists at the rim of the server; runs, releases, settings and the agent client do not know it",
    },
    Only {
        names: &["ktl_proto"],
        paths: &["src/agent", "src/lsp/agent", "src/lsp/runs", "src/lsp/cli"],
        why: "the contract is used where frames come in",
    },
    Only {
        names: &["ktl_proto::api"],
        paths: &["src/agent/grpc", "src/agent/frame.rs"],
        why: "the public API is a door; what a client published through it is a payload like any other",
    },
    Only {
        names: &["std::process::Command", "process::Command", "tokio::process"],
        paths: &[
            "src/agent/helm/probe.rs",
            "src/agent/shim",
            "src/lsp/agent/detach.rs",
            "src/lsp/agent/local/spawn.rs",
            "src/xtask",
        ],
        why: "processes are started in named places",
    },
    Only {
        names: &[
            "tokio::spawn",
            "tokio::task::spawn",
            "tokio::task::spawn_blocking",
            "tokio::task::JoinSet",
            "task::spawn_blocking",
            "tokio_util::task::TaskTracker",
        ],
        paths: &[
            "src/lsp/task.rs",
            "src/lsp/progress.rs",
            "src/agent/store/sqlite",
            "src/agent/store/postgres.rs",
            "src/agent/store/postgres",
            "src/agent/shutdown.rs",
            "src/agent/op.rs",
            "src/agent/kube/config.rs",
        ],
        why: "tasks are spawned in named places, each behind a panic barrier",
    },
    Only {
        names: &["std::thread::spawn", "thread::spawn", "std::thread::Builder", "thread::Builder"],
        paths: &["src/lsp/transport", "src/lsp/agent/local/spawn.rs", "src/agent/store/sqlite", "src/xtask"],
        why: "threads are started in named places",
    },
    Only {
        names: &["tracing_subscriber"],
        paths: &["src/agent/log.rs", "src/lsp/main.rs"],
        why: "the agent's log passes the mask, and there is no other log",
    },
    Only {
        names: &["anyhow"],
        paths: &["src/lsp/main.rs", "src/agent/main.rs", "src/agent/app.rs", "src/agent/app", "src/xtask"],
        why: "callers branch on errors everywhere else",
    },
    Only {
        names: &["std::process::exit", "process::exit"],
        paths: &["src/lsp/transport.rs"],
        why: "a program ends by returning; the last resort of the transport is the exception",
    },
];

/// What pure code cannot use.
const IMPURE: &[&str] =
    &["std::fs", "std::net", "std::process", "std::thread", "tokio", "tonic", "tower_lsp", "lsp_types"];

/// In crate `root`, modules that begin with `module` may not use these modules of their own crate.
struct Below {
    root: &'static str,
    module: &'static str,
    never: &'static [&'static str],
}

/// Nothing calls up.
const BELOW: &[Below] = &[
    Below {
        root: "src/agent/",
        module: "session",
        never: &["store", "journal", "op", "grpc", "http", "app"],
    },
    Below { root: "src/agent/", module: "frame", never: &["store", "journal", "op", "grpc", "http", "app"] },
    Below { root: "src/agent/", module: "mask", never: &["store", "journal", "op", "grpc", "http", "app"] },
    Below { root: "src/agent/", module: "store", never: &["journal", "op", "grpc", "http", "app"] },
    Below { root: "src/agent/", module: "journal", never: &["op", "grpc", "http", "app"] },
    Below { root: "src/agent/", module: "helm", never: &["store", "journal", "op", "grpc", "http", "app"] },
    Below { root: "src/agent/", module: "shim", never: &["store", "journal", "op", "grpc", "http", "app"] },
    Below { root: "src/agent/", module: "kube", never: &["store", "journal", "op", "grpc", "http", "app"] },
    Below {
        root: "src/agent/",
        module: "sources",
        never: &["store", "journal", "op", "grpc", "http", "app"],
    },
    Below {
        root: "src/agent/",
        module: "clusters",
        never: &["store", "journal", "op", "grpc", "http", "app"],
    },
    Below { root: "src/agent/", module: "op", never: &["grpc", "http", "app"] },
    Below { root: "src/agent/", module: "grpc", never: &["app"] },
    Below { root: "src/agent/", module: "http", never: &["app"] },
    Below {
        root: "src/lsp/",
        module: "documents",
        never: &["server", "analysis", "board", "editor", "runs", "agent", "cli"],
    },
    Below {
        root: "src/lsp/",
        module: "convert",
        never: &["server", "analysis", "board", "editor", "agent", "cli"],
    },
    Below {
        root: "src/lsp/",
        module: "runs",
        never: &["server", "analysis", "board", "editor", "features", "cli"],
    },
    Below {
        root: "src/lsp/",
        module: "agent",
        never: &["server", "analysis", "board", "editor", "features", "runs", "cli"],
    },
    Below { root: "src/lsp/", module: "settings", never: &["server", "editor", "runs", "cli"] },
    Below { root: "src/lsp/", module: "cli", never: &["server", "editor", "analysis", "board", "transport"] },
    Below { root: "src/lsp/", module: "features", never: &["server", "agent", "cli"] },
];

/// Crates and what of ours each may depend on; tests may use more.
const CRATES: &[(&str, &[&str])] = &[
    ("Cargo.toml", &["ktl-chart", "ktl-proto"]),
    ("proto/Cargo.toml", &[]),
    ("src/chart/Cargo.toml", &[]),
    ("src/agent/Cargo.toml", &["ktl-chart", "ktl-proto"]),
    ("src/xtask/Cargo.toml", &[]),
    ("fixtures/Cargo.toml", &[]),
];

/// The packages that the project was asked for, and their names in code.
const NAMED: [(&str, &str); 10] = [
    ("tower-lsp", "tower_lsp"),
    ("lsp-types", "lsp_types"),
    ("tonic", "tonic"),
    ("prost", "prost"),
    ("tokio", "tokio"),
    ("serde_yaml", "serde_yaml"),
    ("yaml-rust2", "yaml_rust2"),
    ("kube", "kube"),
    ("rustls", "rustls"),
    ("ropey", "ropey"),
];

const TOO_LONG: usize = 600;
const LONG: usize = 400;

/// Read once for all tests.
fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| source::read(&["src", "proto", "fixtures", "tests"]))
}

#[track_caller]
fn none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> = sources()
        .iter()
        .filter(|file| !file.has_module_docs && !file.is_module_of_tests())
        .map(|file| file.path.clone())
        .collect();
    none(&silent, "these files do not open with `//!`");
}

#[test]
fn a_module_is_named_after_what_it_is() {
    let named_mod: Vec<_> =
        sources().iter().map(|file| file.path.clone()).filter(|path| path.ends_with("/mod.rs")).collect();
    none(&named_mod, "use foo.rs beside foo/ instead of foo/mod.rs");
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let files = sources();
    for file in files.iter().filter(|file| file.lines > LONG) {
        println!("{} has {} lines; think about what it is two of", file.path, file.lines);
    }
    let too_long: Vec<_> = files
        .iter()
        .filter(|file| file.lines > TOO_LONG)
        .map(|file| format!("{}: {} lines", file.path, file.lines))
        .collect();
    none(&too_long, "no file has more than 600 lines");
}

#[test]
fn names_stay_in_their_places() {
    let mut broken = Vec::new();
    for file in sources().iter().filter(|file| file.path.starts_with("src/") && !file.is_test()) {
        for only in ONLY.iter().filter(|only| !only.paths.iter().any(|place| file.path.starts_with(place))) {
            let used = only.names.iter().filter(|name| file.uses(name));
            broken.extend(used.map(|name| format!("{} uses {name}, but {}", file.path, only.why)));
        }
    }
    none(&broken, "a name left its place (the table is `ONLY`)");
}

/// What is said in a session before it is masked.
const UNMASKED: [&str; 9] = ["fact", "facts", "frame", "frames", "payload", "body", "meta", "tags", "record"];

#[test]
fn nothing_of_a_session_is_formatted_into_a_log() {
    let mut broken = Vec::new();
    for file in sources().iter().filter(|file| file.path.starts_with("src/agent/") && !file.is_test()) {
        for (number, line) in file.text.lines().enumerate().filter(|(_, line)| line.contains("tracing::")) {
            let named = UNMASKED.into_iter().filter(|name| formats(line, name));
            broken.extend(named.map(|name| format!("{}:{} logs {name}", file.path, number + 1)));
        }
        let prints =
            ["println!(", "eprint!(", "print!(", "dbg!("].iter().any(|word| file.text.contains(word));
        if prints && !PRINTS.contains(&file.path.as_str()) {
            broken.push(format!("{} prints", file.path));
        }
    }
    none(&broken, "what a session holds is in its frames, and what the agent says goes through its log");
}

/// Whether a line of a log writes out a variable of this name.
fn formats(line: &str, name: &str) -> bool {
    ["?", "%", "{"].iter().any(|sign| {
        let ends = |end: usize| !line[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        line.match_indices(&format!("{sign}{name}")).any(|(at, found)| ends(at + found.len()))
    })
}

/// Who may print: the program before it has a log, and the shim, whose words go into its run folder.
const PRINTS: [&str; 2] = ["src/agent/main.rs", "src/agent/shim/run.rs"];

#[test]
fn every_place_of_a_name_is_one() {
    let files = sources();
    let mut stale = Vec::new();
    for only in ONLY {
        for place in only.paths {
            let is_used =
                |file: &Source| file.path.starts_with(place) && only.names.iter().any(|name| file.uses(name));
            if !files.iter().any(is_used) {
                stale.push(format!("{place} does not use any of {:?}", only.names));
            }
        }
    }
    none(&stale, "the table `ONLY` allows what nobody does");
}

#[test]
fn pure_code_is_pure() {
    let mut broken = Vec::new();
    for file in sources().iter().filter(|file| file.path.starts_with("src/chart/") && !file.is_test()) {
        let used = IMPURE.iter().filter(|name| file.uses(name));
        broken.extend(used.map(|name| format!("{} uses {name}", file.path)));
    }
    none(&broken, "ktl-chart takes text and gives plain data");
}

#[test]
fn nothing_calls_up() {
    let mut broken = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        for rule in BELOW {
            let Some(inside) = file.path.strip_prefix(rule.root) else { continue };
            if inside.split(['/', '.']).next() != Some(rule.module) {
                continue;
            }
            let siblings = file.siblings(rule.root);
            let used = rule.never.iter().filter(|module| siblings.contains(**module));
            broken.extend(used.map(|module| format!("{} uses {module}", file.path)));
        }
    }
    none(&broken, "dependencies point one way (the table is `BELOW`)");
}

#[test]
fn the_transport_knows_nothing_of_what_it_carries() {
    let allowed = ["transport", "task"];
    let mut broken = Vec::new();
    for file in sources().iter().filter(|file| file.path.starts_with("src/lsp/transport")) {
        let siblings = file.siblings("src/lsp/");
        let others = siblings.iter().filter(|module| !allowed.contains(&module.as_str()));
        broken.extend(others.map(|module| format!("{} uses {module}", file.path)));
    }
    none(&broken, "the transport serves any service");
}

#[test]
fn only_the_entry_points_see_the_compositions() {
    let mut broken = Vec::new();
    for (root, top, entries) in [
        ("src/lsp/", "server", &["server.rs", "lib.rs"][..]),
        ("src/agent/", "app", &["app.rs", "lib.rs", "main.rs"][..]),
    ] {
        for file in sources().iter().filter(|file| !file.is_test()) {
            let Some(inside) = file.path.strip_prefix(root) else { continue };
            let is_entry = entries.contains(&inside) || inside.starts_with(&format!("{top}/"));
            if !is_entry && file.siblings(root).contains(top) {
                broken.push(format!("{} uses {top}", file.path));
            }
        }
    }
    none(&broken, "what sees everything is seen by nobody");
}

#[test]
fn crates_depend_one_way() {
    let mut broken = Vec::new();
    for (manifest, allowed) in CRATES {
        for dependency in dependencies(manifest, "[dependencies]") {
            let ours = dependency.starts_with("ktl-") || dependency == "xtask";
            if ours && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{manifest} depends on {dependency}"));
            }
        }
    }
    none(&broken, "chart <- lsp, chart <- agent, proto <- both, and nothing else");
}

#[test]
fn versions_stand_in_one_place() {
    let mut broken = Vec::new();
    for (manifest, _) in CRATES {
        for section in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
            let lines = section_lines(manifest, section);
            broken.extend(
                lines
                    .into_iter()
                    .filter(|line| !line.contains("workspace = true"))
                    .map(|line| format!("{manifest}: {line}")),
            );
        }
    }
    none(&broken, "dependencies of members say `workspace = true`");
}

#[test]
fn the_ten_named_packages_are_here_and_used() {
    let files = sources();
    let versions = dependencies("Cargo.toml", "[workspace.dependencies]");
    let mut broken = Vec::new();
    for (package, name) in NAMED {
        if !versions.iter().any(|version| version == package) {
            broken.push(format!("{package} is not in [workspace.dependencies]"));
        }
        let is_member_of = |(manifest, _): &(&str, &[&str])| {
            ["[dependencies]", "[dev-dependencies]"]
                .iter()
                .any(|section| dependencies(manifest, section).iter().any(|dependency| dependency == package))
        };
        if !CRATES.iter().any(is_member_of) {
            broken.push(format!("{package} is a dependency of no crate"));
        }
        // yaml-rust2 is a second opinion that only tests ask for, so tests count here.
        let mentions = |file: &Source| file.uses(name) || file.text.contains(&format!("use {name}::"));
        if !files.iter().any(|file| !file.path.starts_with("tests/") && mentions(file)) {
            broken.push(format!("{package} is used by no code"));
        }
    }
    none(&broken, "the project was asked for these packages");
}

#[test]
fn the_project_stands_alone() {
    let mut paths = Vec::new();
    for extension in ["rs", "toml", "ts", "svelte", "go", "sh", "lua", "proto", "json", "yaml"] {
        for folder in ["src", "proto", "fixtures", "tests", "editors"] {
            let folder = root().join(folder);
            if folder.is_dir() {
                collect(&folder, extension, &mut paths);
            }
        }
    }
    // Put together here, so that this file is no hit itself.
    let outside = ["..", "shared"].join("/");
    let hits: Vec<_> =
        paths.iter().filter(|path| mentions(path, &outside)).map(|path| path.display().to_string()).collect();
    none(&hits, "nothing may depend on a folder outside of the repository");
}

/// Whether a path that begins with these words is written in the file; one that only passes there is inside of it.
fn mentions(path: &PathBuf, words: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.match_indices(words).any(|(at, _)| !text[..at].ends_with('/'))
}

/// The names in a section of a manifest.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    section_lines(manifest, section)
        .iter()
        .filter_map(|line| line.split(['.', '=', ' ']).next().map(str::to_owned))
        .collect()
}

fn section_lines(manifest: &str, section: &str) -> Vec<String> {
    let text =
        fs::read_to_string(root().join(manifest)).unwrap_or_else(|error| panic!("{manifest}: {error}"));
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut current = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            current = line;
        } else {
            sections.entry(current).or_default().push(line.to_owned());
        }
    }
    sections.remove(section).unwrap_or_default()
}
