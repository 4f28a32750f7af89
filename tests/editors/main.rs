//! Neovim, Helix and VS Code, each for real and each from the configuration in `editors/`.
//!
//! What a user is told to write is what runs here: Neovim's lines come out of its README, Helix reads our
//! `languages.toml`, VS Code loads the built extension. Programs come from the `KTL_TEST_…` variables that
//! `cargo xtask test` sets; without one, its test says `skipped` and passes, unless `CI=true`.

mod environment;
mod helix;
mod neovim;
mod vscode;
mod workspace;
