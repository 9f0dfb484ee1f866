//! `quorate check`: all problems of scenarios at once, without running them.

use super::session::{self, Opened, print};
use super::{CheckArgs, Format};
use anyhow::Result;
use quorate::experiment::judge::ExitCode;
use quorate::scenario::syntax::reports;
use std::path::{Path, PathBuf};

/// Runs the subcommand.
pub fn check(args: &CheckArgs) -> Result<ExitCode> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in &args.scenarios {
        if path == Path::new("-") {
            paths.push(path.clone());
        } else {
            paths.extend(session::scenarios_below(path)?);
        }
    }
    let opened: Vec<(PathBuf, Opened)> = paths
        .into_iter()
        .map(|path| (path.clone(), session::open(&path, &args.set)))
        .collect();
    let wrong = opened.iter().filter(|(_, opened)| opened.scenario.is_none()).count();
    match args.format {
        Format::Table => {
            for (path, opened) in &opened {
                session::report(opened);
                let (errors, warnings) = (opened.diagnostics.error_count(), opened.diagnostics.warning_count());
                let line = match (&opened.scenario, warnings) {
                    (Some(scenario), 0) => format!("{}: ok, {} variants\n", path.display(), scenario.variants.len()),
                    (Some(_), warnings) => format!("{}: ok, {}\n", path.display(), counted(warnings, "warning")),
                    (None, 0) => format!("{}: {}\n", path.display(), counted(errors, "error")),
                    (None, warnings) => {
                        format!(
                            "{}: {}, {}\n",
                            path.display(),
                            counted(errors, "error"),
                            counted(warnings, "warning")
                        )
                    }
                };
                print(&line)?;
            }
        }
        Format::Json => {
            let all: Vec<_> = opened
                .iter()
                .map(|(path, opened)| {
                    serde_json::json!({
                        "scenario": path.display().to_string(),
                        "ok": opened.scenario.is_some(),
                        "diagnostics": reports(&opened.diagnostics, &opened.sources),
                    })
                })
                .collect();
            print(&(serde_json::to_string_pretty(&all)? + "\n"))?;
        }
    }
    Ok(if wrong == 0 { ExitCode::Ok } else { ExitCode::Usage })
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
