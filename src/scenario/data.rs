//! Data sets by name: those that come with Quorate, and files of a scenario.
//!
//! A table is read once for all variants. What is wrong with it is reported where the scenario names it, with the line of
//! the data. Files may be gzip.

use super::language::DataSet;
use super::syntax::{Code, Diagnostic, Diagnostics, Named, Part, SourceMap, Sources, Span, Spanned, suggest, write};
use super::written;
use crate::agents::edits::Session;
use crate::network::measured::{Measured, MeasuredError};
use crate::random::{Column, Labels, Rows, TableError, decompressed, row_count};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod sessions;

/// No file of data may be larger, packed or unpacked.
pub const LIMIT: usize = 256 << 20;

/// A data set that comes with Quorate.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// The name by which scenarios use it.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Where it comes from, and under which licence.
    pub source: &'static str,
    /// Which of the table's sets it is, for measured latencies.
    pub set: Option<&'static str>,
    /// The file.
    pub bytes: &'static [u8],
}

macro_rules! file {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $path))
    };
}

const AZURE: &str = "Azure LLM inference trace 2023 (Patel et al., Splitwise, ISCA 2024), CC BY 4.0";
const FANTOCH: &str = "github.com/vitorenesduarte/fantoch, MIT or Apache-2.0";
const EDITS: &str = "github.com/josephg/editing-traces (Joseph Gentle), CC BY 4.0";
const MOONCAKE: &str = "github.com/kvcache-ai/Mooncake (Qin et al., FAST 2025), Apache-2.0";
const OUTAGES: &str = "github.com/atlarge-research/opendc, MIT";
const SERVEGEN: &str = "github.com/alibaba/ServeGen (Xiang et al., 2025), Apache-2.0";
const RTT: &[u8] = file!("wan-latency-fantoch/rtt.csv");

/// The data sets that come with Quorate, by name.
pub const BUILT_IN: [BuiltIn; 17] = [
    BuiltIn {
        name: "airline-calls",
        title: "recorded runs of a customer-service agent with tools, for `EachRow`",
        source: "github.com/sierra-research/tau-bench (Yao et al., 2024), MIT",
        set: None,
        bytes: file!("tau-bench-tool-calls/gpt4o_airline_calls.csv.gz"),
    },
    BuiltIn {
        name: "aws-latency",
        title: "round trips between 19 regions of AWS",
        source: FANTOCH,
        set: Some("aws-2020-06-05"),
        bytes: RTT,
    },
    BuiltIn {
        name: "azure-code",
        title: "requests of a coding service: arrival, prompt and answer tokens",
        source: AZURE,
        set: None,
        bytes: file!("azure-llm-2023/AzureLLMInferenceTrace_code.csv.gz"),
    },
    BuiltIn {
        name: "azure-conv",
        title: "requests of a chat service: arrival, prompt and answer tokens",
        source: AZURE,
        set: None,
        bytes: file!("azure-llm-2023/AzureLLMInferenceTrace_conv.csv.gz"),
    },
    BuiltIn {
        name: "clownschool",
        title: "an editing session of three authors, for `Edit`",
        source: EDITS,
        set: None,
        bytes: file!("editing-traces/clownschool.json.gz"),
    },
    BuiltIn {
        name: "facebook-outages",
        title: "outages of a service as its users reported them: gaps and durations",
        source: OUTAGES,
        set: None,
        bytes: file!("service-outages/facebook.csv.gz"),
    },
    BuiltIn {
        name: "friendsforever",
        title: "an editing session of two authors, for `Edit`",
        source: EDITS,
        set: None,
        bytes: file!("editing-traces/friendsforever.json.gz"),
    },
    BuiltIn {
        name: "gcp-latency",
        title: "round trips between 20 regions of Google Cloud",
        source: FANTOCH,
        set: Some("gcp"),
        bytes: RTT,
    },
    BuiltIn {
        name: "instagram-outages",
        title: "outages of a service as its users reported them: gaps and durations",
        source: OUTAGES,
        set: None,
        bytes: file!("service-outages/instagram.csv.gz"),
    },
    BuiltIn {
        name: "mooncake-conversation",
        title: "requests of a chat service: arrival, prompt and answer tokens, shared prefixes",
        source: MOONCAKE,
        set: None,
        bytes: file!("mooncake-fast25/conversation.csv.gz"),
    },
    BuiltIn {
        name: "mooncake-synthetic",
        title: "requests made of several public sets: arrival, prompt and answer tokens, shared prefixes",
        source: MOONCAKE,
        set: None,
        bytes: file!("mooncake-fast25/synthetic.csv.gz"),
    },
    BuiltIn {
        name: "netflix-outages",
        title: "outages of a service as its users reported them: gaps and durations",
        source: OUTAGES,
        set: None,
        bytes: file!("service-outages/netflix.csv.gz"),
    },
    BuiltIn {
        name: "seattle-rtt",
        title: "round trips of 60 pairs over 688 time slices",
        source: "github.com/uofa-rzhu3/NetLatency-Data (Zhu et al., IEEE/ACM ToN 2017), MIT",
        set: None,
        bytes: file!("netlatency-uofa/seattle_60pairs_688slices_s.csv.gz"),
    },
    BuiltIn {
        name: "servegen-language",
        title: "a day of the request rates of ten clients of a chat model",
        source: SERVEGEN,
        set: None,
        bytes: file!("servegen-clients/language_day.csv"),
    },
    BuiltIn {
        name: "servegen-reason",
        title: "a day of the request rates of ten clients of a reasoning model",
        source: SERVEGEN,
        set: None,
        bytes: file!("servegen-clients/reason_day.csv"),
    },
    BuiltIn {
        name: "swe-tool-times",
        title: "running times of an agent's shell commands",
        source: "github.com/SWE-agent/SWE-agent, MIT",
        set: None,
        bytes: file!("swe-agent-tool-times/tool_times.csv"),
    },
    BuiltIn {
        name: "wan-latency",
        title: "round trips between regions of Google Cloud and AWS, in three sets",
        source: FANTOCH,
        set: None,
        bytes: RTT,
    },
];

