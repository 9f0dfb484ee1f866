//! `quorate completions` and `quorate man`.

use super::Cli;
use super::session::print;
use anyhow::Result;
use clap::CommandFactory;
use quorate::experiment::judge::ExitCode;

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "quorate", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Ok)
}

/// Prints the manual page.
pub fn man() -> Result<ExitCode> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::Ok)
}
