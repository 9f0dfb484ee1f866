//! `quorate compare`: two output folders, held together.

use super::Format;
use super::session::{self, print};
use anyhow::{Context, Result, bail};
use quorate::experiment::compare::{Comparison, Written, compare as hold};
use quorate::experiment::judge::ExitCode;
use quorate::experiment::results::SCHEMA;
use quorate::output::summary::unit_of;
use quorate::output::tables::{Cell, Column, Look, Table};
use std::path::Path;

/// Runs the subcommand. 0: identical or within chance; 1: something differs beyond chance.
pub fn compare(before: &Path, after: &Path, format: Format, force: bool) -> Result<ExitCode> {
    let (first, second) = (read(before)?, read(after)?);
    if first.scenario != second.scenario && !force {
        bail!(
            "these are results of different scenarios, {} and {}: compare them with --force",
            first.scenario,
            second.scenario
        );
    }
    let comparison = hold(&first, &second);
    match format {
        Format::Json => print(&(serde_json::to_string_pretty(&comparison)? + "\n"))?,
        Format::Table => show(&comparison)?,
    }
    let differs = comparison.rows.iter().any(|row| row.differs) || !comparison.unmatched.is_empty();
    Ok(if differs { ExitCode::Failed } else { ExitCode::Ok })
}

fn read(folder: &Path) -> Result<Written> {
    let path = if folder.is_dir() {
        folder.join("results.json")
    } else {
        folder.to_path_buf()
    };
    let bytes = std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
    let written: Written =
        serde_json::from_slice(&bytes).with_context(|| format!("{} holds no results of a run", path.display()))?;
    if written.schema != SCHEMA {
        bail!(
            "{} has schema {}, but this version reads schema {SCHEMA}",
            path.display(),
            written.schema
        );
    }
    Ok(written)
}

fn show(comparison: &Comparison) -> Result<()> {
    if comparison.identical && comparison.rows.is_empty() {
        return print(&format!(
            "identical: every fingerprint and all {} numbers are the same\n",
            comparison.compared
        ));
    }
    for variant in &comparison.unmatched {
        print(&format!("variant '{variant}' is in one of them only\n"))?;
    }
    let columns = vec![
        Column::text("variant"),
        Column::text("measure"),
        Column::number("before"),
        Column::number("after"),
        Column::number("difference"),
        Column::text("beyond chance"),
    ];
    let mut table = Table::new("", columns);
    for row in &comparison.rows {
        let unit = unit_of(&row.measure);
        let half = row.low.zip(row.high).map(|(low, high)| (high - low) / 2.0);
        table.row(vec![
            Cell::Text(row.variant.clone()),
            Cell::Text(row.measure.clone()),
            Cell::Number(row.before, unit.clone()),
            Cell::Number(row.after, unit.clone()),
            Cell::Estimate(row.after - row.before, half, unit),
            Cell::Text(if row.differs { "yes" } else { "no" }.into()),
        ]);
    }
    let how = if comparison.paired {
        "replicates are paired"
    } else {
        "seeds differ: Welch's interval"
    };
    table.note(&format!(
        "{} of {} numbers moved; 95 % intervals, {how}",
        comparison.rows.len(),
        comparison.compared
    ));
    print(&table.render(Look {
        colour: session::colour(),
        ..Look::default()
    }))
}
