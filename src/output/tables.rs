//! Terminal tables from neutral data: never wider than asked (100 columns), and numbers are cut only where one alone is too
//! wide for a line.
//!
//! Too wide a table first wraps its headers, then its texts, and at last continues in a second block that repeats the
//! first column. Output is UTF-8 without trailing blanks; colour only when asked for. Control characters in texts become
//! blanks, so that a name can't drive the terminal.

pub mod numbers;
pub(super) mod text;

use numbers::{Unit, count, estimate, quantity};
use text::{clean, pad, width, wrap};

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Words; they may be wrapped.
    Text(String),
    /// A whole number of things.
    Count(u64),
    /// A number, to three significant digits.
    Number(f64, Unit),
    /// A number with the half width of its interval, to the digits that this justifies.
    Estimate(f64, Option<f64>, Unit),
    /// A number as its row or column wants it written.
    Figure(String),
    /// A judgement.
    Verdict(Verdict),
}

/// A judgement of an expectation, coloured if colour is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds: green.
    Holds,
    /// It doesn't: red.
    Fails,
    /// The data can't tell: yellow.
    Undecided,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Figure(text) => clean(text),
            Self::Count(number) => count(*number),
            Self::Number(value, unit) => clean(&quantity(*value, unit)),
            Self::Estimate(value, half, unit) => clean(&estimate(*value, *half, unit)),
            Self::Verdict(Verdict::Holds) => "holds".into(),
            Self::Verdict(Verdict::Fails) => "FAILS".into(),
            Self::Verdict(Verdict::Undecided) => "undecided".into(),
        }
    }

    fn wraps(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn colour(&self) -> &'static str {
        match self {
            Self::Verdict(Verdict::Holds) => "\x1b[32m",
            Self::Verdict(Verdict::Fails) => "\x1b[1;31m",
            Self::Verdict(Verdict::Undecided) => "\x1b[33m",
            _ => "",
        }
    }
}

/// The side on which a column's cells line up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Align {
    /// Words.
    #[default]
    Left,
    /// Numbers.
    Right,
}

/// The head of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// What the column shows.
    pub header: String,
    /// The unit of all its cells, if they don't say it themselves; stands behind the header.
    pub unit: String,
    /// How the cells line up.
    pub align: Align,
}

impl Column {
    /// A column of words.
    pub fn text(header: &str) -> Self {
        Self {
            header: header.into(),
            ..Self::default()
        }
    }

    /// A column of numbers.
    pub fn number(header: &str) -> Self {
        Self {
            header: header.into(),
            align: Align::Right,
            ..Self::default()
        }
    }

    /// The same column with a unit in its header.
    pub fn in_unit(self, unit: &str) -> Self {
        Self {
            unit: unit.into(),
            ..self
        }
    }

    fn head(&self) -> String {
        let (header, unit) = (clean(&self.header), clean(&self.unit));
        if unit.is_empty() {
            header
        } else {
            format!("{header} ({unit})")
        }
    }
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The most columns of the terminal that it takes (40 at least).
    pub width: usize,
    /// Whether headers are bold and verdicts coloured.
    pub colour: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            width: 100,
            colour: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Row {
    Cells(Vec<Cell>),
    Rule(String),
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    title: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    notes: Vec<String>,
}

const GAP: usize = 2;
/// The narrowest that a column of words is made: a word of a measure's name fits.
const NARROW: usize = 14;
/// The most lines of one cell; what doesn't fit ends in an ellipsis.
const LINES: usize = 4;

impl Table {
    /// A table with these columns.
    pub fn new(title: &str, columns: Vec<Column>) -> Self {
        Self {
            title: title.into(),
            columns,
            ..Self::default()
        }
    }

    /// Adds a row. Missing cells are empty, and cells without a column are dropped.
    pub fn row(&mut self, mut cells: Vec<Cell>) -> &mut Self {
        cells.resize(self.columns.len(), Cell::Empty);
        self.rows.push(Row::Cells(cells));
        self
    }

    /// Begins a new group of rows under a rule, with a heading unless it is empty.
    pub fn group(&mut self, heading: &str) -> &mut Self {
        self.rows.push(Row::Rule(heading.into()));
        self
    }

