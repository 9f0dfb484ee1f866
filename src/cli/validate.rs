//! `quorate validate`: scenarios whose answers are known, as a table of expected against simulated.

use super::session::{self, print};
use super::{Format, ValidateArgs};
use anyhow::{Result, bail};
use quorate::experiment::Options;
use quorate::experiment::judge::{self, ExitCode, Judgement, Verdict};
use quorate::output::summary;
use quorate::output::tables::{Cell, Column, Look, Table, Verdict as Mark};

/// Runs the subcommand.
pub fn validate(args: &ValidateArgs) -> Result<ExitCode> {
    session::watch_for_interrupt();
    let mut rows: Vec<(u64, Judgement)> = Vec::new();
    for path in session::scenarios_below(&args.folder)? {
        let scenario = session::open_or_complain(&path, &[])?;
        let seeds = if args.seeds.is_empty() {
            vec![scenario.seed]
        } else {
            args.seeds.clone()
        };
        for seed in seeds {
            let options = Options {
                seed,
                replicates: scenario.replicates,
                jobs: args.jobs,
                max_events: 20_000_000_000,
                ..Options::default()
            };
            let results = session::run_grid(&scenario, options)?;
            let judgements = judge::judge(&results, &quorate::experiment::claims(&scenario));
            super::run::verdict(&results, &judgements);
            session::complain_of_stops(&results);
            rows.extend(
                judgements
                    .into_iter()
                    .filter(|row| row.known.is_some())
                    .map(|row| (seed, row)),
            );
        }
    }
    if rows.is_empty() {
        bail!(
            "no scenario in {} has an expectation with a source",
            args.folder.display()
        );
    }
    rows.sort_by(|a, b| (&a.1.known, a.0).cmp(&(&b.1.known, b.0)));
    match args.format {
        Format::Json => print(&(serde_json::to_string_pretty(&rows)? + "\n"))?,
        Format::Table if args.markdown => print(&markdown(&rows))?,
        Format::Table => print(&table(&rows))?,
    }
    let failed = rows.iter().filter(|(_, row)| row.verdict == Verdict::Fails).count();
    let open = rows.iter().filter(|(_, row)| row.verdict == Verdict::Undecided).count();
    if args.format == Format::Table {
        print(&format!(
            "{} passed, {failed} failed, {open} undecided\n",
            rows.len() - failed - open
        ))?;
    }
    Ok(if failed > 0 {
        ExitCode::Failed
    } else if open > 0 {
        ExitCode::Undecided
    } else {
        ExitCode::Ok
    })
}

fn cells(seed: u64, row: &Judgement) -> [String; 6] {
    let (id, source) = row.known.clone().unwrap_or_default();
    let verdict = match row.verdict {
        Verdict::Holds => "holds",
        Verdict::Fails => "FAILS",
        Verdict::Undecided => "undecided",
    };
    [
        id,
        seed.to_string(),
        summary::wanted(row),
        summary::found(row),
        verdict.to_string(),
        source,
    ]
}

fn markdown(rows: &[(u64, Judgement)]) -> String {
    let mut text =
        String::from("| row | seed | expected | simulated | verdict | source |\n|---|---|---|---|---|---|\n");
    for (seed, row) in rows {
        text.push_str(&format!(
            "| {} |\n",
            cells(*seed, row).map(|cell| cell.replace('|', "\\|")).join(" | ")
        ));
    }
    text
}

fn table(rows: &[(u64, Judgement)]) -> String {
    let columns = vec![
        Column::text("row"),
        Column::number("seed"),
        Column::text("expected"),
        Column::text("simulated"),
        Column::text("verdict"),
        Column::text("source"),
    ];
    let mut table = Table::new("", columns);
    for (seed, row) in rows {
        let [id, _, wanted, found, _, source] = cells(*seed, row);
        let verdict = match row.verdict {
            Verdict::Holds => Mark::Holds,
            Verdict::Fails => Mark::Fails,
            Verdict::Undecided => Mark::Undecided,
        };
        table.row(vec![
            Cell::Text(id),
            Cell::Count(*seed),
            Cell::Text(wanted),
            Cell::Text(found),
            Cell::Verdict(verdict),
            Cell::Text(source),
        ]);
    }
    table.render(Look {
        colour: session::colour(),
        ..Look::default()
    })
}
