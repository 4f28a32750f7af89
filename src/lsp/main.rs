//! The `ktl-lsp` program: arguments in, exit code out.

fn main() {}
