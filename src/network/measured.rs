//! Measured latency tables: round trips between regions, and the law of one way that stands for them.
//!
//! One way is half the round trip, and a round trip of two independent legs has the measured mean and the measured
//! standard deviation. With ping's `min`, `avg` and `mdev`, a leg is a shifted log-normal: never below min / 2; above that
//! a log-normal of mean (avg - min) / 2 and standard deviation mdev / sqrt 2. (Two equal independent legs have twice a
//! leg's mean and sqrt 2 times its standard deviation; the log-normal is the usual shape of queueing above a floor.)
//! Without a spread it is constant at avg / 2. Where the average isn't above the minimum but there is a spread (rounding in
//! the table), the floor is dropped, and mean and standard deviation are kept.
//!
//! Loaders take bytes, gzip or not, and name the line of what is wrong.

use crate::random::{Law, TableError, decompressed};
use std::collections::BTreeMap;

/// Nanoseconds in a millisecond.
const MS: f64 = 1e6;
/// No table may be larger when decompressed.
const LIMIT: u64 = 256 << 20;
/// More regions than that are no latency table.
const MOST_REGIONS: usize = 16_384;

/// Round trips between regions.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    regions: Vec<String>,
    /// The place of each region's name.
    places: BTreeMap<String, u32>,
    /// Row by row; `None` where nothing was measured.
    cells: Vec<Option<RoundTrip>>,
}

/// The measured round trip of one directed pair, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundTrip {
    /// The least.
    pub min: f64,
    /// The mean.
    pub avg: f64,
    /// The standard deviation (ping's mdev).
    pub mdev: f64,
}

impl RoundTrip {
    /// The law of one leg, in nanoseconds.
    pub fn one_way(&self) -> Law {
        let (floor, mean) = (self.min / 2.0 * MS, self.avg / 2.0 * MS);
        let sd = self.mdev * std::f64::consts::FRAC_1_SQRT_2 * MS;
        if sd == 0.0 || mean == 0.0 {
            Law::Constant(mean)
        } else if mean > floor {
            Law::log_normal_from_mean(mean - floor, sd).shifted(floor)
        } else {
            Law::log_normal_from_mean(mean, sd)
        }
    }
}

/// The unit of a plain matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// What can be wrong with a measured table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum MeasuredError {
    /// The bytes couldn't be unpacked.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Something about one line.
    #[error("line {line}: {problem}")]
    Line { line: u64, problem: String },
    /// Columns that aren't there.
    #[error("the table lacks the columns {missing}; it has {found}")]
    Columns { missing: String, found: String },
    /// Several sets of measurements, and none (or one that isn't there) was chosen.
    #[error("{}; the table has the sets {sets}", match .asked { Some(set) => format!("no set \"{set}\""), None => "a set must be chosen".to_owned() })]
    Set { asked: Option<String>, sets: String },
    /// A region that the table doesn't know.
    #[error("no region \"{region}\" in the table{}", suggested(.suggestions))]
    Region { region: String, suggestions: Vec<String> },
    /// No rows.
    #[error("the table has no rows")]
    Empty,
    /// Not a square.
    #[error("the matrix has {rows} rows of {columns} columns, and should be square")]
    NotSquare { rows: usize, columns: usize },
    /// Far too many regions.
    #[error("the table has {regions} regions; at most {MOST_REGIONS} are read")]
    TooMany { regions: usize },
}

