//! The parser: text to spanned tree.
//!
//! Guarantees: accepts only what the `ron` crate 0.12 accepts (with `implicit_some`), apart from a byte order mark; never
//! panics; linear time; memory bounded by [`Limits`]. It goes on behind an error at the next comma or closing bracket, so
//! that several problems are reported at once. Where a value is wrong in itself (`250ms` without quotes), or nothing but a
//! comma is missing, everything around it is certain: then there is a tree, in which such a value is [`Value::Unread`]. After
//! any other error there is none.

use super::codes::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::lexer::{Kind, Lexer, Token};
use super::source::{SourceId, SourceMap, Span};
use super::tree::{Field, Name, Node, Value};

/// What a text may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one text, and of all texts of a scenario together.
    pub bytes: usize,
    /// Brackets inside brackets.
    pub depth: usize,
    /// Values of one text, field names not counted.
    pub nodes: usize,
    /// Errors of one text, before it is given up.
    pub errors: usize,
}

impl Default for Limits {
    /// 16 MiB, 128 deep, four million values, 100 errors.
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 128,
            nodes: 4_000_000,
            errors: 100,
        }
    }
}

/// Adds bytes to the map under `name`, and parses them if they are UTF-8 text within the limits. `None`: there are errors.
pub fn parse_bytes(
    name: &str,
    bytes: &[u8],
    map: &mut SourceMap,
    limits: &Limits,
    out: &mut Diagnostics,
) -> Option<Node> {
    let errors = out.error_count();
    let node = read_bytes(name, bytes, map, limits, out);
    node.filter(|_| out.error_count() == errors)
}

/// As [`parse_bytes`], but values that can't be read may be left out of the tree.
pub fn read_bytes(
    name: &str,
    bytes: &[u8],
    map: &mut SourceMap,
    limits: &Limits,
    out: &mut Diagnostics,
) -> Option<Node> {
    if bytes.len() > limits.bytes {
        let message = format!(
            "{name} is too large: {} bytes, at most {} are read",
            bytes.len(),
            limits.bytes
        );
        out.push(Diagnostic::unplaced(Code::TooLarge, message).help("keep data in CSV files that the scenario names"));
        return None;
    }
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        let problem = Diagnostic::unplaced(Code::NotText, format!("{name} is UTF-16, not UTF-8"));
        out.push(problem.help("save it as UTF-8"));
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let id = map.add(name, text);
            read(text, id, limits, out)
        }
        Err(error) => {
            let at = error.valid_up_to();
            // The part before the bad byte is text: show the line that it would continue.
            let valid = std::str::from_utf8(&bytes[..at]).unwrap_or("");
            let id = map.add(name, valid);
            let message = format!("{name} is not UTF-8 text: byte {at} is 0x{:02X}", bytes[at]);
            out.push(
                Diagnostic::error(Code::NotText, Span::new(id, at, at), message)
                    .here("behind this")
                    .help("save it as UTF-8"),
            );
            None
        }
    }
}

/// Parses a text that is already in a [`SourceMap`] under `source`. `None`: there are errors.
pub fn parse(text: &str, source: SourceId, limits: &Limits, out: &mut Diagnostics) -> Option<Node> {
    let errors = out.error_count();
    let node = read(text, source, limits, out);
    node.filter(|_| out.error_count() == errors)
}

