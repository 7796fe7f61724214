//! Finds the systems that ship: every folder of `systems/` that has a `system.toml`. So one more is one more folder. Those
//! whose client is a program next to it are one deeper, `systems/<system>/<way to ask>/`: they are used by their folders.

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
    let mut named = Vec::new();
    let mut by_folder = Vec::new();
    for folder in folders(&systems)? {
        named.extend(definition(&folder));
        by_folder.extend(folders(&folder)?.iter().filter_map(|folder| definition(folder)));
    }
    fs::write(out.join("shipped.rs"), list(&named))?;
    fs::write(out.join("by_folder.rs"), list_with_folders(&home, &by_folder))
}

/// The folders in a folder, in order.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The definition of a system in a folder, if there is one.
fn definition(folder: &Path) -> Option<PathBuf> {
    let definition = folder.join("system.toml");
    definition.is_file().then(|| {
        println!("cargo::rerun-if-changed={}", definition.display());
        definition
    })
}

/// An expression: the folders as seen from the root of the sources, and the texts.
fn list_with_folders(home: &Path, definitions: &[PathBuf]) -> String {
    let root = home.parent().unwrap_or(home);
    let mut code = "&[".to_owned();
    for definition in definitions {
        let folder = definition.parent().unwrap_or(definition);
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        let _ = write!(code, "({folder:?}, include_str!({definition:?})),");
    }
    code + "]"
}

/// An expression: the texts, in the order of the folders' names.
fn list(definitions: &[impl AsRef<Path>]) -> String {
    let mut code = "&[".to_owned();
    for definition in definitions {
        let _ = write!(code, "include_str!({:?}),", definition.as_ref());
    }
    code + "]"
}
