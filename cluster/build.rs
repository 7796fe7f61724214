//! Finds the systems that ship: every folder of `systems/` that has a `system.toml`. So one more is one more folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let home = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let out = env::var_os("OUT_DIR").map(PathBuf::from);
    let (Some(home), Some(out)) = (home, out) else {
        return Err(io::Error::other(
            "cargo says neither where this is nor where to write",
        ));
    };
    let systems = home.join("systems");
    println!("cargo::rerun-if-changed={}", systems.display());
    let mut definitions = Vec::new();
    for entry in fs::read_dir(&systems)? {
        let definition = entry?.path().join("system.toml");
        if definition.is_file() {
            println!("cargo::rerun-if-changed={}", definition.display());
            definitions.push(definition);
        }
    }
    definitions.sort();
    fs::write(out.join("shipped.rs"), list(&definitions))
}

/// An expression: the texts, in the order of the folders' names.
fn list(definitions: &[impl AsRef<Path>]) -> String {
    let mut code = "&[".to_owned();
    for definition in definitions {
        let _ = write!(code, "include_str!({:?}),", definition.as_ref());
    }
    code + "]"
}
