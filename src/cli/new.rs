//! `quorate new`: a commented scenario to start from.

use super::session::print;
use anyhow::{Context, Result, anyhow, bail};
use quorate::experiment::judge::ExitCode;
use quorate::scenario::name;
use std::io::Write;
use std::path::Path;

/// The starter, with the scenario's name to be filled in.
const STARTER: &str = include_str!("starter.ron");

/// Runs the subcommand.
pub fn new(name: &str, into: &Path) -> Result<ExitCode> {
    let stem = name.strip_suffix(".ron").unwrap_or(name);
    if let Some(problem) = name::problem(stem) {
        bail!(
            "'{stem}' can't be a scenario's name: {problem}; how about '{}'?",
            name::suggestion(stem)
        );
    }
    if !into.is_dir() {
        bail!("there is no folder {}: make it first", into.display());
    }
    let path = into.join(format!("{stem}.ron"));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => anyhow!("{} is there already, and isn't replaced", path.display()),
            _ => anyhow::Error::new(error).context(format!("can't write {}", path.display())),
        })?;
    file.write_all(STARTER.replace("NAME", stem).as_bytes())
        .with_context(|| format!("can't write {}", path.display()))?;
    let path = path.strip_prefix(".").unwrap_or(&path).display();
    print(&format!("{path} is ready: run it with `quorate run {path}`\n"))?;
    Ok(ExitCode::Ok)
}