fn suggested(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; did you mean {}?", quoted(names.iter().map(String::as_str))),
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// The columns that a CSV must have.
const COLUMNS: [&str; 6] = ["from", "to", "min_ms", "avg_ms", "max_ms", "mdev_ms"];

impl Measured {
    /// A table of round trips in milliseconds from CSV: the columns `from`, `to`, `min_ms`, `avg_ms`, `max_ms`, `mdev_ms`
    /// in any order, and `set` where one file holds several tables.
    ///
    /// # Errors
    /// Refuses what isn't such a table: missing columns, malformed or negative numbers, a pair given twice, and `set` names
    /// that aren't there (or none where there are several).
    pub fn from_csv(bytes: &[u8], set: Option<&str>) -> Result<Self, MeasuredError> {
        let text = decompressed(bytes, LIMIT)?;
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_ref());
        let header = reader.headers().map_err(|error| malformed(&error, 1))?.clone();
        let position = |name: &str| {
            header
                .iter()
                .position(|column| column.trim_start_matches('\u{feff}') == name)
        };
        let missing: Vec<&str> = COLUMNS.into_iter().filter(|name| position(name).is_none()).collect();
        if !missing.is_empty() {
            let (missing, found) = (quoted(missing.into_iter()), quoted(header.iter()));
            return Err(MeasuredError::Columns { missing, found });
        }
        let columns = COLUMNS.map(|name| position(name).expect("no column is missing"));
        let set_column = position("set");

        let mut sets: Vec<String> = Vec::new();
        let mut rows: Vec<(u64, String, String, RoundTrip)> = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| malformed(&error, 0))?;
            let line = record.position().map_or(0, csv::Position::line);
            let of = set_column.map_or("", |column| &record[column]);
            if !sets.iter().any(|known| known == of) {
                sets.push(of.to_owned());
            }
            // Lines of other sets are checked too: a damaged file is no source of numbers.
            let (from, to, trip) = row(&record, columns, line)?;
            if set.is_none_or(|set| set == of) {
                rows.push((line, from, to, trip));
            }
        }
        if sets.is_empty() {
            return Err(MeasuredError::Empty);
        }
        if set.is_none() && sets.len() > 1 || rows.is_empty() {
            let sets = quoted(sets.iter().map(String::as_str));
            return Err(MeasuredError::Set {
                asked: set.map(str::to_owned),
                sets,
            });
        }
        Self::from_rows(rows)
    }

    /// Regions are numbered in the order of their names' first appearance.
    fn from_rows(rows: Vec<(u64, String, String, RoundTrip)>) -> Result<Self, MeasuredError> {
        let (mut regions, mut places) = (Vec::new(), BTreeMap::new());
        for name in rows.iter().flat_map(|(_, from, to, _)| [from, to]) {
            if !places.contains_key(name) {
                places.insert(name.clone(), regions.len() as u32);
                regions.push(name.clone());
            }
        }
        let n = regions.len();
        if n > MOST_REGIONS {
            return Err(MeasuredError::TooMany { regions: n });
        }
        let mut cells = vec![None; n * n];
        for (line, from, to, trip) in rows {
            let cell = &mut cells[places[&from] as usize * n + places[&to] as usize];
            if cell.is_some() {
                let problem = format!("the pair \"{from}\", \"{to}\" was given before");
                return Err(MeasuredError::Line { line, problem });
            }
            *cell = Some(trip);
        }
        Ok(Self { regions, places, cells })
    }

    /// A plain square matrix of round trips, one row a line, separated by tabs (or other white space). 0 is "not
    /// measured"; the regions are called "0", "1" ...
    ///
    /// # Errors
    /// Refuses what isn't such a matrix.
    pub fn from_tsv(bytes: &[u8], unit: Unit) -> Result<Self, MeasuredError> {
        let data = decompressed(bytes, LIMIT)?;
        let factor = match unit {
            Unit::Milliseconds => 1.0,
            Unit::Seconds => 1e3,
        };
        let (mut cells, mut rows, mut columns) = (Vec::new(), 0, None);
        for (index, bytes) in data.split(|&byte| byte == b'\n').enumerate() {
            let line = index as u64 + 1;
            let at = |problem: String| MeasuredError::Line { line, problem };
            let text = std::str::from_utf8(bytes).map_err(|_| at("this is not text".into()))?;
            let before = cells.len();
            for word in text.split_whitespace() {
                let rtt = number(word).map_err(at)? * factor;
                cells.push((rtt > 0.0).then_some(RoundTrip {
                    min: rtt,
                    avg: rtt,
                    mdev: 0.0,
                }));
            }
            let width = cells.len() - before;
            if width == 0 {
                continue;
            }
            if *columns.get_or_insert(width) != width {
                return Err(at(format!(
                    "{width} columns, where the first row has {}",
                    columns.unwrap_or(0)
                )));
            }
            rows += 1;
        }
        let columns = columns.ok_or(MeasuredError::Empty)?;
        if rows != columns {
            return Err(MeasuredError::NotSquare { rows, columns });
        }
        if rows > MOST_REGIONS {
            return Err(MeasuredError::TooMany { regions: rows });
        }
        let regions: Vec<String> = (0..rows).map(|region| region.to_string()).collect();
        let places = regions.iter().cloned().zip(0..).collect();
        Ok(Self { regions, places, cells })
    }

    /// The regions' names, by number.
    pub fn regions(&self) -> &[String] {
        &self.regions
    }

    /// The number of a region.
    ///
    /// # Errors
    /// Refuses names that aren't in the table, and suggests the nearest.
    pub fn region(&self, name: &str) -> Result<u32, MeasuredError> {
        self.places.get(name).copied().ok_or_else(|| {
            let mut near: Vec<(f64, &String)> = self
                .regions
                .iter()
                .map(|region| (strsim::jaro_winkler(name, region), region))
                .collect();
            near.retain(|(likeness, _)| *likeness > 0.75);
            near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
            let suggestions = near.into_iter().take(3).map(|(_, region)| region.clone()).collect();
            MeasuredError::Region {
                region: name.to_owned(),
                suggestions,
            }
        })
    }

    /// The round trip between two regions, if it was measured.
    pub fn round_trip(&self, from: u32, to: u32) -> Option<RoundTrip> {
        let n = self.regions.len();
        let (from, to) = (from as usize, to as usize);
        if from >= n || to >= n {
            None
        } else {
            self.cells[from * n + to]
        }
    }

    /// The law of the way from one region to another, in nanoseconds, if it was measured.
    pub fn one_way(&self, from: u32, to: u32) -> Option<Law> {
        self.round_trip(from, to).map(|trip| trip.one_way())
    }
}

