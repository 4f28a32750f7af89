//! Neovim in a terminal, with the configuration that our README tells users to write.
//!
//! What a user would do is typed; what a user would see is asked for over Neovim's own channel. Every wait has an end
//! and says what was on the screen.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::Scene;
use super::terminal::{COLUMNS, ROWS, Terminal};
use crate::process::Program;
use crate::{say, workspace};

/// How often Neovim is asked before it is taken for dead.
const ATTEMPTS: usize = 4;

/// A running Neovim.
#[derive(Debug)]
pub(super) struct Neovim {
    program: PathBuf,
    terminal: Terminal,
    socket: PathBuf,
    link: PathBuf,
}

/// An error that the user sees.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Mistake {
    file: String,
    /// From 1.
    pub(super) line: usize,
    column: usize,
    message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// What is on the screen.
pub(super) struct Screen {
    pub(super) text: String,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Neovim {
    /// Starts `program` in the folder `workspace`.
    pub(super) fn start(program: &Path, scene: &Scene, workspace: &Path) -> Result<Self> {
        let folder = scene.folder;
        let (socket, link) = (folder.join("nvim.sock"), folder.join("link"));
        let bin = folder.join("bin");
        fs::create_dir_all(&bin)?;
        // Neovim opens links with this program; here it writes down where the browser shall go.
        let opener = bin.join("xdg-open");
        fs::write(
            &opener,
            format!("#!/bin/sh\nprintf '%s' \"$1\" > '{0}.new' && mv '{0}.new' '{0}'\n", link.display()),
        )?;
        fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let init = folder.join("init.lua");
        fs::write(&init, init_lua()?)?;
        let path = std::env::var("PATH").unwrap_or_default();
        let at = |name: &str| folder.join(name).display().to_string();
        let variables = [
            ("PATH", format!("{}:{}:{path}", bin.display(), scene.bin.display())),
            ("KUBECONFIG", scene.kubeconfig.display().to_string()),
            ("KTL_HELM", scene.helm.display().to_string()),
            ("XDG_STATE_HOME", at("state")),
            ("XDG_CONFIG_HOME", at("config")),
            ("XDG_DATA_HOME", at("share")),
            ("COLORTERM", "truecolor".to_owned()),
        ];
        let command = format!(
            "exec '{}' -n -i NONE -u '{}' --listen '{}'",
            program.display(),
            init.display(),
            socket.display()
        );
        let terminal = Terminal::start(&folder.join("tmux.sock"), workspace, &variables, &command)?;
        let neovim = Self { program: program.to_owned(), terminal, socket, link };
        neovim
            .wait("Neovim to start", Duration::from_secs(20), || Ok(neovim.socket.exists().then_some(())))?;
        Ok(neovim)
    }

    /// Types.
    pub(super) fn keys(&self, keys: &[&str]) -> Result<()> {
        self.terminal.keys(keys)
    }

    /// Opens a file of the workspace.
    pub(super) fn open(&self, file: &str) -> Result<()> {
        self.keys(&["Escape", &format!(":edit {file}"), "Enter"])
    }

    pub(super) fn screen(&self) -> Result<Screen> {
        // What was typed last has reached the screen when Neovim has answered once more.
        self.lua("vim.cmd.redraw()")?;
        sleep(Duration::from_millis(300));
        Ok(Screen { text: self.terminal.colored()?, columns: COLUMNS, rows: ROWS })
    }

    /// Waits for a lens of the open file whose title begins with `title`; its line, from 1.
    pub(super) fn wait_for_lens(&self, title: &str, patience: Duration) -> Result<usize> {
        self.wait(&format!("a lens {title:?}"), patience, || {
            let found = self.lenses()?.into_iter().find(|lens| lens.title.starts_with(title));
            Ok(found.map(|lens| lens.line))
        })
    }

    /// Runs the lens whose title begins with `title`, as the README says: with the cursor on its line.
    pub(super) fn run_lens(&self, title: &str) -> Result<()> {
        let line = self.wait_for_lens(title, Duration::from_secs(30))?;
        // A line with one lens runs it; with several, Neovim asks for a number.
        let several = self.lenses()?.iter().filter(|lens| lens.line == line).count() > 1;
        self.keys(&["Escape", &format!("{line}G"), ":lua vim.lsp.codelens.run()", "Enter"])?;
        if !several {
            return Ok(());
        }
        let number = self.wait("Neovim to ask which lens", Duration::from_secs(10), || {
            Ok(choice(&self.terminal.text()?, title))
        })?;
        self.keys(&[&number, "Enter"])
    }

    /// Waits for an error in any file.
    pub(super) fn wait_for_error(&self, patience: Duration) -> Result<Mistake> {
        self.wait("an error", patience, || Ok(self.errors()?.into_iter().next()))
    }

    /// Waits until no file has an error.
    pub(super) fn wait_for_no_error(&self, patience: Duration) -> Result<()> {
        self.wait("the errors to go", patience, || Ok(self.errors()?.is_empty().then_some(())))
    }

    /// Says each progress that Neovim is told, until a lens begins with `title`.
    pub(super) fn watch_until(&self, title: &str, patience: Duration) -> Result<()> {
        let mut last = String::new();
        self.wait(&format!("a lens {title:?}"), patience, || {
            let progress = self.text("_G.demo_progress or ''")?;
            if progress != last && !progress.is_empty() {
                say::line(&format!("   {progress}"));
                last = progress;
            }
            Ok(self.lenses()?.iter().any(|lens| lens.title.starts_with(title)).then_some(()))
        })
    }

    /// Waits for the link that Neovim was asked to open, and takes it.
    pub(super) fn wait_for_link(&self, patience: Duration) -> Result<String> {
        self.wait("a link", patience, || {
            let link = fs::read_to_string(&self.link).unwrap_or_default();
            if link.is_empty() {
                return Ok(None);
            }
            fs::remove_file(&self.link)?;
            Ok(Some(link))
        })
    }

    fn errors(&self) -> Result<Vec<Mistake>> {
        self.json(
            "vim.tbl_map(function(found) return { file = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(found.bufnr), ':.'), \
             line = found.lnum + 1, column = found.col + 1, message = found.message } end, \
             vim.diagnostic.get(nil, { severity = vim.diagnostic.severity.ERROR }))",
        )
    }

    fn lenses(&self) -> Result<Vec<Lens>> {
        self.lua("vim.lsp.codelens.refresh({ bufnr = 0 })")?;
        self.json(
            "vim.tbl_map(function(lens) return { title = lens.command and lens.command.title or '', \
             line = lens.range.start.line + 1 } end, vim.lsp.codelens.get(0))",
        )
    }

    /// Runs a statement.
    fn lua(&self, statement: &str) -> Result<()> {
        self.text(&format!("(function() {statement} return '' end)()")).map(drop)
    }

    /// The value of an expression, which is a list.
    fn json<T: for<'a> Deserialize<'a>>(&self, expression: &str) -> Result<Vec<T>> {
        let text = self.text(&format!("vim.json.encode({expression})"))?;
        let value: Value = serde_json::from_str(&text).with_context(|| format!("Neovim said {text:?}"))?;
        // An empty table is a map to Lua.
        if value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(Vec::new());
        }
        serde_json::from_value(value).with_context(|| format!("Neovim said {text:?}"))
    }

