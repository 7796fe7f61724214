//! One run in a process of its own, as a user would start it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duress_results::verdict_file::VerdictFile;

/// Starts runs. Each gets namespaces, signals and memory of its own, so several may go on at once.
#[derive(Clone, Debug)]
pub struct Children {
    exe: PathBuf,
    root: PathBuf,
}

impl Children {
    /// Of this very program, with run directories below `<root>/runs`. Fails when the program can't be found.
    pub fn new(root: &Path) -> std::io::Result<Self> {
        Ok(Children {
            exe: std::env::current_exe()?,
            root: root.to_owned(),
        })
    }

    /// Does one run of a spec and waits for its verdict. The error is the last line that the child said.
    pub fn run(&self, spec: &Path, seed: u64) -> Result<VerdictFile, String> {
        let output = Command::new(&self.exe)
            .arg("run")
            .arg(spec)
            .args(["--seed", &seed.to_string(), "--json", "--quiet", "--out"])
            .arg(&self.root)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("start {}: {error}", self.exe.display()))?;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            let stderr = String::from_utf8_lossy(&output.stderr);
            format!(
                "{}: {}",
                output.status,
                stderr.lines().last().unwrap_or("no message")
            )
        })
    }
}
