//! A timeline of the operations that show a violation: processes in rows, operations as intervals.
//!
//! Columns are events, in their order; the distance between them says nothing. An operation of unknown outcome reaches to the end.

use super::plots::{Chart, Frame, Interval, Intervals};
use super::tables::text::{clean, width};
use super::tables::{Cell, Column, Look, Table};
use crate::check::history::{History, NEVER, NO_TIME, Outcome};
use crate::check::{Detail, Violation, label};
use crate::output::tables::numbers::{Unit, quantity};

/// The most operations that are drawn; the others are counted.
const MOST: usize = 60;

/// An operation in a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    operation: usize,
    row: usize,
    /// The event that it begins with, counted from zero.
    from: usize,
    /// The event that it ends with; `None` if it isn't known to.
    to: Option<usize>,
    label: String,
    short: String,
    name: String,
    is_marked: bool,
}

/// A timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The rows' names.
    rows: Vec<String>,
    spans: Vec<Span>,
    events: usize,
    /// How many operations aren't in it.
    left_out: usize,
}

impl Timeline {
    /// The timeline of the operations of a violation.
    pub fn of(history: &History, violation: &Violation) -> Self {
        let operations = history.operations();
        let mut shown = violation.part.clone();
        if shown.len() > MOST {
            // What is marked stays, and of the others the last ones.
            let mut others: Vec<usize> = shown
                .iter()
                .copied()
                .filter(|of| !violation.marked.contains(of))
                .collect();
            let room = MOST.saturating_sub(violation.marked.len());
            others.drain(..others.len().saturating_sub(room));
            others.extend(violation.marked.iter().take(MOST));
            others.sort_unstable();
            shown = others;
        }
        let mut places: Vec<u32> = Vec::new();
        for at in &shown {
            let of = &operations[*at];
            places.push(of.invoked);
            if of.outcome != Outcome::Info {
                places.push(of.responded);
            }
        }
        places.sort_unstable();
        // Where all are about one object, it needn't be named again.
        let mut keys: Vec<_> = shown.iter().flat_map(|at| history.keys_of(&operations[*at])).collect();
        keys.sort_unstable();
        keys.dedup();
        let with_key = keys.len() > 1;
        let event = |place: u32| places.binary_search(&place).ok();
        // A process has a second row for what it does while an operation of unknown outcome goes on.
        let mut rows: Vec<(u64, usize, u32)> = Vec::new();
        let mut spans: Vec<(u64, usize, Span)> = Vec::new();
        for at in &shown {
            let of = &operations[*at];
            let process = history.processes()[of.process as usize];
            let free = rows.iter().position(|row| row.0 == process && row.2 < of.invoked);
            let end = if of.outcome == Outcome::Info {
                NEVER
            } else {
                of.responded
            };
            let number = match free {
                Some(row) => {
                    rows[row].2 = end;
                    rows[row].1
                }
                None => {
                    let number = rows.iter().filter(|row| row.0 == process).count();
                    rows.push((process, number, end));
                    number
                }
            };
            let span = Span {
                operation: *at,
                row: 0,
                from: event(of.invoked).unwrap_or(0),
                to: if of.outcome == Outcome::Info {
                    None
                } else {
                    event(of.responded)
                },
                label: clean(&label(history, *at, with_key, Detail::Full)),
                short: clean(&label(history, *at, with_key, Detail::Short)),
                name: history.name(*at),
                is_marked: violation.marked.contains(at),
            };
            spans.push((process, number, span));
        }
        let mut names: Vec<(u64, usize)> = rows.iter().map(|row| (row.0, row.1)).collect();
        names.sort_unstable();
        let placed = spans.into_iter().map(|(process, number, span)| Span {
            row: names.binary_search(&(process, number)).unwrap_or(0),
            ..span
        });
        Self {
            spans: placed.collect(),
            rows: names
                .iter()
                .map(|(process, number)| {
                    if *number == 0 {
                        format!("process {process}")
                    } else {
                        String::new()
                    }
                })
                .collect(),
            events: places.len(),
            left_out: violation.part.len() - shown.len(),
        }
    }

