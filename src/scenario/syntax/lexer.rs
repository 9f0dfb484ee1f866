//! Tokens of RON text, as the `ron` crate 0.12 reads them.
//!
//! Accepts less than `ron` on purpose (no byte strings, ranges, raw identifiers or type suffixes, each refused by name)
//! and one thing more: a byte order mark. Never panics, always advances, and is linear in the text. A bad token is
//! reported once and handed on as [`Kind::Bad`], so that the parser can go on without reporting it again.

use super::codes::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::{SourceId, Span};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Open(char),
    Close(char),
    Comma,
    Colon,
    Hash,
    Bang,
    Equals,
    Word,
    Integer(i128),
    Float(f64),
    Text(String),
    Char(char),
    Bad,
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    source: SourceId,
    /// Whether a text or comment ran to the end of the file.
    pub unclosed: bool,
}

/// Whitespace as `ron` knows it.
fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' | '\u{85}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
    )
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str, source: SourceId) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self {
            text,
            at,
            source,
            unclosed: false,
        }
    }

    pub fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    pub fn slice(&self, token: &Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// The first character behind white space and comments, without moving or reporting.
    pub fn peek_past_trivia(&self) -> Option<char> {
        let mut ahead = Lexer {
            text: self.text,
            at: self.at,
            source: self.source,
            unclosed: false,
        };
        ahead.skip_trivia(&mut Diagnostics::default());
        ahead.peek()
    }

    fn skip_trivia(&mut self, out: &mut Diagnostics) {
        loop {
            self.take_while(is_space);
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.skip_block_comment(out);
            } else {
                return;
            }
        }
    }

    fn skip_block_comment(&mut self, out: &mut Diagnostics) {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut level = 0_usize;
        loop {
            match bytes.get(self.at..self.at + 2) {
                Some(b"/*") => {
                    level += 1;
                    self.at += 2;
                }
                Some(b"*/") => {
                    level -= 1;
                    self.at += 2;
                    if level == 0 {
                        return;
                    }
                }
                // Bytes are safe to step over: both marks are ASCII, and the loop only stops behind one or at the end.
                Some(_) => self.at += 1,
                None => {
                    self.at = bytes.len();
                    self.unclosed = true;
                    let message = "this comment is never closed";
                    let mut problem = Diagnostic::error(Code::OpenComment, self.span(start, start + 2), message)
                        .help("close it with `*/`");
                    if level > 1 {
                        problem = problem.note(format!(
                            "comments nest: {level} of them are open at the end of the file"
                        ));
                    }
                    out.push(problem);
                    return;
                }
            }
        }
    }

    /// The next token. At the end of the text it is [`Kind::End`], again and again.
    pub fn next(&mut self, out: &mut Diagnostics) -> Token {
        self.skip_trivia(out);
        let start = self.at;
        let kind = self.kind(start, out);
        Token {
            kind,
            start,
            end: self.at,
        }
    }

    fn kind(&mut self, start: usize, out: &mut Diagnostics) -> Kind {
        let Some(c) = self.peek() else { return Kind::End };
        let rest = self.rest();
        if rest.starts_with("r\"") || rest.starts_with("r#\"") || rest.starts_with("r##") {
            return self.raw_text(start, out);
        }
        for (mark, what) in [
            ("b\"", "byte strings"),
            ("b'", "byte literals"),
            ("br\"", "byte strings"),
            ("br#", "byte strings"),
        ] {
            if rest.starts_with(mark) {
                self.at += 1;
                // Read what follows, so that only this one problem is reported.
                self.kind(self.at, &mut Diagnostics::default());
                let problem = Diagnostic::error(
                    Code::Unsupported,
                    self.span(start, self.at),
                    format!("{what} are not part of the scenario language"),
                );
                out.push(problem.help("write plain text: \"...\""));
                return Kind::Bad;
            }
        }
        match c {
            '(' | '[' | '{' => {
                self.bump();
                Kind::Open(c)
            }
            ')' | ']' | '}' => {
                self.bump();
                Kind::Close(c)
            }
            ',' => self.one(Kind::Comma),
            ':' => self.one(Kind::Colon),
            '#' => self.one(Kind::Hash),
            '!' => self.one(Kind::Bang),
            '=' => self.one(Kind::Equals),
            '"' => self.text(start, out),
            '\'' => self.char(start, out),
            '0'..='9' | '+' | '-' | '.' => self.number(start, out),
            'A'..='Z' | 'a'..='z' | '_' => self.word(start, out),
            _ if c.is_alphabetic() => self.word(start, out),
            _ => {
                self.bump();
                if matches!(c, '“' | '”' | '„') {
                    // The whole text in curly quotes is one problem.
                    let line = self.rest().split('\n').next().unwrap_or("");
                    if let Some(len) = line.find(['“', '”']) {
                        self.at += len + '”'.len_utf8();
                    }
                }
                let shown = if c.is_control() || is_invisible(c) {
                    format!("U+{:04X}", c as u32)
                } else {
                    format!("`{c}`")
                };
                let mut problem = Diagnostic::error(
                    Code::UnexpectedCharacter,
                    self.span(start, self.at),
                    format!("unexpected character {shown}"),
                );
                if matches!(c, '“' | '”' | '„' | '‘' | '’') {
                    problem = problem.help("text stands between straight quotes: \"...\"");
                } else if c == ';' {
                    problem = problem.help("entries are separated by commas");
                }
                out.push(problem);
                Kind::Bad
            }
        }
    }

    fn one(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn word(&mut self, start: usize, out: &mut Diagnostics) -> Kind {
        if self.rest().starts_with("r#") {
            self.at += 2;
            let word = self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'));
            let span = self.span(start, self.at);
            let problem = Diagnostic::error(
                Code::Unsupported,
                span,
                "raw identifiers are not part of the scenario language",
            );
            out.push(problem.replace("write the plain name", span, word));
            return Kind::Bad;
        }
        let word = self.take_while(|c| c.is_alphanumeric() || c == '_');
        if !word.is_ascii() {
            let problem = Diagnostic::error(
                Code::UnexpectedCharacter,
                self.span(start, self.at),
                format!("`{word}` is not a name of the language: those are ASCII"),
            );
            out.push(problem.help("a name of your own stands in quotes, and may hold any character"));
            return Kind::Bad;
        }
        match word {
            "inf" => Kind::Float(f64::INFINITY),
            "NaN" => Kind::Float(f64::NAN),
            "inff32" | "inff64" | "NaNf32" | "NaNf64" => {
                out.push(suffix_refused(self.span(start, self.at), word, word.len() - 3));
                Kind::Bad
            }
            _ => Kind::Word,
        }
    }

    fn number(&mut self, start: usize, out: &mut Diagnostics) -> Kind {
        let mut previous = '\0';
        let rest = self.rest();
        let hex = rest.strip_prefix(['+', '-']).unwrap_or(rest).starts_with("0x");
        // Takes everything that somebody could have meant as one number, units included, to refuse it as a whole.
        while let Some(c) = self.peek() {
            let sign = matches!(c, '+' | '-') && (self.at == start || (!hex && matches!(previous, 'e' | 'E')));
            let unit = c == '%' || (c == '/' && self.rest()[1..].starts_with(|c: char| c.is_ascii_alphabetic()));
            if !(c.is_alphanumeric() || matches!(c, '_' | '.') || sign || unit) {
                break;
            }
            previous = c;
            self.bump();
        }
        let run = &self.text[start..self.at];
        let span = self.span(start, self.at);
        match super::number::read(run) {
            Ok(super::number::Number::Integer(i)) => Kind::Integer(i),
            Ok(super::number::Number::Float(f)) => Kind::Float(f),
            Err(problem) => {
                out.push(problem.diagnostic(run, span));
                Kind::Bad
            }
        }
    }

    fn raw_text(&mut self, start: usize, out: &mut Diagnostics) -> Kind {
        self.at += 1;
        let hashes = self.take_while(|c| c == '#').len();
        if self.peek() != Some('"') {
            out.push(Diagnostic::error(
                Code::UnexpectedCharacter,
                self.span(start, self.at),
                "a raw text starts with r\" or r#\"",
            ));
            return Kind::Bad;
        }
        self.at += 1;
        let ending = format!("\"{}", "#".repeat(hashes));
        match self.rest().find(&ending) {
            Some(len) => {
                let text = self.rest()[..len].to_string();
                self.at += len + ending.len();
                Kind::Text(text)
            }
            None => {
                self.unclosed(start, self.at, &ending, "this raw text is never closed", out);
                Kind::Bad
            }
        }
    }

    fn unclosed(&mut self, start: usize, opened: usize, ending: &str, message: &str, out: &mut Diagnostics) {
        out.push(
            Diagnostic::error(Code::OpenText, self.span(start, opened), message)
                .help(format!("close it with `{ending}`")),
        );
        self.at = self.text.len();
        self.unclosed = true;
    }

    fn text(&mut self, start: usize, out: &mut Diagnostics) -> Kind {
        self.at += 1;
        let mut text = String::new();
        let mut bad = 0;
        loop {
            text.push_str(self.take_while(|c| c != '"' && c != '\\'));
            match self.bump() {
                Some('"') => return if bad > 0 { Kind::Bad } else { Kind::Text(text) },
                // A text full of wrong escapes is reported by its first ones.
                Some(_) if bad >= 10 => {
                    self.bump();
                }
                Some(_) => match self.escape(true, out) {
                    Ok(c) => text.extend(c),
                    Err(()) => bad += 1,
                },
                None => {
                    self.unclosed(start, start + 1, "\"", "this text is never closed", out);
                    return Kind::Bad;
                }
            }
        }
    }

    fn char(&mut self, start: usize, out: &mut Diagnostics) -> Kind {
        self.at += 1;
        let c = match self.peek() {
            Some('\\') => {
                self.bump();
                self.escape(false, out)
            }
            Some('\'') | Some('\n') | None => Ok(None),
            Some(c) => {
                self.bump();
                Ok(Some(c))
            }
        };
        if self.peek() == Some('\'') {
            self.at += 1;
            if let Ok(Some(c)) = c {
                return Kind::Char(c);
            }
            if c.is_err() {
                return Kind::Bad;
            }
        }
        let tail = self.take_while(|c| c != '\'' && c != '\n' && c != ',');
        if self.peek() == Some('\'') {
            self.at += 1;
        }
        let span = self.span(start, self.at);
        let problem = Diagnostic::error(
            Code::OpenText,
            span,
            "a character is one character between single quotes",
        );
        let word = self.text[start + 1..self.at].trim_end_matches('\'');
        out.push(if !tail.is_empty() && !word.contains(['"', '\\']) {
            problem.replace("text stands between double quotes", span, format!("\"{word}\""))
        } else {
            problem.help("text stands between double quotes: \"...\"")
        });
        Kind::Bad
    }

    /// Reads what follows a backslash. `Ok(None)` is a line continuation.
    fn escape(&mut self, in_text: bool, out: &mut Diagnostics) -> Result<Option<char>, ()> {
        let start = self.at - 1;
        let simple = match self.bump() {
            Some(c @ ('\'' | '"' | '\\')) => Some(c),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('0') => Some('\0'),
            _ => None,
        };
        if simple.is_some() {
            return Ok(simple);
        }
        self.at = start + 1;
        let rest = self.rest();
        if in_text && (rest.starts_with('\n') || rest.starts_with("\r\n")) {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            return Ok(None);
        }
        let message = if rest.starts_with('x') {
            let digits = rest.get(1..3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            if let Some(code) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                self.at += 3;
                if code < 0x80 {
                    return Ok(Some(code as char));
                }
            } else {
                self.at += 1;
            }
            r"`\x` takes two hexadecimal digits, 00 to 7F; `\u{...}` writes any character"
        } else if let Some(tail) = rest.strip_prefix('u') {
            // Only as far as digits can go: the rest of the file may be long.
            let digits = tail
                .strip_prefix('{')
                .and_then(|r| Some(&r[..r.bytes().take(7).position(|b| b == b'}')?]));
            self.at += 1;
            if let Some(digits) =
                digits.filter(|d| (1..=6).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_hexdigit()))
            {
                self.at += digits.len() + 2;
                if let Some(c) = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32) {
                    return Ok(Some(c));
                }
            }
            r"`\u{...}` takes one to six hexadecimal digits that name a Unicode character"
        } else {
            self.bump();
            r#"the escapes are \" \' \\ \n \r \t \0 \xNN \u{...}; a backslash itself is \\"#
        };
        out.push(
            Diagnostic::error(Code::BadEscape, self.span(start, self.at), "this escape doesn't exist").help(message),
        );
        Err(())
    }
}

/// Characters that a reader can't see, so that naming them by their code says more.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{feff}' | '\u{a0}' | '\u{2000}'..='\u{200d}' | '\u{202a}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{3000}')
}

/// The refusal of `1u8` and the like: `keep` is the length of the number itself.
pub(super) fn suffix_refused(span: Span, run: &str, keep: usize) -> Diagnostic {
    Diagnostic::error(
        Code::Unsupported,
        span,
        format!("numbers carry no type: `{}`", &run[keep..]),
    )
    .replace("write the number alone", span, &run[..keep])
}