    /// Adds a line under the table.
    pub fn note(&mut self, note: &str) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// The table as text, each line ended.
    pub fn render(&self, look: Look) -> String {
        let most = look.width.max(40);
        let mut out = String::new();
        for line in wrapped(&self.title, most) {
            out.push_str(&bold(&line, look.colour));
            out.push('\n');
        }
        for (i, block) in self.blocks(most).iter().enumerate() {
            if i > 0 {
                out.push('\n');
            }
            self.write_block(&mut out, block, look);
        }
        for line in self.notes.iter().flat_map(|note| wrapped(note, most)) {
            out.push_str(&line);
            out.push('\n');
        }
        out
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &Cell> {
        self.rows.iter().filter_map(move |row| match row {
            Row::Cells(cells) => cells.get(column),
            Row::Rule(_) => None,
        })
    }

    /// The widths that a column can take: the least, with everything wrapped, and the natural one.
    fn bounds(&self, column: usize, most: usize) -> (usize, usize) {
        let head = self.columns[column].head();
        // What stays together where a text is wrapped.
        let word = |text: &str| {
            text.split_inclusive([' ', '-', '/', '_', '.'])
                .map(|part| width(part.trim()))
                .max()
                .unwrap_or(0)
        };
        let (mut least, mut natural) = (word(&head).min(NARROW), width(&head));
        for cell in self.cells(column) {
            let text = cell.text();
            natural = natural.max(width(&text));
            least = least.max(if cell.wraps() {
                word(&text).min(NARROW)
            } else {
                width(&text)
            });
        }
        let least = least.clamp(1, most);
        (least, natural.clamp(least, most))
    }

    /// Columns with their widths, in as few blocks as fit.
    fn blocks(&self, most: usize) -> Vec<Vec<(usize, usize)>> {
        // The first column is repeated in every block, so it may take half of the width at most.
        let mut bounds: Vec<(usize, usize)> = Vec::new();
        for column in 0..self.columns.len() {
            let limit = match bounds.first() {
                Some((first, _)) => most - GAP - first,
                None if self.columns.len() > 1 => most / 2 - GAP,
                None => most,
            };
            bounds.push(self.bounds(column, limit));
        }
        let mut blocks: Vec<Vec<usize>> = Vec::new();
        let mut used = 0;
        for (column, (least, _)) in bounds.iter().enumerate() {
            match blocks.last_mut() {
                Some(block) if used + GAP + least <= most => {
                    block.push(column);
                    used += GAP + least;
                }
                Some(_) => {
                    blocks.push(vec![0, column]);
                    used = bounds[0].0 + GAP + least;
                }
                None => {
                    blocks.push(vec![column]);
                    used = *least;
                }
            }
        }
        blocks.into_iter().map(|block| widen(&block, &bounds, most)).collect()
    }

    fn write_block(&self, out: &mut String, block: &[(usize, usize)], look: Look) {
        let total: usize = block.iter().map(|(_, w)| w + GAP).sum::<usize>() - GAP;
        let heads: Vec<Vec<String>> = block
            .iter()
            .map(|(c, w)| wrap(&self.columns[*c].head(), *w, LINES))
            .collect();
        let tallest = heads.iter().map(Vec::len).max().unwrap_or(0);
        // Headers stand on the rule: shorter ones begin lower.
        let heads = heads
            .into_iter()
            .map(|h| [vec![String::new(); tallest - h.len()], h].concat())
            .collect::<Vec<_>>();
        let head_style = if look.colour { "\x1b[1m" } else { "" };
        self.write_lines(out, block, &heads, &vec![head_style; block.len()]);
        out.push_str(&"─".repeat(total));
        out.push('\n');
        for (i, row) in self.rows.iter().enumerate() {
            match row {
                Row::Rule(heading) => {
                    // The head's own rule serves a group that comes first.
                    if i > 0 {
                        out.push_str(&"─".repeat(total));
                        out.push('\n');
                    }
                    for line in wrapped(heading, total) {
                        out.push_str(&bold(&line, look.colour));
                        out.push('\n');
                    }
                }
                Row::Cells(cells) => {
                    let texts: Vec<Vec<String>> =
                        block.iter().map(|(c, w)| wrap(&cells[*c].text(), *w, LINES)).collect();
                    let styles: Vec<&str> = block
                        .iter()
                        .map(|(c, _)| if look.colour { cells[*c].colour() } else { "" })
                        .collect();
                    self.write_lines(out, block, &texts, &styles);
                }
            }
        }
    }

    fn write_lines(&self, out: &mut String, block: &[(usize, usize)], cells: &[Vec<String>], styles: &[&str]) {
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut written = String::new();
            let mut blank = 0;
            for (i, (column, w)) in block.iter().enumerate() {
                let text = cells[i].get(line).map_or("", String::as_str);
                let (before, after) = pad(text, *w, self.columns[*column].align == Align::Right);
                blank += before;
                if !text.is_empty() {
                    written.push_str(&" ".repeat(blank));
                    let end = if styles[i].is_empty() { "" } else { "\x1b[0m" };
                    written.extend([styles[i], text, end]);
                    blank = 0;
                }
                blank += after + GAP;
            }
            out.push_str(&written);
            out.push('\n');
        }
    }
}

/// Gives the width that is left to the columns that want it, the narrowest first.
fn widen(block: &[usize], bounds: &[(usize, usize)], most: usize) -> Vec<(usize, usize)> {
    let mut widths: Vec<(usize, usize)> = block.iter().map(|c| (*c, bounds[*c].0)).collect();
    let mut left = most.saturating_sub(widths.iter().map(|(_, w)| w + GAP).sum::<usize>() - GAP);
    while left > 0 {
        let wanting = widths.iter_mut().filter(|(c, w)| *w < bounds[*c].1);
        let Some((_, w)) = wanting.min_by_key(|(_, w)| *w) else {
            break;
        };
        *w += 1;
        left -= 1;
    }
    widths
}

fn wrapped(text: &str, most: usize) -> Vec<String> {
    let text = clean(text);
    if text.trim().is_empty() {
        Vec::new()
    } else {
        wrap(&text, most, 20)
    }
}

fn bold(text: &str, colour: bool) -> String {
    if colour {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_string()
    }
}

#[cfg(test)]
mod tests;