    /// The column of each event, if operations are called by these labels; and the columns in all.
    fn columns(&self, labels: &[&str]) -> (Vec<usize>, usize) {
        let mut columns: Vec<usize> = Vec::with_capacity(self.events);
        let mut ends: Vec<(usize, usize, usize)> = Vec::new();
        for (span, label) in self.spans.iter().zip(labels) {
            ends.push((span.to.unwrap_or(self.events), span.from, width(label) + 5));
        }
        ends.sort_unstable();
        let mut next = 0;
        for event in 0..=self.events {
            let mut column = columns.last().map_or(0, |last| last + 2);
            while let Some((_, from, length)) = ends.get(next).filter(|end| end.0 == event) {
                column = column.max(columns.get(*from).map_or(0, |start| start + length));
                next += 1;
            }
            columns.push(column);
        }
        let all = columns.last().map_or(0, |last| last + 1);
        (columns, all)
    }

    /// The timeline as text, with a table of its operations.
    pub fn text(&self, history: &History, look: Look) -> String {
        let side = self.rows.iter().map(|row| width(row)).max().unwrap_or(0) + 2;
        let room = look.width.saturating_sub(side).max(20);
        let by = |label: fn(&Span) -> &str| self.spans.iter().map(label).collect::<Vec<&str>>();
        let all = [by(|span| &span.label), by(|span| &span.short), by(|span| &span.name)];
        let fits = all.iter().find(|labels| self.columns(labels).1 <= room);
        let labels = fits.unwrap_or(&all[2]);
        let (columns, all) = self.columns(labels);
        let mut canvas = vec![vec![(' ', false); all]; self.rows.len()];
        // Where a line may be cut: not inside of a label.
        let mut may_cut = vec![true; all + 1];
        for (span, label) in self.spans.iter().zip(labels) {
            let (from, to) = (columns[span.from], columns[span.to.unwrap_or(self.events)]);
            let line = match (span.to, span.is_marked) {
                (None, _) => '╌',
                (_, true) => '━',
                (_, false) => '─',
            };
            let row = &mut canvas[span.row];
            for cell in &mut row[from..=to] {
                *cell = (line, span.is_marked);
            }
            row[from].0 = if span.is_marked { '┣' } else { '├' };
            row[to].0 = match (span.to, span.is_marked) {
                (None, _) => '▷',
                (_, true) => '┫',
                (_, false) => '┤',
            };
            let start = from + 2;
            row[start - 1].0 = ' ';
            for (at, c) in label.chars().enumerate() {
                row[start + at].0 = c;
            }
            row[start + width(label)].0 = ' ';
            may_cut[from + 1..start + width(label) + 1].fill(false);
        }
        let mut text = String::new();
        let mut from = 0;
        while from < all {
            let most = (from + room).min(all);
            let to = if most == all {
                all
            } else {
                (from + 1..=most).rev().find(|at| may_cut[*at]).unwrap_or(most)
            };
            if from > 0 {
                text.push_str("…\n");
            }
            for (name, row) in self.rows.iter().zip(&canvas) {
                let line = coloured(&row[from..to], look.colour);
                if name.is_empty() && line.trim().is_empty() {
                    continue;
                }
                text.push_str(&format!(
                    "{name}{}{}\n",
                    " ".repeat(side - width(name)),
                    line.trim_end()
                ));
            }
            from = to;
        }
        text.push('\n');
        text.push_str(&self.table(history, look));
        if self.left_out > 0 {
            text.push_str(&format!("and {} more operations before these\n", self.left_out));
        }
        text
    }

    /// The operations with their lines and times.
    fn table(&self, history: &History, look: Look) -> String {
        let timed = self
            .spans
            .iter()
            .any(|span| history.operations()[span.operation].invoked_at != NO_TIME);
        let mut columns = vec![
            Column::text(""),
            Column::text("operation"),
            Column::number("process"),
            Column::number("line"),
            Column::number("answered in"),
        ];
        if timed {
            columns.extend([Column::number("invoked at"), Column::number("returned at")]);
        }
        let mut table = Table::new("", columns);
        for span in &self.spans {
            let of = &history.operations()[span.operation];
            let line = |line: u32| {
                if line == 0 {
                    Cell::from("-")
                } else {
                    Cell::Text(format!("line {line}"))
                }
            };
            let time = |time: u64| match time {
                NO_TIME => Cell::from("-"),
                nanoseconds => Cell::Text(quantity(nanoseconds as f64 / 1e9, &Unit::Time)),
            };
            let mut row = vec![
                Cell::from(if span.is_marked { "▸" } else { "" }),
                Cell::Text(span.label.clone()),
                Cell::Text(history.processes()[of.process as usize].to_string()),
                line(of.line),
                if of.outcome == Outcome::Info {
                    Cell::from("unknown")
                } else {
                    line(of.response_line)
                },
            ];
            if timed {
                row.extend([
                    time(of.invoked_at),
                    if of.outcome == Outcome::Info {
                        Cell::from("-")
                    } else {
                        time(of.returned_at)
                    },
                ]);
            }
            table.row(row);
        }
        table.render(look)
    }

