//! `quorate list`: the scenarios with their questions.

use super::Format;
use super::session::{self, print};
use anyhow::Result;
use quorate::experiment::judge::ExitCode;
use quorate::output::tables::{Cell, Column, Look, Table};
use std::path::Path;

/// Runs the subcommand.
pub fn list(folder: &Path, format: Format) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for path in session::scenarios_below(folder)? {
        let opened = session::open(&path, &[]);
        let shown = path.strip_prefix(".").unwrap_or(&path).display().to_string();
        rows.push(match opened.scenario {
            Some(scenario) => {
                let variants: Vec<String> = scenario.variants.iter().map(|plan| plan.variant.clone()).collect();
                (shown, scenario.question, variants, true)
            }
            None => (
                shown,
                format!("has problems: see `quorate check {}`", path.display()),
                Vec::new(),
                false,
            ),
        });
    }
    let wrong = rows.iter().any(|row| !row.3);
    match format {
        Format::Table => {
            let columns = vec![
                Column::text("scenario"),
                Column::text("question"),
                Column::number("variants"),
            ];
            let mut table = Table::new("", columns);
            for (path, question, variants, _) in &rows {
                table.row(vec![
                    Cell::Text(path.clone()),
                    Cell::Text(question.clone()),
                    Cell::Count(variants.len() as u64),
                ]);
            }
            print(&table.render(Look {
                colour: session::colour(),
                ..Look::default()
            }))?;
        }
        Format::Json => {
            let all: Vec<_> = rows
                .iter()
                .map(|(path, question, variants, ok)| {
                    serde_json::json!({"scenario": path, "question": question, "variants": variants, "ok": ok})
                })
                .collect();
            print(&(serde_json::to_string_pretty(&all)? + "\n"))?;
        }
    }
    Ok(if wrong { ExitCode::Usage } else { ExitCode::Ok })
}
