//! The `ktl-agent` program: arguments in, exit code out.

fn main() {}
