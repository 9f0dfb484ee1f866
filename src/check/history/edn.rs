//! A reader of EDN forms from a stream, as much of it as histories need.
//!
//! Follows the format's description (github.com/edn-format/edn): comments, `#_` discards, tags (read over), characters, and
//! commas as blanks. Vectors, lists and sets become lists. A form is bounded in bytes and depth; nothing larger is held.

use super::lines::unreadable;
use super::{Fault, Problem, Raw};
use std::io::{self, BufRead};

/// How deeply collections may nest.
const DEPTH: u32 = 64;

/// Reads forms.
pub(super) struct Forms<R> {
    from: R,
    /// The line of the next byte.
    pub line: u32,
    column: u32,
    used: usize,
    most: usize,
    /// The bracket that closes the history, if the first one opened it.
    close: Option<u8>,
    begun: bool,
}

/// What went wrong: at the end of the stream, or at a place.
type Result<T> = std::result::Result<T, Problem>;

impl<R: BufRead> Forms<R> {
    pub(super) fn new(from: R, most: usize) -> Self {
        Self {
            from,
            line: 1,
            column: 1,
            used: 0,
            most,
            close: None,
            begun: false,
        }
    }

    /// The next operation's form with the line where it begins; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Raw, u32)>> {
        loop {
            self.used = 0;
            let Some(byte) = self.significant()? else {
                return match self.close {
                    Some(close) => Err(self.cut(&format!("a `{}` is missing", close as char))),
                    None => Ok(None),
                };
            };
            match byte {
                b'[' | b'(' if !self.begun => {
                    self.begun = true;
                    self.close = Some(if byte == b'[' { b']' } else { b')' });
                    self.bump()?;
                }
                b']' | b')' if self.close == Some(byte) => {
                    self.bump()?;
                    self.close = None;
                    return match self.significant()? {
                        None => Ok(None),
                        Some(_) => Err(self.wrong("there is more behind the bracket that closes the history")),
                    };
                }
                _ => {
                    self.begun = true;
                    let line = self.line;
                    return Ok(Some((self.form(0)?, line)));
                }
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            match self.from.fill_buf() {
                Ok(chunk) => return Ok(chunk.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error, self.line)),
            }
        }
    }

    fn bump(&mut self) -> Result<Option<u8>> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.from.consume(1);
            self.used += 1;
            if self.used > self.most {
                let message = format!("the operation that ends here is longer than {} bytes", self.most);
                return Err(Problem::at(Fault::TooLarge, self.line, message));
            }
            if byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
        Ok(byte)
    }

    fn wrong(&self, message: impl Into<String>) -> Problem {
        Problem::at(Fault::NotAnEvent, self.line, message).column(self.column)
    }

    /// A problem of the word that was just read.
    fn wrong_before(&self, message: String, length: usize) -> Problem {
        let column = self.column.saturating_sub(length as u32).max(1);
        Problem::at(Fault::BadValue, self.line, message).column(column)
    }

    fn deep(&self) -> Problem {
        self.wrong(format!("collections nest more than {DEPTH} deep"))
    }

    fn cut(&self, why: &str) -> Problem {
        let message = format!("the history ends in the middle of an operation: {why}");
        Problem::at(Fault::EndsMidLine, self.line, message)
            .help("remove the beginning of the operation that is cut off")
    }

    /// Skips blanks, comments and discarded forms; the byte that comes then isn't consumed.
    fn significant(&mut self) -> Result<Option<u8>> {
        loop {
            match self.peek()? {
                Some(byte) if byte.is_ascii_whitespace() || byte == b',' => {
                    self.bump()?;
                    self.used = self.used.saturating_sub(1);
                }
                Some(b';') => {
                    while !matches!(self.peek()?, None | Some(b'\n')) {
                        self.bump()?;
                        self.used = self.used.saturating_sub(1);
                    }
                }
                other => return Ok(other),
            }
        }
    }

    fn form(&mut self, depth: u32) -> Result<Raw> {
        if depth > DEPTH {
            return Err(self.deep());
        }
        let Some(byte) = self.significant()? else {
            return Err(self.cut("a value is missing"));
        };
        match byte {
            b'{' => {
                self.bump()?;
                let items = self.until(b'}', depth)?;
                if items.len() % 2 == 1 {
                    return Err(self.wrong("a map has a key without a value"));
                }
                let mut items = items.into_iter();
                let mut entries = Vec::with_capacity(items.len() / 2);
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    entries.push((key, value));
                }
                Ok(Raw::Map(entries))
            }
            b'[' | b'(' => {
                self.bump()?;
                Ok(Raw::List(self.until(if byte == b'[' { b']' } else { b')' }, depth)?))
            }
            b'"' => self.text(),
            b'\\' => {
                self.bump()?;
                let mut name = String::new();
                // A character may be a bracket, so its first byte belongs to it whatever it is.
                if let Some(first) = self.bump()? {
                    name.push(first as char);
                }
                name.push_str(&self.token()?);
                Ok(Raw::Text(name))
            }
            b'#' => {
                self.bump()?;
                match self.peek()? {
                    Some(b'{') => {
                        self.bump()?;
                        Ok(Raw::List(self.until(b'}', depth)?))
                    }
                    Some(b'_') => {
                        self.bump()?;
                        self.form(depth + 1)?;
                        self.form(depth + 1)
                    }
                    _ => {
                        // A tag says how a program would represent what follows; what follows is all there is.
                        self.token()?;
                        self.form(depth + 1)
                    }
                }
            }
            b'}' | b']' | b')' => Err(self.wrong(format!("a `{}` closes nothing", byte as char))),
            _ => self.atom(),
        }
    }

    /// The forms up to a closing bracket.
    fn until(&mut self, close: u8, depth: u32) -> Result<Vec<Raw>> {
        if depth > DEPTH {
            return Err(self.deep());
        }
        let mut items = Vec::new();
        loop {
            match self.significant()? {
                None => return Err(self.cut(&format!("a `{}` is missing", close as char))),
                Some(byte) if byte == close => {
                    self.bump()?;
                    return Ok(items);
                }
                Some(b'#') => {
                    // A discarded form may be the last one before the bracket.
                    self.bump()?;
                    if self.peek()? == Some(b'_') {
                        self.bump()?;
                        self.form(depth + 1)?;
                    } else if self.peek()? == Some(b'{') {
                        self.bump()?;
                        let inner = self.until(b'}', depth + 1)?;
                        items.push(Raw::List(inner));
                    } else {
                        self.token()?;
                        items.push(self.form(depth + 1)?);
                    }
                }
                Some(_) => items.push(self.form(depth + 1)?),
            }
        }
    }

    fn text(&mut self) -> Result<Raw> {
        self.bump()?;
        let mut bytes = Vec::new();
        loop {
            match self.bump()? {
                None => return Err(self.cut("a text isn't closed")),
                Some(b'"') => break,
                Some(b'\\') => {
                    let escaped = match self.bump()? {
                        None => return Err(self.cut("a text isn't closed")),
                        Some(b'n') => '\n',
                        Some(b't') => '\t',
                        Some(b'r') => '\r',
                        Some(b'b') => '\u{8}',
                        Some(b'f') => '\u{c}',
                        Some(b'u') => {
                            let mut code = 0;
                            for _ in 0..4 {
                                let digit = self.bump()?.and_then(|byte| (byte as char).to_digit(16));
                                let Some(digit) = digit else {
                                    return Err(self.wrong("an escape `\\u` has four hexadecimal digits"));
                                };
                                code = code * 16 + digit;
                            }
                            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                        }
                        Some(other) => other as char,
                    };
                    let mut buffer = [0; 4];
                    bytes.extend_from_slice(escaped.encode_utf8(&mut buffer).as_bytes());
                }
                Some(byte) => bytes.push(byte),
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Raw::Text(text)),
            Err(_) => Err(Problem::at(Fault::Unreadable, self.line, "a text isn't UTF-8")),
        }
    }

    /// The bytes up to a delimiter.
    fn token(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek()? {
            let ends = byte.is_ascii_whitespace()
                || matches!(byte, b',' | b'{' | b'}' | b'[' | b']' | b'(' | b')' | b'"' | b';');
            if ends {
                break;
            }
            bytes.push(byte);
            self.bump()?;
        }
        String::from_utf8(bytes).map_err(|_| Problem::at(Fault::Unreadable, self.line, "a word isn't UTF-8"))
    }

    fn atom(&mut self) -> Result<Raw> {
        let token = self.token()?;
        let first = token.as_bytes().first().copied().unwrap_or(b' ');
        let numeric = first.is_ascii_digit()
            || matches!(first, b'+' | b'-') && token.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if !numeric {
            return Ok(match token.as_str() {
                "nil" => Raw::Nil,
                "true" => Raw::Bool(true),
                "false" => Raw::Bool(false),
                _ => Raw::Text(token),
            });
        }
        // `N` and `M` say that a number is exact, and change nothing of which one it is.
        let digits = token.strip_suffix(['N', 'M']).unwrap_or(&token);
        super::number(digits).map_err(|why| self.wrong_before(why, token.len()))
    }
}
