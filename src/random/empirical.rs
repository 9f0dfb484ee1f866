//! Measured tables: columns of numbers to draw from, rows of several numbers that belong together, and columns of texts.
//!
//! Read from CSV with a header line; nothing is skipped or guessed: of numbers, what isn't finite is an error that names the
//! place. Tables are immutable and meant to be shared behind an `Arc`.

mod labels;
mod reading;

pub use labels::Labels;
pub use reading::{TableError, decompressed, row_count};

use crate::kernel::Stream;

/// A named column of finite numbers, in the order in which they were measured, and sorted. Never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    name: String,
    values: Vec<f64>,
    sorted: Vec<f64>,
    mean: f64,
    variance: f64,
}

impl Column {
    /// A column of these values, in this order.
    ///
    /// # Errors
    /// Refuses an empty column, and values that aren't finite (their line is counted as it would be in a file: the header
    /// is line 1).
    pub fn new(name: &str, values: Vec<f64>) -> Result<Self, TableError> {
        if values.is_empty() {
            return Err(TableError::Empty {
                column: Some(name.to_owned()),
            });
        }
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            return Err(TableError::NotFinite {
                line: row as u64 + 2,
                column: name.to_owned(),
                value: values[row].to_string(),
            });
        }
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        // Summed in sorted order, so that the moments don't depend on the order of the rows; twice, for the digits.
        let n = sorted.len() as f64;
        let rough = sorted.iter().map(|v| v / n).sum::<f64>();
        let mean = rough + sorted.iter().map(|v| (v - rough) / n).sum::<f64>();
        let variance = sorted.iter().map(|v| (v - mean) * (v - mean) / n).sum();
        Ok(Self {
            name: name.to_owned(),
            values,
            sorted,
            mean,
            variance,
        })
    }

    /// The column's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of rows; at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The values in the order in which they were measured.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The value of a row.
    ///
    /// # Panics
    /// Panics if there is no such row.
    #[inline]
    pub fn value(&self, row: usize) -> f64 {
        self.values[row]
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The variance of a random row (the sum is divided by the number of rows: the table is the whole population).
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// The least value.
    pub fn least(&self) -> f64 {
        self.sorted[0]
    }

    /// The greatest value.
    pub fn greatest(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    /// How many values are at most `x`.
    pub fn count_up_to(&self, x: f64) -> usize {
        self.sorted.partition_point(|value| *value <= x)
    }

    /// The nearest-rank quantile: the least value such that at least a part `p` of all values is up to it.
    pub fn quantile(&self, p: f64) -> f64 {
        let n = self.sorted.len();
        // p·n may round up past an exact rank; a rank counts as reached where its own share isn't below p.
        let guess = ((p * n as f64).ceil() as usize).clamp(1, n);
        let rank = if guess > 1 && (guess - 1) as f64 / n as f64 >= p {
            guess - 1
        } else {
            guess
        };
        self.sorted[rank - 1]
    }

    /// E[X - mean; X <= x] and E[(X - mean)²; X <= x].
    pub(super) fn partial(&self, x: f64) -> (f64, f64) {
        let n = self.sorted.len() as f64;
        self.sorted[..self.count_up_to(x)]
            .iter()
            .fold((0.0, 0.0), |sum, value| {
                let d = value - self.mean;
                (sum.0 + d / n, sum.1 + d * d / n)
            })
    }
}

/// How rows are taken from a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A random row for each draw.
    Random,
    /// Row n for draw number n, from the start again after the last.
    Replay,
}

/// Columns of one table, of the same length: a joint row is picked once, and several columns are read from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    columns: Vec<Column>,
}

impl Rows {
    /// A table of these columns.
    ///
    /// # Errors
    /// Refuses a table without columns, and columns of different lengths.
    pub fn new(columns: Vec<Column>) -> Result<Self, TableError> {
        let Some(first) = columns.first() else {
            return Err(TableError::Empty { column: None });
        };
        if let Some(other) = columns.iter().find(|column| column.len() != first.len()) {
            return Err(TableError::Ragged {
                first: first.name.clone(),
                rows: first.len(),
                second: other.name.clone(),
                others: other.len(),
            });
        }
        Ok(Self { columns })
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The place of the column called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The number of rows; at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.columns[0].len()
    }

    /// The row for a draw: `number` is read only in replay order, and `stream` only in random order.
    #[inline]
    pub fn pick(&self, stream: &mut Stream, number: u64, order: Order) -> usize {
        let rows = self.len() as u64;
        match order {
            Order::Random => stream.below(rows) as usize,
            Order::Replay => (number % rows) as usize,
        }
    }

    /// The value of a row in the column at `column`.
    ///
    /// # Panics
    /// Panics if there is no such row or column.
    #[inline]
    pub fn value(&self, row: usize, column: usize) -> f64 {
        self.columns[column].values[row]
    }
}