/// What a failure to read a table is: reported anew wherever the table is named.
type Read<T> = Result<T, Failure>;

#[derive(Debug, Clone)]
struct Failure {
    code: Code,
    message: String,
    suggestion: Option<String>,
}

/// The file of a declared data set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declared {
    /// As the scenario writes it.
    shown: String,
    /// As it is read.
    path: PathBuf,
    /// Where the scenario says so.
    span: Span,
}

/// Which columns of which data set: their rows once read.
type TableKey = (String, Vec<String>);

/// The data sets that a scenario names, read as they are asked for.
pub struct DataSets<'a> {
    sources: &'a dyn Sources,
    /// For each declared name its file; `None` where that is unknown.
    declared: BTreeMap<String, Option<Declared>>,
    /// Whether every declared name is known.
    whole: bool,
    files: BTreeMap<String, Read<Arc<[u8]>>>,
    hashes: BTreeMap<&'static str, blake3::Hash>,
    read: written::Read,
    /// Whether what is read belongs to what is run.
    kept: bool,
    tables: BTreeMap<TableKey, Read<Arc<Rows>>>,
    columns: BTreeMap<(String, String), Read<Arc<Column>>>,
    labels: BTreeMap<(String, String), Read<Arc<Labels>>>,
    times: BTreeMap<(String, String), Read<Arc<Stamps>>>,
    measured: BTreeMap<(String, Option<String>), Read<Measured>>,
    sessions: BTreeMap<String, Read<Arc<Session>>>,
}

/// The times of a trace.
#[derive(Debug)]
pub enum Stamps {
    /// Plain numbers.
    Numbers(Vec<f64>),
    /// Points in time, in nanoseconds since some day.
    Dates(Vec<i128>),
}

impl std::fmt::Debug for DataSets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataSets")
            .field("declared", &self.declared)
            .finish_non_exhaustive()
    }
}

