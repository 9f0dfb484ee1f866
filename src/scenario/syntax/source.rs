//! Places in source text: [`Span`], and the [`SourceMap`] that turns them into file, line and column.
//!
//! Guarantees: a span never outlives its map's numbering (sources are only added), lines and columns count from one, and
//! columns count characters, not bytes.

use serde::Serialize;
use std::ops::Range;

/// The number of a source in its [`SourceMap`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SourceId(pub u32);

/// A range of bytes in one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The source that the range lies in.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end` of `source`.
    ///
    /// # Panics
    /// Never for sources that a [`SourceMap`] accepted: they are shorter than 4 GiB.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        debug_assert!(start <= end && u32::try_from(end).is_ok(), "span {start}..{end}");
        Self {
            source,
            start: start as u32,
            end: end as u32,
        }
    }

    /// The smallest span that holds both; this one, if they lie in different sources.
    pub fn to(self, other: Self) -> Self {
        if self.source != other.source {
            return self;
        }
        Self {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The empty span behind this one, where something is missing.
    pub fn after(self) -> Self {
        Self {
            start: self.end,
            ..self
        }
    }

    /// The first `len` bytes of this span at most.
    pub fn head(self, len: u32) -> Self {
        Self {
            end: self.end.min(self.start + len),
            ..self
        }
    }

    /// The bytes as a range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A place that people can go to: line and column count from one, columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One text that was read: a file, standard input, an override of the command line.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
    lines: Vec<u32>,
}

impl Source {
    /// The name as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text, unchanged: a byte order mark and carriage returns are still in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the byte at `offset` lies. Offsets behind the end count as the end.
    pub fn place(&self, offset: usize) -> Place {
        let offset = floor_boundary(&self.text, offset);
        let line = self.lines.partition_point(|&start| start as usize <= offset).max(1);
        let start = self.lines[line - 1] as usize;
        Place {
            line,
            column: self.text[start..offset].trim_start_matches('\u{feff}').chars().count() + 1,
        }
    }

    /// The bytes of line `line` (from one) without its line break.
    pub fn line(&self, line: usize) -> Range<usize> {
        let start = self
            .lines
            .get(line.saturating_sub(1))
            .map_or(self.text.len(), |&s| s as usize);
        let end = self.lines.get(line).map_or(self.text.len(), |&s| s as usize);
        let body = self.text[start..end].trim_end_matches(['\n', '\r']);
        start..start + body.len()
    }

    /// The number of lines, at least one.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }
}

/// The nearest character boundary at or before `offset`.
pub(crate) fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// All sources of one scenario, numbered in the order in which they were read.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// No sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that diagnostics show.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        assert!(
            u32::try_from(text.len()).is_ok(),
            "sources are bounded far below 4 GiB before they get here"
        );
        let mut lines = vec![0];
        lines.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| i as u32 + 1),
        );
        self.sources.push(Source {
            name: name.into(),
            text,
            lines,
        });
        SourceId(self.sources.len() as u32 - 1)
    }

    /// The source with this number, if the map gave it out.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }

    /// All sources, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.sources.iter().enumerate().map(|(i, s)| (SourceId(i as u32), s))
    }

    /// The text of a span, or nothing if the span isn't from this map.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source)
            .and_then(|s| s.text.get(span.range()))
            .unwrap_or("")
    }

    /// `file:line:column` of a span's start.
    pub fn locate(&self, span: Span) -> String {
        match self.get(span.source) {
            Some(source) => {
                let Place { line, column } = source.place(span.start as usize);
                format!("{}:{line}:{column}", source.name)
            }
            None => "(no source)".to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let mut map = SourceMap::new();
        let id = map.add("a.ron", "\u{feff}ab\r\nß€x\n");
        let source = map.get(id).unwrap();
        assert_eq!(source.place(0), Place { line: 1, column: 1 });
        assert_eq!(source.place(4), Place { line: 1, column: 2 });
        assert_eq!(
            source.place(source.text().find('x').unwrap()),
            Place { line: 2, column: 3 }
        );
        assert_eq!(
            source.place(9),
            Place { line: 2, column: 2 },
            "inside a character: its start"
        );
        assert_eq!(source.place(usize::MAX), Place { line: 3, column: 1 });
        assert_eq!(&source.text()[source.line(1)], "\u{feff}ab");
        assert_eq!(source.line(4), source.text().len()..source.text().len());
        assert_eq!(map.locate(Span::new(id, 7, 8)), "a.ron:2:1");
    }
}
