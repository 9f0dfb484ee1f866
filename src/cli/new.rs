//! `quorate new`: a commented scenario to start from.

use super::session::print;
use anyhow::{Context, Result, bail};
use quorate::experiment::judge::ExitCode;
use std::io::Write;
use std::path::Path;

/// The starter, with the scenario's name to be filled in.
const STARTER: &str = include_str!("starter.ron");

/// Runs the subcommand.
pub fn new(name: &str, into: &Path) -> Result<ExitCode> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let stem = name.strip_suffix(".ron").unwrap_or(name);
    if stem.is_empty() || !stem.chars().all(allowed) {
        bail!("'{name}' can't be a scenario's name: use letters, digits, '-' and '_'");
    }
    let path = into.join(format!("{stem}.ron"));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("can't write {} (an existing file isn't replaced)", path.display()))?;
    file.write_all(STARTER.replace("NAME", stem).as_bytes())
        .with_context(|| format!("can't write {}", path.display()))?;
    let path = path.strip_prefix(".").unwrap_or(&path).display();
    print(&format!("{path} is ready: run it with `quorate run {path}`\n"))?;
    Ok(ExitCode::Ok)
}
