//! `quorate compare`: two output folders, held together.

use super::Format;
use super::session::{self, print};
use anyhow::{Context, Result, bail};
use quorate::experiment::compare::{Comparison, FALSE_DISCOVERIES, Row, Written, compare as hold};
use quorate::experiment::judge::ExitCode;
use quorate::experiment::results::SCHEMA;
use quorate::output::summary::unit_of;
use quorate::output::tables::{Cell, Column, Look, Table, numbers};
use std::path::Path;

/// Runs the subcommand. 0: identical or within chance; 1: something differs beyond chance.
pub fn compare(before: &Path, after: &Path, format: Format, force: bool, all: bool) -> Result<ExitCode> {
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
        Format::Table => show(&comparison, all)?,
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

/// How many rows fill a screen.
const SCREENFUL: usize = 20;

fn show(comparison: &Comparison, all: bool) -> Result<()> {
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
        Column::number("in standard deviations"),
        Column::text("beyond chance"),
    ];
    let mut table = Table::new("", columns);
    let shown = if all { comparison.rows.len() } else { SCREENFUL };
    for row in comparison.rows.iter().take(shown) {
        table.row(cells(row));
    }
    let (moved, differ) = (
        comparison.rows.len(),
        comparison.rows.iter().filter(|row| row.differs).count(),
    );
    if moved > shown {
        table.note(&format!(
            "the {shown} clearest of {moved}: `--all` prints every one, `--format json` all of their digits"
        ));
    }
    let how = if comparison.paired {
        "replicates are paired"
    } else {
        "seeds differ: Welch's interval"
    };
    let percent = numbers::brief(FALSE_DISCOVERIES, &numbers::Unit::Share);
    table.note(&format!(
        "{moved} of {} numbers moved, {differ} beyond chance; 95 % intervals, {how}",
        comparison.compared
    ));
    table.note(&format!(
        "beyond chance: false discovery rate {} (Benjamini and Hochberg 1995); about {} of {} unchanged numbers would leave \
         zero out of their intervals by chance",
        percent,
        (comparison.compared as f64 * 0.05).round(),
        comparison.compared
    ));
    print(&table.render(Look {
        colour: session::colour(),
        ..Look::default()
    }))
}

fn cells(row: &Row) -> Vec<Cell> {
    let unit = unit_of(&row.measure);
    let half = row.low.zip(row.high).map(|(low, high)| (high - low) / 2.0);
    let shown = unit.shared([row.before, row.after]);
    let [before, after] = <[String; 2]>::try_from(numbers::apart(&[(row.before, None), (row.after, None)], &unit))
        .expect("two texts for two values");
    let difference = numbers::estimate_in(row.after - row.before, half, &unit, &shown);
    vec![
        Cell::Text(row.variant.clone()),
        Cell::Text(row.measure.clone()),
        Cell::Figure(before),
        Cell::Figure(after),
        Cell::Figure(difference),
        row.standardised.map_or(Cell::Figure("-".into()), |size| {
            Cell::Number(size, numbers::Unit::Number)
        }),
        Cell::Text(if row.differs { "yes" } else { "no" }.into()),
    ]
}