    /// The value of an expression, which is a string. A message of more than a line makes Neovim wait for Enter and
    /// answer nobody until then, so Enter is pressed as a user would.
    fn text(&self, expression: &str) -> Result<String> {
        let quoted = expression.replace('\'', "''");
        let mut last = None;
        for _ in 0..ATTEMPTS {
            if self.terminal.text()?.contains("Press ENTER") {
                self.keys(&["Enter"])?;
            }
            let program =
                Program::new("timeout").arg("5").arg(&self.program).arg("--server").arg(&self.socket);
            match program.args(["--headless", "--remote-expr", &format!("luaeval('{quoted}')")]).read() {
                Ok(said) => return Ok(said.trim_end_matches('\n').to_owned()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("Neovim was not asked")?)
    }

    fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut probe: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = probe()? {
                return Ok(found);
            }
            if begun.elapsed() > patience {
                let screen = self.terminal.text().unwrap_or_default();
                bail!("waited {} s in vain for {what}; on the screen:\n{screen}", patience.as_secs());
            }
            sleep(Duration::from_millis(150));
        }
    }
}

#[derive(Debug, Deserialize)]
struct Lens {
    title: String,
    line: usize,
}

/// The number before the choice that begins with `title`, on a screen where Neovim asks.
fn choice(screen: &str, title: &str) -> Option<String> {
    screen.lines().find_map(|line| {
        let (number, rest) = line.trim_start().split_once(": ")?;
        (number.parse::<usize>().is_ok() && rest.contains(title)).then(|| number.to_owned())
    })
}

/// The lines of our README, and what makes a picture pleasant to look at.
fn init_lua() -> Result<String> {
    let root = workspace::root()?;
    let readme = root.join("editors/neovim/README.md");
    let text = fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
    let block = text.split_once("```lua\n").and_then(|(_, rest)| rest.split_once("```"));
    let (lines, _) = block.with_context(|| format!("{} has no block of Lua", readme.display()))?;
    let ours = lines.replace("/path/to/ktl", &root.display().to_string());
    Ok(format!("{ours}\n{PLEASANT}"))
}

const PLEASANT: &str = r"
vim.opt.termguicolors = true
vim.opt.number = true
vim.opt.signcolumn = 'yes'
vim.opt.laststatus = 2
vim.opt.shortmess:append('I')
vim.api.nvim_set_hl(0, 'LspCodeLens', { fg = '#8cf8f7', italic = true })
vim.api.nvim_set_hl(0, 'DiagnosticUnderlineError', { undercurl = true, sp = '#ff5f5f' })
vim.api.nvim_create_autocmd('LspProgress', {
  callback = function(event)
    local value = event.data.params.value
    _G.demo_progress = vim.trim((value.title or '') .. ' ' .. (value.message or ''))
  end,
})
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_choice_is_read_off_the_screen() {
        let screen = "Code lenses:\n1: Replay: failed just now\n2: Apply to dev / ktl-demo\nType number\n";
        assert_eq!(choice(screen, "Apply").as_deref(), Some("2"));
        assert_eq!(choice(screen, "Cancel"), None);
    }

    #[test]
    fn the_configuration_is_the_one_of_the_readme() {
        let lua = init_lua().unwrap();
        assert!(lua.contains("vim.lsp.enable('ktl')") && !lua.contains("/path/to/ktl"), "{lua}");
    }
}