    /// The timeline as a chart.
    pub fn chart(&self, frame: Frame, caption: &str) -> Chart {
        Chart::Intervals(Intervals {
            frame,
            caption: caption.to_string(),
            rows: self.rows.clone(),
            events: self.events,
            intervals: self
                .spans
                .iter()
                .map(|span| Interval {
                    row: span.row,
                    from: span.from,
                    to: span.to,
                    label: span.label.clone(),
                    short: span.short.clone(),
                    name: span.name.clone(),
                    is_marked: span.is_marked,
                })
                .collect(),
        })
    }
}

/// Cells as text, what is marked in red if there is colour.
fn coloured(cells: &[(char, bool)], colour: bool) -> String {
    let mut text = String::new();
    let mut red = false;
    for (c, marked) in cells {
        if colour && *marked != red {
            text.push_str(if *marked { "\x1b[1;31m" } else { "\x1b[0m" });
            red = *marked;
        }
        text.push(*c);
    }
    if red {
        text.push_str("\x1b[0m");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::history::{Reading, read};

    fn history(lines: &str) -> History {
        read(lines.as_bytes(), Reading::default()).unwrap_or_else(|problems| panic!("{}", problems.shown("h")))
    }

    fn all(history: &History, marked: &[usize]) -> Violation {
        Violation {
            kind: "planted",
            why: "it was planted".into(),
            key: None,
            part: (0..history.operations().len()).collect(),
            marked: marked.to_vec(),
            is_minimal: true,
        }
    }

    #[test]
    fn operations_of_unknown_outcome_reach_to_the_end_and_their_process_goes_on_in_a_second_row() {
        let history = history(
            "{:process 3 :type :invoke :f :write :value 1}
             {:process 4 :type :invoke :f :read :value nil}
             {:process 3 :type :info :f :write :value nil}
             {:process 4 :type :ok :f :read :value 1}
             {:process 3 :type :invoke :f :read :value nil}
             {:process 3 :type :ok :f :read :value nil}",
        );
        let text = Timeline::of(&history, &all(&history, &[1])).text(&history, Look::default());
        insta::assert_snapshot!(text, @r"
        process 3  ├ w1 write 1 ? ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▷
                                     ├ r3 read nil ──┤
        process 4    ┣ r2 read 1 ━━┫

           operation     process    line  answered in
        ─────────────────────────────────────────────
           w1 write 1 ?        3  line 1      unknown
        ▸  r2 read 1           4  line 2       line 4
           r3 read nil         3  line 5       line 6
        ");
    }

    #[test]
    fn no_line_is_wider_than_asked_and_every_operation_is_named() {
        let mut lines = String::new();
        for at in 0..80 {
            let (process, value) = (at % 7, at * 1_000_003);
            lines.push_str(&format!(
                "{{:process {process} :type :invoke :f :write :value [\"a rather long key\" {value}]}} {{:process {process} :type :ok :f :write :value nil}}\n"
            ));
        }
        let history = history(&lines);
        for width in [60, 100] {
            let look = Look { width, colour: false };
            let text = Timeline::of(&history, &all(&history, &[3, 70])).text(&history, look);
            assert!(text.lines().all(|line| super::width(line) <= width), "{text}");
            assert!(
                text.contains("w4 ") && text.contains("w71 ") && text.contains("and 20 more operations before these"),
                "{text}"
            );
        }
        let coloured = Look {
            width: 100,
            colour: true,
        };
        let text = Timeline::of(&history, &all(&history, &[3])).text(&history, coloured);
        assert!(
            text.contains("\x1b[1;31m┣ w4 ━") && text.matches("\x1b[1;31m").count() >= 1,
            "{text}"
        );
    }

    #[test]
    fn what_a_store_returned_cannot_drive_the_terminal() {
        let history = history(
            "{:process 1 :type :invoke :f :read :value nil} {:process 1 :type :ok :f :read :value \"\\u001b[31m\"}",
        );
        let text = Timeline::of(&history, &all(&history, &[0])).text(&history, Look::default());
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