impl<'a> DataSets<'a> {
    /// The built-in data sets, read through nothing, and those that will be declared, read through `sources`.
    pub fn new(sources: &'a dyn Sources) -> Self {
        Self {
            sources,
            declared: BTreeMap::new(),
            whole: true,
            files: BTreeMap::new(),
            hashes: BTreeMap::new(),
            read: written::Read::new(),
            kept: true,
            tables: BTreeMap::new(),
            columns: BTreeMap::new(),
            labels: BTreeMap::new(),
            times: BTreeMap::new(),
            measured: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// Takes over a variant's declarations; paths are relative to the file that they stand in, or else to `root`'s folder.
    pub fn declare(&mut self, data: &Named<Part<DataSet>>, map: &SourceMap, root: &Path) {
        let mut declared = BTreeMap::new();
        for (name, set) in data.canonical() {
            let file = set.get().and_then(|set| set.file.get()).map(|file| {
                let path = written::base(map, root, file.span.source).join(&file.value);
                Declared {
                    shown: file.value.clone(),
                    path,
                    span: file.span,
                }
            });
            declared.entry(name.value.clone()).or_insert(file);
        }
        self.whole = data.is_whole();
        // What another variant called the same may be another file.
        let differs = |name: &&String| declared.get(*name) != self.declared.get(*name);
        let names = declared.keys().chain(self.declared.keys());
        let changed: Vec<String> = names.filter(differs).cloned().collect();
        for name in changed {
            self.files.remove(&name);
            self.tables.retain(|(of, _), _| *of != name);
            self.columns.retain(|(of, _), _| *of != name);
            self.labels.retain(|(of, _), _| *of != name);
            self.times.retain(|(of, _), _| *of != name);
            self.measured.retain(|(of, _), _| *of != name);
            self.sessions.remove(&name);
        }
        self.declared = declared;
    }

    /// The hash of every built-in data set that what is run reads.
    pub fn hashes(&self) -> &BTreeMap<&'static str, blake3::Hash> {
        &self.hashes
    }

    /// Every file that what is run reads, with what it held.
    pub(super) fn read(&self) -> &written::Read {
        &self.read
    }

    /// What is read from now on is looked at, but not run.
    pub(super) fn keep_no_more(&mut self) {
        self.kept = false;
    }

    /// A column of numbers.
    pub fn column(
        &mut self,
        data: &Spanned<String>,
        column: &Spanned<String>,
        out: &mut Diagnostics,
    ) -> Option<Arc<Column>> {
        let key = (data.value.clone(), column.value.clone());
        if !self.columns.contains_key(&key) {
            let bytes = self.bytes(data, out)?;
            let read = Column::from_csv(&bytes, column).map(Arc::new);
            self.columns.insert(key.clone(), read.map_err(failure));
        }
        report(&self.columns[&key], self.declared_at(data), (data, column), out)
    }

    /// A column of texts.
    pub fn labels(
        &mut self,
        data: &Spanned<String>,
        column: &Spanned<String>,
        out: &mut Diagnostics,
    ) -> Option<Arc<Labels>> {
        let key = (data.value.clone(), column.value.clone());
        if !self.labels.contains_key(&key) {
            let bytes = self.bytes(data, out)?;
            let read = Labels::from_csv(&bytes, column).map(Arc::new);
            self.labels.insert(key.clone(), read.map_err(failure));
        }
        report(&self.labels[&key], self.declared_at(data), (data, column), out)
    }

    /// How many rows a table has. One without rows is reported.
    pub fn row_count(&mut self, data: &Spanned<String>, out: &mut Diagnostics) -> Option<usize> {
        let bytes = self.bytes(data, out)?;
        let read = row_count(&bytes).map_err(failure);
        report(&read, self.declared_at(data), (data, data), out)
    }

    /// Several columns of one table, in this order.
    pub fn rows(
        &mut self,
        data: &Spanned<String>,
        columns: &[&Spanned<String>],
        out: &mut Diagnostics,
    ) -> Option<Arc<Rows>> {
        let names: Vec<&str> = columns.iter().map(|column| column.value.as_str()).collect();
        let key = (data.value.clone(), names.iter().map(|name| name.to_string()).collect());
        if !self.tables.contains_key(&key) {
            let bytes = self.bytes(data, out)?;
            let read = Rows::from_csv(&bytes, &names).map(Arc::new);
            self.tables.insert(key.clone(), read.map_err(failure));
        }
        let read = &self.tables[&key];
        // The column that isn't there is the one to point at.
        let missing = |column: &&&Spanned<String>| match read {
            Err(problem) => problem.message.contains(&write::quoted(column)),
            Ok(_) => false,
        };
        let at = columns.iter().find(missing).unwrap_or(&columns[0]);
        report(read, self.declared_at(data), (data, at), out)
    }

    /// A column of points in time: numbers, or dates with times of day.
    pub fn stamps(
        &mut self,
        data: &Spanned<String>,
        column: &Spanned<String>,
        out: &mut Diagnostics,
    ) -> Option<Arc<Stamps>> {
        let key = (data.value.clone(), column.value.clone());
        if !self.times.contains_key(&key) {
            let bytes = self.bytes(data, out)?;
            let read = stamps(&bytes, column).map(Arc::new);
            self.times.insert(key.clone(), read);
        }
        report(&self.times[&key], self.declared_at(data), (data, column), out)
    }

    /// A table of round trips.
    pub fn measured(&mut self, data: &Spanned<String>, set: Option<&str>, out: &mut Diagnostics) -> Option<Measured> {
        let own = BUILT_IN
            .iter()
            .find(|own| own.name == data.value && !self.declared.contains_key(own.name));
        let set = set.or(own.and_then(|own| own.set));
        let key = (data.value.clone(), set.map(str::to_owned));
        if !self.measured.contains_key(&key) {
            let bytes = self.bytes(data, out)?;
            let read = Measured::from_csv(&bytes, set).map_err(|error| Failure {
                code: match error {
                    MeasuredError::Empty => Code::EmptyData,
                    MeasuredError::Columns { ref found, .. } if found.is_empty() => Code::EmptyData,
                    MeasuredError::Columns { .. } => Code::UnknownColumn,
                    _ => Code::BadData,
                },
                message: match &error {
                    MeasuredError::Columns { found, .. } if found.is_empty() => "the file is empty".to_owned(),
                    error => error.to_string(),
                },
                suggestion: None,
            });
            self.measured.insert(key.clone(), read);
        }
        report(&self.measured[&key], self.declared_at(data), (data, data), out)
    }

    /// Where the file of a data set is declared.
    fn declared_at(&self, data: &str) -> Option<Span> {
        self.declared.get(data)?.as_ref().map(|declared| declared.span)
    }

    /// The unpacked bytes of a data set.
    fn bytes(&mut self, data: &Spanned<String>, out: &mut Diagnostics) -> Option<Arc<[u8]>> {
        if let Some(declared) = self.declared.get(&data.value) {
            let Declared { shown, path, .. } = declared.as_ref()?;
            if !self.files.contains_key(&data.value) {
                let read = self.sources.read_named(path, LIMIT);
                let read = read.map_err(|error| Failure {
                    code: Code::DataUnreadable,
                    message: format!("can't read {shown}: {error}"),
                    suggestion: None,
                });
                let read = read.and_then(|bytes| match bytes.len() > LIMIT {
                    true => Err(Failure {
                        code: Code::BadData,
                        message: format!("{shown} holds more than {LIMIT} bytes"),
                        suggestion: None,
                    }),
                    false => Ok(Arc::<[u8]>::from(bytes)),
                });
                if let (true, Ok(bytes)) = (self.kept, &read) {
                    self.read.insert(path.clone(), (Arc::clone(bytes), blake3::hash(bytes)));
                }
                self.files
                    .insert(data.value.clone(), read.and_then(|bytes| unpack(&bytes)));
            }
        } else if let Some(own) = BUILT_IN.iter().find(|own| own.name == data.value) {
            if !self.files.contains_key(&data.value) {
                if self.kept {
                    self.hashes.insert(own.name, blake3::hash(own.bytes));
                }
                self.files.insert(data.value.clone(), unpack(&Arc::from(own.bytes)));
            }
        } else if !self.whole {
            return None;
        } else {
            let names = self.declared.keys().map(String::as_str);
            let names: Vec<&str> = names.chain(BUILT_IN.iter().map(|own| own.name)).collect();
            super::syntax::unknown_name(data, names, Code::UnknownData, "data set", out);
            return None;
        }
        report(&self.files[&data.value], self.declared_at(data), (data, data), out)
    }
}

fn unpack(bytes: &Arc<[u8]>) -> Read<Arc<[u8]>> {
    Ok(match decompressed(bytes, LIMIT as u64).map_err(failure)? {
        // What isn't packed isn't kept twice.
        Cow::Borrowed(_) => Arc::clone(bytes),
        Cow::Owned(plain) => Arc::from(plain),
    })
}

fn failure(error: TableError) -> Failure {
    if matches!(&error, TableError::NoColumn { columns, .. } if columns.is_empty()) {
        return Failure {
            code: Code::EmptyData,
            message: "the file is empty".to_owned(),
            suggestion: None,
        };
    }
    Failure {
        code: match error {
            TableError::NoColumn { .. } | TableError::TwoColumns { .. } => Code::UnknownColumn,
            TableError::Empty { .. } => Code::EmptyData,
            _ => Code::BadData,
        },
        message: match &error {
            TableError::NoColumn { column, columns, .. } => format!(
                "no column {}; the table has {}",
                write::quoted(column),
                suggest::listed(columns.iter().map(String::as_str))
            ),
            error => error.to_string(),
        },
        suggestion: match error {
            TableError::NoColumn { suggestion, .. } => suggestion,
            _ => None,
        },
    }
}

/// The value, or the failure where the scenario names the data set or the column.
fn report<T: Clone>(
    read: &Read<T>,
    declared: Option<Span>,
    (data, column): (&Spanned<String>, &Spanned<String>),
    out: &mut Diagnostics,
) -> Option<T> {
    let failed = match read {
        Ok(value) => return Some(value.clone()),
        Err(failed) => failed,
    };
    let at = match failed.code {
        Code::UnknownColumn | Code::EmptyData => column,
        _ => data,
    };
    let message = format!("data set {}: {}", write::quoted(data), failed.message);
    let mut problem = Diagnostic::error(failed.code, at.span, message);
    if let Some(declared) = declared {
        problem = problem.label(declared, "the data set's file");
    }
    if let Some(near) = &failed.suggestion {
        let quoted = write::quoted(near);
        problem = problem.replace(format!("did you mean {quoted}?"), at.span, quoted);
    }
    out.push(problem);
    None
}

/// The points in time of a column: all numbers, or all dates.
fn stamps(bytes: &[u8], column: &str) -> Read<Stamps> {
    let as_numbers = Column::from_csv(bytes, column);
    let first = match as_numbers {
        Ok(numbers) => return Ok(Stamps::Numbers(numbers.values().to_vec())),
        Err(TableError::NotANumber { value, .. }) => value,
        Err(error) => return Err(failure(error)),
    };
    let bad = |line: u64, problem: String| Failure {
        code: Code::BadData,
        message: format!("line {line}, column {}: {problem}", write::quoted(column)),
        suggestion: None,
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut dates: Vec<i128> = Vec::new();
    let place = reader
        .headers()
        .ok()
        .and_then(|header| header.iter().position(|name| name == column))
        .expect("the column was found before");
    for record in reader.records() {
        let record = record.map_err(|error| bad(0, error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let text = &record[place];
        let Some(date) = date(text) else {
            let problem = format!("{} is neither a number nor a date", write::quoted(text));
            return Err(match dates.is_empty() && text != first {
                true => bad(line, format!("{} is not a number", write::quoted(&first))),
                false => bad(line, problem),
            });
        };
        dates.push(date);
    }
    Ok(Stamps::Dates(dates))
}

/// `2023-11-16 18:17:03.9799600` in nanoseconds since the first day of the year 0, without regard to time zones.
fn date(text: &str) -> Option<i128> {
    let (day, time) = text.trim_end_matches('Z').split_once([' ', 'T'])?;
    let numbers = |text: &str, by: char| -> Option<[i128; 3]> {
        let mut parts = text.split(by).map(|part| {
            let digits = part.len() <= 4 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        });
        let found = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(found)
    };
    let [year, month, day] = numbers(day, '-')?;
    let (time, part) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !in_range || part.is_empty() || part.len() > 9 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = part.parse::<i128>().ok()? * 10_i128.pow(9 - part.len() as u32);
    // Days of the proleptic Gregorian calendar; years begin in March (Howard Hinnant, "chrono-compatible date algorithms").
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use super::super::syntax::Memory;
    use super::*;

    #[test]
    fn dates_count_nanoseconds() {
        let at = |text| date(text).unwrap();
        assert_eq!(
            at("2023-11-16 18:17:04.0319600") - at("2023-11-16 18:17:03.9799600"),
            52_000_000
        );
        assert_eq!(
            at("2024-03-01T00:00:00Z") - at("2024-02-28 00:00:00"),
            2 * 86_400_000_000_000
        );
        assert_eq!(at("2023-03-01 00:00:00") - at("2023-02-28 23:59:59"), 1_000_000_000);
        for wrong in [
            "",
            "12",
            "2023-13-01 00:00:00",
            "2023-11-16",
            "2023-11-16 24:00:00",
            "x-1-1 1:1:1",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_built_in_data_set_can_be_read() {
        let (sources, mut out) = (Memory::new(), Diagnostics::new());
        let mut data = DataSets::new(&sources);
        assert!(BUILT_IN.windows(2).all(|pair| pair[0].name < pair[1].name));
        for (name, column, rows) in [
            ("airline-calls", "args_chars", 5308),
            ("azure-code", "GeneratedTokens", 8819),
            ("azure-conv", "ContextTokens", 19_366),
            ("facebook-outages", "failure_duration_ms", 4069),
            ("instagram-outages", "failure_duration_ms", 3926),
            ("mooncake-conversation", "output_length", 12_031),
            ("mooncake-synthetic", "input_length", 3993),
            ("netflix-outages", "failure_interval_ms", 3388),
            ("servegen-language", "all", 144),
            ("servegen-reason", "client_35", 144),
            ("swe-tool-times", "execution_time_s", 40),
            ("seattle-rtt", "n0_n18", 688),
        ] {
            let read = data.column(&name.into(), &column.into(), &mut out);
            assert_eq!(
                read.map(|column| column.len()),
                Some(rows),
                "{name} {:?}",
                out.iter().next()
            );
        }
        let tools = data.labels(&"airline-calls".into(), &"tool".into(), &mut out).unwrap();
        assert_eq!((tools.len(), tools.names().len()), (5308, 15));
        let code = data
            .stamps(&"azure-code".into(), &"TIMESTAMP".into(), &mut out)
            .unwrap();
        let Stamps::Dates(dates) = &*code else { panic!() };
        assert!(dates.is_sorted() && dates.len() == 8819);
        assert_eq!((dates[8818] - dates[0]) / 1_000_000_000, 3435);
        for (name, regions) in [("gcp-latency", 20), ("aws-latency", 19)] {
            let table = data.measured(&name.into(), None, &mut out).unwrap();
            assert_eq!(table.regions().len(), regions);
        }
        assert!(
            data.measured(&"wan-latency".into(), Some("aws-2021-02-13"), &mut out)
                .is_some()
        );
        assert!(out.is_empty());
        assert!(data.measured(&"wan-latency".into(), None, &mut out).is_none());
        assert!(data.column(&"azure".into(), &"x".into(), &mut out).is_none());
        assert_eq!(out.error_count(), 2);
    }
}
