//! Lines of bounded length from a stream: nothing longer than the bound is ever held.

use super::{Fault, Problem};
use std::io::{self, BufRead};

/// What came instead of a line.
#[derive(Debug)]
pub(super) enum Next {
    /// A line without its end; `ended` says whether there was one.
    Line { ended: bool },
    /// The end of the stream.
    End,
}

/// Reads lines into one buffer.
pub(super) struct Lines<R> {
    from: R,
    pub line: u32,
    pub text: Vec<u8>,
    most: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R, most: usize) -> Self {
        Self {
            from,
            line: 0,
            text: Vec::new(),
            most,
        }
    }

    /// Reads the next line into `text`.
    pub(super) fn next(&mut self) -> Result<Next, Problem> {
        self.text.clear();
        self.line = self.line.saturating_add(1);
        loop {
            let chunk = match self.from.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(&error, self.line)),
            };
            if chunk.is_empty() {
                return Ok(if self.text.is_empty() {
                    Next::End
                } else {
                    Next::Line { ended: false }
                });
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let take = end.unwrap_or(chunk.len());
            if self.text.len() + take > self.most {
                let message = format!("the line is longer than {} bytes", self.most);
                return Err(Problem::at(Fault::TooLarge, self.line, message));
            }
            self.text.extend_from_slice(&chunk[..take]);
            self.from.consume(take + usize::from(end.is_some()));
            if end.is_some() {
                if self.text.last() == Some(&b'\r') {
                    self.text.pop();
                }
                return Ok(Next::Line { ended: true });
            }
        }
    }
}

/// A problem of the file itself.
pub(super) fn unreadable(error: &io::Error, line: u32) -> Problem {
    Problem::at(Fault::Unreadable, line, format!("the history can't be read: {error}"))
}
