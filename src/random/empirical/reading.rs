//! Tables from CSV bytes.

use super::{Column, Labels, Rows};
use std::borrow::Cow;
use std::io::Read;
use thiserror::Error;

/// What can be wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // Of the fields: each is explained in the line of its variant.
pub enum TableError {
    /// Not CSV: quotes that don't close, bytes that aren't UTF-8, records of different lengths.
    #[error("line {line}: {problem}")]
    Malformed { line: u64, problem: String },
    /// No column of that name.
    #[error("no column \"{column}\"{}; the table has {}", suggested(.suggestion), listed(.columns))]
    NoColumn {
        column: String,
        columns: Vec<String>,
        suggestion: Option<String>,
    },
    /// Two columns of the name that was asked for.
    #[error("the table has more than one column \"{column}\"")]
    TwoColumns { column: String },
    /// A value that is no number.
    #[error("line {line}, column \"{column}\": \"{value}\" is not a number")]
    NotANumber { line: u64, column: String, value: String },
    /// NaN or an infinity.
    #[error("line {line}, column \"{column}\": {value} is not a finite number")]
    NotFinite { line: u64, column: String, value: String },
    /// No rows, or no columns.
    #[error("{}", match .column { Some(name) => format!("the column \"{name}\" has no rows"), None => "the table has no columns".to_owned() })]
    Empty { column: Option<String> },
    /// Columns of different lengths.
    #[error("the column \"{first}\" has {rows} rows, but \"{second}\" has {others}")]
    Ragged {
        first: String,
        rows: usize,
        second: String,
        others: usize,
    },
    /// A compressed file that doesn't decompress.
    #[error("the gzip data is damaged: {problem}")]
    Damaged { problem: String },
    /// A compressed file that grows past the limit.
    #[error("the gzip data holds more than {limit} bytes")]
    TooLarge { limit: u64 },
}

fn suggested(name: &Option<String>) -> String {
    name.as_ref()
        .map(|name| format!(" (did you mean \"{name}\"?)"))
        .unwrap_or_default()
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no columns".to_owned(),
        names => names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

impl Column {
    /// The column called `column` of a CSV table with a header line.
    ///
    /// # Errors
    /// Refuses malformed CSV, a missing or ambiguous column, a table without rows, and values that aren't finite numbers.
    pub fn from_csv(bytes: &[u8], column: &str) -> Result<Self, TableError> {
        let mut values = read(bytes, &[column])?;
        Self::new(column, values.remove(0))
    }
}

impl Rows {
    /// The named columns of a CSV table with a header line, in the order of `columns`.
    ///
    /// # Errors
    /// As [`Column::from_csv`].
    pub fn from_csv(bytes: &[u8], columns: &[&str]) -> Result<Self, TableError> {
        let values = read(bytes, columns)?;
        let columns = columns
            .iter()
            .zip(values)
            .map(|(name, values)| Column::new(name, values));
        Self::new(columns.collect::<Result<_, _>>()?)
    }
}

impl Labels {
    /// The column called `column` of a CSV table with a header line, whatever its fields hold.
    ///
    /// # Errors
    /// Refuses malformed CSV, a missing or ambiguous column, and a table without rows.
    pub fn from_csv(bytes: &[u8], column: &str) -> Result<Self, TableError> {
        let mut labels = Self::new(column);
        each(bytes, &[column], |_, _, text| {
            labels.push(text);
            Ok(())
        })?;
        labels.or_empty()
    }
}

/// The values of the named columns, each in the order of the rows.
fn read(bytes: &[u8], names: &[&str]) -> Result<Vec<Vec<f64>>, TableError> {
    let mut values = vec![Vec::new(); names.len()];
    each(bytes, names, |line, place, text| {
        let (column, value) = (names[place].to_owned(), text.to_owned());
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => values[place].push(number),
            Ok(_) => return Err(TableError::NotFinite { line, column, value }),
            Err(_) => return Err(TableError::NotANumber { line, column, value }),
        }
        Ok(())
    })?;
    Ok(values)
}

/// Gives every field of the named columns to `take`: its line, which of the columns it is in, and what it holds.
fn each(
    bytes: &[u8],
    names: &[&str],
    mut take: impl FnMut(u64, usize, &str) -> Result<(), TableError>,
) -> Result<(), TableError> {
    // A byte order mark, as spreadsheets write it, is no part of the first name.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header: Vec<String> = reader
        .headers()
        .map_err(|error| malformed(bytes, error))?
        .iter()
        .map(str::to_owned)
        .collect();
    let places = names
        .iter()
        .map(|name| place(&header, name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| malformed(bytes, error))?
    {
        let line = line(bytes, record.position());
        for (index, place) in places.iter().enumerate() {
            take(line, index, record.get(*place).unwrap_or_default())?;
        }
    }
    Ok(())
}

/// How many rows a CSV table with a header line has.
///
/// # Errors
/// Refuses malformed CSV, and a table without rows or columns.
pub fn row_count(bytes: &[u8]) -> Result<usize, TableError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let header = reader.headers().map_err(|error| malformed(bytes, error))?;
    let column = header.get(0).map(str::to_owned);
    let mut count = 0;
    for record in reader.records() {
        record.map_err(|error| malformed(bytes, error))?;
        count += 1;
    }
    match count {
        0 => Err(TableError::Empty { column }),
        count => Ok(count),
    }
}

/// Where the column called `name` is.
fn place(header: &[String], name: &str) -> Result<usize, TableError> {
    let mut places = (0..header.len()).filter(|&i| header[i] == name);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(TableError::TwoColumns {
            column: name.to_owned(),
        }),
        _ => Err(TableError::NoColumn {
            column: name.to_owned(),
            columns: header.to_vec(),
            suggestion: similar(header, name).cloned(),
        }),
    }
}

/// The name nearest to `name`, if one is near: the same but for case, or at most a third of it mistyped.
fn similar<'a>(header: &'a [String], name: &str) -> Option<&'a String> {
    let lower = name.to_lowercase();
    let distance = |other: &&String| strsim::osa_distance(&lower, &other.to_lowercase());
    let nearest = header.iter().min_by_key(distance)?;
    (distance(&nearest) * 3 <= name.chars().count().max(3)).then_some(nearest)
}

/// The line on which a record begins. The reader gives the place after the record before, where there may be blank lines.
fn line(bytes: &[u8], position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let rest = bytes.get(position.byte() as usize..).unwrap_or_default();
    let blank = rest
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .filter(|byte| **byte == b'\n');
    position.line() + blank.count() as u64
}

fn malformed(bytes: &[u8], error: csv::Error) -> TableError {
    let line = line(bytes, error.position());
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    TableError::Malformed { line, problem }
}

/// The bytes of a file that may be gzip (by its first two bytes): as they are if it isn't.
///
/// # Errors
/// Refuses damaged data, and data that decompresses to more than `limit` bytes.
pub fn decompressed(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, TableError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut plain = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(bytes);
    decoder
        .take(limit.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(|error| TableError::Damaged {
            problem: error.to_string(),
        })?;
    if plain.len() as u64 > limit {
        return Err(TableError::TooLarge { limit });
    }
    Ok(Cow::Owned(plain))
}