/// As [`parse`], but values that can't be read may be left out of the tree.
pub fn read(text: &str, source: SourceId, limits: &Limits, out: &mut Diagnostics) -> Option<Node> {
    if text.len() > limits.bytes {
        let message = format!(
            "the text is too large: {} bytes, at most {} are read",
            text.len(),
            limits.bytes
        );
        out.push(Diagnostic::unplaced(Code::TooLarge, message));
        return None;
    }
    let mut own = Diagnostics::default();
    if let Some(at) = text.find('\0') {
        let message = format!("the text holds a NUL byte (byte {at})");
        let problem = Diagnostic::error(Code::NotText, Span::new(source, at, at + 1), message);
        out.push(problem.help(r#"save it as UTF-8; inside quotes, write "\0""#));
        return None;
    }
    let mut lexer = Lexer::new(text, source);
    let token = lexer.next(&mut own);
    let mut parser = Parser {
        lexer,
        token,
        faults: own.error_count(),
        healed: 0,
        last: None,
        open: Vec::new(),
        nodes: 0,
        limits: *limits,
        out: own,
        stopped: false,
        mismatch: None,
    };
    let node = parser.document();
    let certain = !parser.ended() && parser.out.error_count() == parser.healed;
    out.append(parser.out);
    node.filter(|_| certain)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    /// How many errors the current token is.
    faults: usize,
    /// How many errors leave no doubt about what stands around them.
    healed: usize,
    /// The token before the current one.
    last: Option<Token>,
    /// The brackets around the current token.
    open: Vec<(char, Span)>,
    nodes: usize,
    limits: Limits,
    out: Diagnostics,
    /// Set when nothing that follows could be made sense of.
    stopped: bool,
    /// Where the last wrong closing bracket stands.
    mismatch: Option<usize>,
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

impl Parser<'_> {
    fn advance(&mut self) -> Token {
        let errors = self.out.error_count();
        let next = self.lexer.next(&mut self.out);
        self.faults = self.out.error_count() - errors;
        let token = std::mem::replace(&mut self.token, next);
        self.last = Some(Token {
            kind: Kind::Bad,
            ..token
        });
        if self.out.error_count() >= self.limits.errors {
            self.stop();
        }
        token
    }

    /// Pretends that the text ends here.
    fn stop(&mut self) {
        self.stopped = true;
        self.token.kind = Kind::End;
    }

    /// Whether the rest of the text is lost, for a reason that was reported.
    fn ended(&self) -> bool {
        self.stopped || (self.token.kind == Kind::End && self.lexer.unclosed)
    }

    fn here(&self) -> Span {
        self.lexer.span(self.token.start, self.token.end)
    }

    fn text_of(&self, span: Span) -> &str {
        self.lexer.slice(&Token {
            kind: Kind::Bad,
            start: span.start as usize,
            end: span.end as usize,
        })
    }

    fn shown(&self) -> String {
        match &self.token.kind {
            Kind::End => "the end of the file".into(),
            Kind::Text(_) => "a text".into(),
            _ => format!("`{}`", super::tree::shortened(self.lexer.slice(&self.token))),
        }
    }

    /// Reports that something else was expected, unless the token was reported already.
    fn expected(&mut self, what: &str) {
        if self.token.kind == Kind::Bad || self.ended() {
            return;
        }
        let message = format!("expected {what}, found {}", self.shown());
        let problem = Diagnostic::error(Code::UnexpectedToken, self.here(), message);
        self.out.push(problem);
    }

    fn document(&mut self) -> Option<Node> {
        while self.token.kind == Kind::Hash {
            self.attribute();
        }
        if self.token.kind == Kind::End && !self.out.has_errors() {
            let problem = Diagnostic::error(Code::Empty, self.here(), "there is no scenario in this file");
            self.out.push(problem.help("the least that is a value is `()`"));
            return None;
        }
        let node = self.value(0);
        if !matches!(self.token.kind, Kind::End | Kind::Bad) && node.is_some() {
            let problem = match self.token.kind {
                Kind::Close(c) => Diagnostic::error(Code::OpenBracket, self.here(), format!("`{c}` closes nothing")),
                _ => Diagnostic::error(Code::TrailingText, self.here(), "the scenario ended before this")
                    .help("a file holds one value"),
            };
            self.out.push(problem);
        }
        node
    }

    /// `#![enable(a, b)]`, `#![type = "..."]`: checked for form, and of no further meaning.
    fn attribute(&mut self) {
        const EXTENSIONS: [&str; 4] = [
            "implicit_some",
            "unwrap_newtypes",
            "unwrap_variant_newtypes",
            "explicit_struct_names",
        ];
        let start = self.here();
        self.advance();
        let mut good = self.eat(&Kind::Bang) && self.eat(&Kind::Open('['));
        let word = self.lexer.slice(&self.token).to_string();
        good = good && self.eat(&Kind::Word);
        if word == "enable" {
            good = good && self.eat(&Kind::Open('('));
            loop {
                good = good && EXTENSIONS.contains(&self.lexer.slice(&self.token)) && self.eat(&Kind::Word);
                let comma = good && self.eat(&Kind::Comma);
                if !comma || self.token.kind != Kind::Word {
                    break;
                }
            }
            good = good && self.eat(&Kind::Close(')'));
        } else {
            good = good && matches!(word.as_str(), "type" | "schema") && self.eat(&Kind::Equals);
            good = good && matches!(self.token.kind, Kind::Text(_));
            if good {
                self.advance();
            }
        }
        if !(good && self.eat(&Kind::Close(']'))) {
            let span = start.to(self.here());
            let problem = Diagnostic::error(Code::BadAttribute, span, "this line `#![...]` is not understood");
            self.out
                .push(problem.help("leave it out, or write `#![enable(implicit_some)]`"));
            self.stop();
        }
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let found = self.token.kind == *kind;
        if found {
            self.advance();
        }
        found
    }

    /// Reads one value. `None`: it was reported, and the token that is wrong is still the current one.
    fn value(&mut self, depth: usize) -> Option<Node> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            if !self.stopped {
                let message = format!("more than {} values", self.limits.nodes);
                let problem = Diagnostic::error(Code::TooManyValues, self.here(), message);
                self.out
                    .push(problem.help("use `count` for many equal agents, and CSV files for data"));
            }
            self.stop();
            return None;
        }
        let span = self.here();
        if matches!(self.token.kind, Kind::Open(_)) {
            return self.bracket(None, depth);
        }
        if self.token.kind == Kind::Word {
            let text = self.lexer.slice(&self.token);
            self.advance();
            if self.token.kind == Kind::Open('(') && !matches!(text, "true" | "false") {
                return self.bracket(
                    Some(Box::new(Name {
                        text: text.to_string(),
                        span,
                    })),
                    depth,
                );
            }
            let value = match text {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::Word(text.to_string()),
            };
            return Some(Node { span, value });
        }
        let simple = matches!(
            self.token.kind,
            Kind::Integer(_) | Kind::Float(_) | Kind::Text(_) | Kind::Char(_)
        );
        if !simple {
            self.expected("a value");
            let stray = self.lexer.slice(&self.token).chars().nth(1).is_none();
            if self.token.kind == Kind::Bad && !stray {
                // Its place is known to be a value: what follows can be read as usual.
                self.healed += self.faults;
                self.advance();
                return Some(Node {
                    span,
                    value: Value::Unread,
                });
            }
            return None;
        }
        let value = match self.advance().kind {
            Kind::Integer(i) => Value::Integer(i),
            Kind::Float(f) => Value::Float(f),
            Kind::Text(text) => Value::Text(text),
            Kind::Char(c) => Value::Char(c),
            _ => unreachable!("the kinds above"),
        };
        Some(Node { span, value })
    }

    fn bracket(&mut self, name: Option<Box<Name>>, depth: usize) -> Option<Node> {
        let Kind::Open(open) = self.token.kind else {
            unreachable!("the caller saw a bracket")
        };
        if depth >= self.limits.depth {
            let message = format!("more than {} brackets inside each other", self.limits.depth);
            let problem = Diagnostic::error(Code::TooDeep, self.here(), message);
            self.out.push(problem);
            self.stop();
            return None;
        }
        let start = name.as_ref().map_or(self.here(), |n| n.span);
        self.open.push((open, self.here()));
        self.advance();
        let (mut items, mut fields, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        while !self.at_end_of(open) {
            let before = self.token.start;
            // `(name "x")` may be a field without its colon.
            let mut whole = true;
            let good = match open {
                '[' => self.value(depth + 1).map(|v| items.push(v)).is_some(),
                '{' => self.entry(depth + 1).map(|e| entries.push(e)).is_some(),
                _ if self.at_field() => self.field(depth + 1).map(|f| fields.push(f)).is_some(),
                _ => {
                    let at = self.here();
                    let item = self.value(depth + 1);
                    if let (Some(item), true) = (&item, !fields.is_empty() && !self.stopped) {
                        let message = "a value without a name among named fields";
                        let problem = Diagnostic::error(Code::UnexpectedToken, at.to(item.span).head(80), message);
                        self.out.push(problem.help("every field of a struct is `name: value`"));
                    }
                    whole = !matches!(&item, Some(item) if matches!(item.value, Value::Word(_)));
                    item.map(|v| items.push(v)).is_some()
                }
            };
            if !good {
                self.skip_entry();
            }
            self.separator(open, good, whole);
            if self.token.start == before && !self.at_end_of(open) {
                // Nothing was taken: never loop on the same token.
                self.advance();
            }
        }
        let end = self.close(open);
        if !fields.is_empty() && !items.is_empty() && self.out.error_count() == self.healed {
            let message = "a value without a name among named fields";
            let problem = Diagnostic::error(Code::UnexpectedToken, items[0].head(), message);
            self.out.push(problem.help("every field of a struct is `name: value`"));
        }
        let value = match open {
            '[' => Value::List(items),
            '{' => Value::Map(entries),
            _ if fields.is_empty() => Value::Tuple(name, items),
            _ => Value::Struct(name, fields),
        };
        Some(Node {
            span: start.to(end),
            value,
        })
    }

    /// Whether the innermost bracket ends here, well or badly.
    fn at_end_of(&self, open: char) -> bool {
        match self.token.kind {
            Kind::End => true,
            Kind::Close(c) => c == closing(open) || self.open.iter().any(|(o, _)| closing(*o) == c),
            _ => false,
        }
    }

    fn close(&mut self, open: char) -> Span {
        let (_, opened) = self.open.pop().expect("pushed at the opening bracket");
        let span = self.here();
        if self.token.kind == Kind::Close(closing(open)) {
            self.advance();
            return span;
        }
        let close = closing(open);
        // One wrong bracket is one problem, however many open ones it skips.
        let known = self.mismatch == Some(self.token.start);
        if !self.ended() && !known {
            self.mismatch = Some(self.token.start);
            let problem = if self.token.kind == Kind::End {
                Diagnostic::error(Code::OpenBracket, opened, format!("this `{open}` is never closed"))
            } else {
                Diagnostic::error(
                    Code::OpenBracket,
                    span,
                    format!("expected `{close}`, found {}", self.shown()),
                )
                .label(opened, format!("this `{open}` is still open"))
            };
            self.out.push(problem);
            if self.token.kind == Kind::End {
                // The brackets around it are open too, for the same reason.
                self.stop();
            }
        }
        span
    }

    fn at_field(&self) -> bool {
        matches!(self.token.kind, Kind::Word | Kind::Text(_) | Kind::Bad) && self.lexer.peek_past_trivia() == Some(':')
    }

    fn field(&mut self, depth: usize) -> Option<Field> {
        let name = Name {
            text: self.lexer.slice(&self.token).to_string(),
            span: self.here(),
        };
        if let Kind::Text(text) = &self.token.kind {
            let message = "the fields of a struct stand without quotes";
            let mut problem = Diagnostic::error(Code::UnexpectedToken, name.span, message);
            let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if word {
                problem = problem.replace("write the plain name", name.span, text.clone());
            }
            self.out
                .push(problem.note("names of your own stand in a map: {\"name\": ...}"));
        }
        self.advance();
        self.advance();
        Some(Field {
            name,
            value: self.value(depth)?,
        })
    }

    fn entry(&mut self, depth: usize) -> Option<(Node, Node)> {
        let key = self.value(depth)?;
        if !self.eat(&Kind::Colon) {
            self.expected("`:` and the value of this key");
            return None;
        }
        Some((key, self.value(depth)?))
    }

    /// Skips to the comma or bracket that ends this entry, over whole brackets.
    fn skip_entry(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.token.kind {
                Kind::End => return,
                Kind::Comma if depth == 0 => return,
                Kind::Close(_) if depth == 0 => return,
                Kind::Open(_) => depth += 1,
                Kind::Close(_) => depth -= 1,
                _ => {}
            }
            self.advance();
        }
    }

    /// The comma behind an entry, or its absence. `whole`: the entry is certain to end here.
    fn separator(&mut self, open: char, good: bool, whole: bool) {
        if self.eat(&Kind::Comma) || self.at_end_of(open) {
            return;
        }
        if self.token.kind == Kind::Bad || self.stopped {
            // A semicolon was meant as a comma; behind anything else nothing is certain up to the next comma.
            if self.lexer.slice(&self.token) == ";" {
                self.advance();
            } else {
                self.skip_entry();
                self.eat(&Kind::Comma);
            }
            return;
        }
        let close = closing(open);
        if let Kind::Close(c) = self.token.kind {
            let problem = Diagnostic::error(
                Code::OpenBracket,
                self.here(),
                format!("expected `{close}`, found `{c}`"),
            );
            let opened = self.open.last().map_or(self.here(), |o| o.1);
            self.out
                .push(problem.label(opened, format!("this `{open}` is still open")));
            self.advance();
            self.eat(&Kind::Comma);
            if self.token.kind == Kind::End {
                self.stop();
            }
            return;
        }
        if !good {
            return;
        }
        let last = self
            .last
            .clone()
            .map_or(self.here(), |t| self.lexer.span(t.start, t.end));
        let starts_entry = matches!(
            self.token.kind,
            Kind::Word | Kind::Text(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Char(_) | Kind::Open(_)
        );
        // `(name "x")`: a field without its colon.
        let word = open == '(' && self.text_of(last).starts_with(|c: char| c.is_ascii_alphabetic());
        let missing = if word {
            "a comma or colon is missing here"
        } else {
            "a comma is missing here"
        };
        if starts_entry {
            let message = format!("expected `,` or `{close}`, found {}", self.shown());
            let mut problem = Diagnostic::error(Code::MissingComma, last.after(), message).here(missing);
            let unclosed = self.text_of(last).contains('\n');
            self.healed += usize::from(whole && !unclosed);
            if unclosed {
                problem = problem.label(
                    last.head(1),
                    "the text that ends there began here: is a closing quote missing?",
                );
            }
            self.out.push(problem);
            return;
        }
        self.expected(&format!("`,` or `{close}`"));
        self.skip_entry();
        self.eat(&Kind::Comma);
    }
}
