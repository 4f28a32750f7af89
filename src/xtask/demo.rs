//! `cargo xtask demo`: the whole loop on real parts, from a lens in an editor to a replay in a browser.
//!
//! Promises: says what it does at each step; nothing is staged: the editor, helm, the cluster and the browser are real,
//! and a step that does not happen is an error. What it made is gone at its end: in a cluster of the user's own, that
//! is one namespace. Does not know how the editor or the agent do their work.

mod browser;
mod neovim;
mod picture;
mod place;
mod readme;
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::browser::Browser;
use self::neovim::Neovim;
use self::place::Place;
use crate::cache::Cache;
use crate::scratch::Scratch;
use crate::tools::Tool;
use crate::tools::debian::{self, Need};
use crate::workspace::{self, cargo};
use crate::{local_agent, say};

/// What the demo was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// A context of the user's own kubeconfig instead of a cluster made for the demo.
    pub(crate) context: Option<String>,
    /// Where pictures go that shall stay.
    pub(crate) shots: Option<PathBuf>,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    let cache = Cache::open()?;
    let tools = Tools::find(&cache)?;
    say::step("building ktl-lsp and ktl-agent", || {
        cargo()?.args(["build", "--package=ktl-lsp", "--package=ktl-agent"]).run(&cache.log("build"))
    })?;
    let scratch = Scratch::new("demo")?;
    let browser = Browser::prepare(&cache, &tools.chromium, scratch.path())?;
    let shots = match &options.shots {
        Some(shots) => std::path::absolute(shots)?,
        None => cache.path("demo"),
    };
    fs::create_dir_all(&shots).with_context(|| format!("cannot make {}", shots.display()))?;
    let begun = Instant::now();
    let place = Place::choose(&cache, options.context.as_deref())?;
    let scene = Scene {
        folder: scratch.path(),
        bin: &workspace::target()?.join("debug"),
        helm: &tools.helm,
        kubeconfig: place.kubeconfig(),
        browser: &browser,
    };
    let told = Story::prepare(&scene, &tools.neovim, &shots).and_then(|story| story.tell()).and_then(|()| {
        say::line(&format!("the demo took {:.0} s", begun.elapsed().as_secs_f64()));
        match options.shots {
            Some(_) => readme::pictures(&cache, &scene, &shots, place.runs_pods()),
            None => Ok(()),
        }
    });
    // However it went: the agent that the editor started is ours to end, and so is what it put into the cluster.
    local_agent::stop(&scratch.path().join("state"))?;
    place.leave(&cache)?;
    told
}

/// What every scene of the demo is played with.
struct Scene<'a> {
    /// Takes everything that is written.
    folder: &'a Path,
    /// The folder with ktl-lsp and ktl-agent.
    bin: &'a Path,
    helm: &'a Path,
    kubeconfig: &'a Path,
    browser: &'a Browser,
}

impl Scene<'_> {
    /// A copy of the workspace, mistake included, in a folder of this name.
    fn workspace(&self, name: &str) -> Result<PathBuf> {
        let workspace = self.folder.join(name);
        copy(&workspace::root()?.join("fixtures/demo"), &workspace)?;
        Ok(workspace)
    }
}

struct Tools {
    helm: PathBuf,
    neovim: PathBuf,
    chromium: PathBuf,
}

impl Tools {
    fn find(cache: &Cache) -> Result<Self> {
        debian::ensure(&[Need { program: "tmux", package: "tmux" }])?;
        let find = |name| Tool::named(name)?.find(cache);
        Ok(Self { helm: find("helm")?, neovim: find("neovim")?, chromium: find("chromium")? })
    }
}

/// One telling.
struct Story<'a> {
    scene: &'a Scene<'a>,
    neovim: Neovim,
    shots: &'a Path,
}

impl<'a> Story<'a> {
    fn prepare(scene: &'a Scene<'a>, program: &Path, shots: &'a Path) -> Result<Self> {
        let neovim = Neovim::start(program, scene, &scene.workspace("shop")?)?;
        Ok(Self { scene, neovim, shots })
    }

    fn tell(&self) -> Result<()> {
        let editor = &self.neovim;
        step("1. Neovim opens a workspace with one release; its lenses come from ktl-lsp", || {
            editor.open(".ktl.yaml")?;
            editor.wait_for_lens("Apply", Duration::from_secs(30)).map(drop)
        })?;
        self.picture("neovim-lens")?;
        let mistake = step("2. The lens `Apply` is run; helm refuses the values", || {
            editor.run_lens("Apply")?;
            let mistake = editor.wait_for_error(Duration::from_mins(1))?;
            editor.wait_for_lens("Replay: failed", Duration::from_secs(30))?;
            Ok(mistake)
        })?;
        say::line(&format!("   {mistake}"));
        step("3. The squiggle is on the line of the user's own file", || {
            editor.open("values/dev.yaml")?;
            editor.keys(&[&format!("{}G", mistake.line), "0"])
        })?;
        self.picture("neovim-squiggle")?;
        step("4. The lens `Replay` opens the record of the failure in Chromium", || {
            editor.open(".ktl.yaml")?;
            self.replay("session-failed")
        })?;
        step("5. The line is fixed and saved", || {
            editor.open("values/dev.yaml")?;
            editor.keys(&["/two", "Enter", "cw", "2", "Escape", ":w", "Enter"])?;
            editor.wait_for_no_error(Duration::from_secs(20))
        })?;
        step("6. The release is applied again; its rollout is watched until every pod is ready", || {
            editor.open(".ktl.yaml")?;
            editor.run_lens("Apply")?;
            editor.watch_until("Replay: done", Duration::from_secs(90))
        })?;
        self.picture("neovim-done")?;
        step("7. The lens `Replay` opens the record of the success in Chromium", || {
            self.replay("session-done")
        })
    }

    /// Runs the lens of the last session and follows its link.
    fn replay(&self, name: &str) -> Result<()> {
        self.neovim.run_lens("Replay")?;
        let url = self.neovim.wait_for_link(Duration::from_secs(20))?;
        let picture = self.shots.join(format!("{name}.png"));
        self.scene.browser.replay(&url, &picture)?;
        say::line(&format!("   {}", picture.display()));
        Ok(())
    }

    /// A picture of the terminal as the user sees it.
    fn picture(&self, name: &str) -> Result<()> {
        let page = self.scene.folder.join(format!("{name}.html"));
        let screen = self.neovim.screen()?;
        fs::write(&page, picture::page(&screen.text, screen.columns))?;
        let picture = self.shots.join(format!("{name}.png"));
        let size = picture::size(screen.columns, screen.rows);
        self.scene.browser.still(&page, size, &picture)?;
        say::line(&format!("   {}", picture.display()));
        Ok(())
    }
}

fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    say::line(what);
    work().with_context(|| format!("step {what:?} did not happen"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
