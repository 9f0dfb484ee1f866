//! Reads a history in any of its formats, as a stream and within limits.

use super::{Builder, Fault, History, Problem, Problems, jepsen, jsonl, porcupine};
use std::io::BufRead;

/// A format of histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own: JSON Lines, an event a line.
    JsonLines,
    /// EDN as Jepsen writes it: maps, one after the other or in one vector. Porcupine's key-value logs are of this kind.
    Jepsen,
    /// Log lines of Jepsen, as in Porcupine's tests of etcd.
    Porcupine,
}

impl Format {
    /// All formats with their names on the command line.
    pub const ALL: [(&'static str, Self); 3] = [
        ("jsonl", Self::JsonLines),
        ("jepsen-edn", Self::Jepsen),
        ("porcupine", Self::Porcupine),
    ];
}

/// What bounds the memory that a history takes, and how strictly it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most operations.
    pub operations: usize,
    /// The most elements that all reads together return, and the most parts of all transactions.
    pub elements: usize,
    /// The most bytes of different texts.
    pub text: usize,
    /// The most bytes of a line, or of one form of EDN.
    pub line: usize,
    /// Whether times are read over: their order isn't looked at, and they aren't kept.
    pub ignore_times: bool,
}

impl Default for Limits {
    /// Two million operations, some hundred megabytes at most.
    fn default() -> Self {
        Self {
            operations: 2_000_000,
            elements: 20_000_000,
            text: 64 << 20,
            line: 16 << 20,
            ignore_times: false,
        }
    }
}

/// How a history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// The format; `None`: as the first line tells.
    pub format: Option<Format>,
    /// The limits.
    pub limits: Limits,
}

/// Reads a history.
///
/// # Errors
/// All that is wrong with it, with lines, up to [`Problems::KEPT`] problems; the first limit that is exceeded ends the reading.
pub fn read(mut from: impl BufRead, reading: Reading) -> Result<History, Problems> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    // The mark of UTF-8 that some editors write stands at the beginning of a file's first chunk.
    if from
        .fill_buf()
        .map_err(|error| super::lines::unreadable(&error, 1))?
        .starts_with(MARK)
    {
        from.consume(MARK.len());
    }
    let format = match reading.format {
        Some(format) => format,
        None => detect(&mut from)?,
    };
    let mut builder = Builder::new(reading.limits);
    match format {
        Format::JsonLines => jsonl::read(from, &reading.limits, &mut builder),
        Format::Jepsen => jepsen::read(from, &reading.limits, &mut builder),
        Format::Porcupine => porcupine::read(from, &reading.limits, &mut builder),
    }
    builder.finish()
}

/// The format that the beginning of a history tells. Nothing is consumed.
///
/// # Errors
/// If it tells none, or can't be read.
pub fn detect(from: &mut impl BufRead) -> Result<Format, Problem> {
    let chunk = from.fill_buf().map_err(|error| super::lines::unreadable(&error, 1))?;
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
    let start = chunk.iter().position(|byte| !blank(byte)).unwrap_or(chunk.len());
    match &chunk[start..] {
        [b'{', after @ ..] => {
            let inner = after.iter().find(|byte| !blank(byte));
            Ok(if inner == Some(&b'"') {
                Format::JsonLines
            } else {
                Format::Jepsen
            })
        }
        [b'[' | b'(' | b';' | b'#', ..] => Ok(Format::Jepsen),
        rest if rest.starts_with(b"INFO") => Ok(Format::Porcupine),
        // Nothing at all is a history without operations.
        [] if chunk.len() < 4096 => Ok(Format::JsonLines),
        _ => {
            let line = 1 + chunk[..start].iter().filter(|byte| **byte == b'\n').count() as u32;
            let message = "the beginning isn't that of any format of histories";
            Err(Problem::at(Fault::UnknownFormat, line, message)
                .help("say the format with --from jsonl, --from jepsen-edn or --from porcupine"))
        }
    }
}