/// One line of the CSV.
fn row(
    record: &csv::StringRecord,
    columns: [usize; 6],
    line: u64,
) -> Result<(String, String, RoundTrip), MeasuredError> {
    let at = |problem: String| MeasuredError::Line { line, problem };
    let value = |column: usize| {
        number(&record[columns[column]]).map_err(|problem| at(format!("column \"{}\": {problem}", COLUMNS[column])))
    };
    let (min, avg, max, mdev) = (value(2)?, value(3)?, value(4)?, value(5)?);
    if !(min <= avg && avg <= max) {
        return Err(at(format!("min {min}, avg {avg} and max {max} are not in this order")));
    }
    let (from, to) = (&record[columns[0]], &record[columns[1]]);
    if from.is_empty() || to.is_empty() {
        return Err(at("a region without a name".into()));
    }
    let trip = RoundTrip { min, avg, mdev };
    trip.one_way()
        .validate()
        .map_err(|error| at(format!("no law fits: {error}")))?;
    Ok((from.to_owned(), to.to_owned(), trip))
}

/// A finite number that isn't negative.
fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Err(_) => Err(format!("\"{text}\" is not a number")),
        Ok(value) if !value.is_finite() => Err(format!("{text} is not a finite number")),
        Ok(value) if value < 0.0 => Err(format!("{text} is negative")),
        Ok(value) => Ok(value),
    }
}

fn malformed(error: &csv::Error, otherwise: u64) -> MeasuredError {
    let line = error.position().map_or(otherwise, csv::Position::line);
    MeasuredError::Line {
        line,
        problem: error.to_string(),
    }
}
