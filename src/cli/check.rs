//! `quorate check`: all problems of scenarios at once, without running them.

use super::session::{self, Opened, counted, print};
use super::{CheckArgs, Format};
use anyhow::{Result, bail};
use quorate::experiment::judge::ExitCode;
use std::path::{Path, PathBuf};

/// Runs the subcommand.
pub fn check(args: &CheckArgs) -> Result<ExitCode> {
    let mut paths: Vec<PathBuf> = Vec::new();
    // A shell's `*.ron` names them too.
    let (baselines, scenarios): (Vec<&PathBuf>, Vec<&PathBuf>) =
        args.scenarios.iter().partition(|path| session::is_baseline(path));
    for path in scenarios {
        if path == Path::new("-") {
            paths.push(path.clone());
        } else {
            paths.extend(session::scenarios_below(path)?);
        }
    }
    if let Some(first) = baselines.first() {
        let others = match baselines.len() {
            1 => "is a baseline, no scenario".to_string(),
            n => format!("and {} are baselines, no scenarios", counted(n - 1, "other")),
        };
        let said = format!("{} {others}", first.display());
        if paths.is_empty() {
            bail!("{said}: there is nothing to check");
        }
        session::complain(&format!("{said}: skipped"));
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
                    (Some(scenario), 0) => format!(
                        "{}: ok, {}\n",
                        path.display(),
                        counted(scenario.variants.len(), "variant")
                    ),
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
                if let Some(scenario) = &opened.scenario {
                    print(&session::presets(scenario))?;
                }
            }
        }
        Format::Json => {
            let all: Vec<_> = opened
                .iter()
                .map(|(path, opened)| session::problems(path, opened))
                .collect();
            print(&(serde_json::to_string_pretty(&all)? + "\n"))?;
        }
    }
    Ok(if wrong == 0 { ExitCode::Ok } else { ExitCode::Usage })
}
