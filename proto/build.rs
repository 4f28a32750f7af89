//! Compiles the contract with protox, so that `cargo build` needs no protoc.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

/// Paths below this folder.
const FILES: [&str; 5] = [
    "ktl/api/v1/agent.proto",
    "ktl/control/v1/fact.proto",
    "ktl/control/v1/session.proto",
    "ktl/control/v1/operation.proto",
    "ktl/control/v1/retention.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("ktl.fds"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
