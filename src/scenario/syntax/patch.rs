//! Paths into a tree, and setting what they name: `--set path=value`, and the `Set` of variants.
//!
//! A path is names and indices: `services.search.at`, `agents.researcher.program[0].times`, `services."my search".servers`.
//! A name is a field of a struct or a key of a map. The last name may be new (an optional field that the file leaves out);
//! all before it must exist. Inside `program[0]`, the arguments of a variant are its fields, and `[0]` its first unnamed one.

use super::codes::Code;
use super::decode::{Cx, Decode, Encode};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::parser::{Limits, parse};
use super::source::{SourceId, SourceMap, Span};
use super::suggest;
use super::tree::{Field, Name, Node, Value, shortened};
use super::write::quoted;
use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field or key.
    Name(String),
    /// An item of a list, or an unnamed argument.
    Index(usize),
}

/// A way from the top of a scenario to one of its values. Equal if the steps are.
#[derive(Debug, Clone)]
pub struct Path {
    steps: Vec<Step>,
    /// For each step, the bytes of the text it was read from.
    ranges: Vec<(usize, usize)>,
}

/// Why a text is no path, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// What is wrong.
    pub message: String,
    /// The byte where it is.
    pub at: usize,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps
    }
}

impl Eq for Path {}

impl Path {
    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Reads the path at the start of `text`, and says where it ends: at the end or before a `=`.
    fn read(text: &str) -> Result<(Self, usize), PathError> {
        let fail = |message: &str, at| {
            Err(PathError {
                message: message.into(),
                at,
            })
        };
        let bytes = text.as_bytes();
        let (mut steps, mut ranges, mut at) = (Vec::new(), Vec::new(), 0);
        loop {
            at += text[at..].len() - text[at..].trim_start().len();
            let start = at;
            match bytes.get(at) {
                Some(b'"') => {
                    let mut own = Diagnostics::new();
                    let Some((name, end)) = quoted_name(&text[at..], &mut own) else {
                        return fail("a quoted name is never closed, or has a wrong escape", at);
                    };
                    at += end;
                    steps.push(Step::Name(name));
                }
                Some(b'[') if !steps.is_empty() => {
                    let Some(len) = text[at..].find(']') else {
                        return fail("`[` is never closed", at);
                    };
                    let Ok(index) = text[at + 1..at + len].trim().parse() else {
                        return fail("an index is a whole number from zero: `[0]`", at);
                    };
                    at += len + 1;
                    steps.push(Step::Index(index));
                }
                _ => {
                    let len = text[at..].find(['.', '[', ']', '=', '"']).unwrap_or(text.len() - at);
                    let name = text[at..at + len].trim();
                    if name.is_empty() {
                        return fail("a name is missing here", at);
                    }
                    at += len;
                    steps.push(Step::Name(name.to_string()));
                }
            }
            ranges.push((start, at));
            at += text[at..].len() - text[at..].trim_start().len();
            match bytes.get(at) {
                None | Some(b'=') => return Ok((Self { steps, ranges }, at)),
                Some(b'.') => at += 1,
                Some(b'[') => {}
                Some(_) => return fail("expected `.`, `[` or `=` here", at),
            }
        }
    }

    /// The path with the number that stands at this step as the number of an item.
    fn with_index(&self, at: usize) -> Option<String> {
        let Step::Name(name) = &self.steps[at] else { return None };
        let mut meant = Self {
            steps: self.steps.clone(),
            ranges: Vec::new(),
        };
        meant.steps[at] = Step::Index(name.parse().ok()?);
        Some(meant.to_string())
    }

    /// The first `count` steps as a text.
    fn prefix(&self, count: usize) -> String {
        Self {
            steps: self.steps[..count].to_vec(),
            ranges: Vec::new(),
        }
        .to_string()
    }
}

/// The name in quotes at the start of `text`, and the bytes it takes.
fn quoted_name(text: &str, out: &mut Diagnostics) -> Option<(String, usize)> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    })?;
    let end = end.0 + 1;
    match parse(&text[..end], Default::default(), &Limits::default(), out)?.value {
        Value::Text(name) => Some((name, end)),
        _ => None,
    }
}

impl std::str::FromStr for Path {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        match Self::read(text)? {
            (path, end) if end == text.len() => Ok(path),
            (_, at) => Err(PathError {
                message: "a path holds no `=`".into(),
                at,
            }),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    let plain =
                        !name.is_empty() && !name.contains(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
                    f.write_str(if at > 0 { "." } else { "" })?;
                    f.write_str(&if plain { name.clone() } else { quoted(name) })?;
                }
            }
        }
        Ok(())
    }
}

impl Decode for Path {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = String::decode(node, cx)?;
        text.parse()
            .map_err(|e: PathError| cx.push(Diagnostic::error(Code::BadOverride, node.span, e.message)))
            .ok()
    }
    fn type_name() -> String {
        "path (`\"services.search.at\"`)".into()
    }
}

impl Encode for Path {
    fn encode(&self) -> Node {
        Node::text(self.to_string())
    }
}

/// What the source of an override is called.
pub const OVERRIDE: &str = "--set";

/// A change that the command line asks for.
#[derive(Debug, Clone)]
pub struct Override {
    path: Path,
    value: Node,
    source: SourceId,
}

/// Reads `path=value`; the text becomes a source of its own, so that problems of the value point into it.
///
/// The value is a value of the language; a bare word or quantity that isn't is taken as a text. `None`: the path can't be
/// read, which was reported. A value that can't be is [`Value::Unread`].
pub fn read_override(text: &str, limits: &Limits, map: &mut SourceMap, out: &mut Diagnostics) -> Option<Override> {
    let source = map.add(OVERRIDE, text);
    let (path, at) = match Path::read(text) {
        Ok(read) => read,
        Err(error) => {
            let span = Span::new(source, error.at, text.len().max(error.at));
            let problem = Diagnostic::error(Code::BadOverride, span, error.message);
            out.push(problem.help("an override is `path=value`: services.search.at=tools"));
            return None;
        }
    };
    if !text[at..].starts_with('=') {
        let problem = Diagnostic::error(
            Code::BadOverride,
            Span::new(source, 0, text.len()),
            "expected `=` and a value",
        );
        out.push(problem.help(format!("write {path}=value")));
        return None;
    }
    let start = at + 1;
    // Blanks keep the value's place in the text; the path is ASCII-blanked byte by byte.
    let masked = format!("{}{}", " ".repeat(start), &text[start..]);
    let mut own = Diagnostics::new();
    let value = match parse(&masked, source, limits, &mut own) {
        Some(Node {
            value: Value::Word(word),
            span,
        }) if !word.starts_with(|c: char| c.is_ascii_uppercase()) => Node {
            span,
            value: Value::Text(word),
        },
        Some(node) => node,
        None => {
            let raw = text[start..].trim();
            let bare = !raw.is_empty() && !raw.contains(['(', ')', '[', ']', '{', '}', '"', '\'', ',', ':', '\n']);
            let from = start + (text[start..].len() - text[start..].trim_start().len());
            let value = match bare {
                true => Value::Text(raw.to_string()),
                false => {
                    out.append(own);
                    Value::Unread
                }
            };
            Node {
                span: Span::new(source, from, from + raw.len()),
                value,
            }
        }
    };
    Some(Override { path, value, source })
}

impl Override {
    /// Puts the value where the path leads.
    ///
    /// # Errors
    /// The path leads to nothing; the tree is as it was.
    pub fn apply(&self, root: &mut Node, limits: &Limits) -> Result<(), SetError> {
        let last = self.path.steps.len() - 1;
        set(root, &self.path, self.value.clone(), self.place(last), limits)
    }

    /// Where a step of the path is written.
    pub fn place(&self, step: usize) -> Span {
        let (from, to) = self.path.ranges[step];
        Span::new(self.source, from, to)
    }
}

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetError {
    /// The step that fails.
    pub step: usize,
    code: Code,
    message: String,
    near: Option<String>,
    note: String,
    /// The value in which there is nothing of the step's name or number.
    pub inside: Span,
}

impl SetError {
    /// The diagnostic, where `span` is the text of the step or of the whole path.
    pub fn diagnostic(self, span: Span) -> Diagnostic {
        let mut problem = Diagnostic::error(self.code, span, self.message);
        if let Some(near) = self.near {
            problem = problem.help(format!("did you mean `{near}`?"));
        }
        problem.note(self.note)
    }
}

/// Puts `value` where `path` leads. `named` is where the path's last name was written: a field that is new gets it as its
/// place.
///
/// # Errors
/// The path leads to nothing, or what it makes would be too deep. The tree is as it was.
pub fn set(root: &mut Node, path: &Path, value: Node, named: Span, limits: &Limits) -> Result<(), SetError> {
    if path.steps.len() + value.depth() > limits.depth {
        let message = format!("more than {} brackets inside each other", limits.depth);
        return Err(SetError {
            step: 0,
            code: Code::TooDeep,
            message,
            near: None,
            note: "the override would nest so".into(),
            inside: root.span,
        });
    }
    let last = path.steps.len() - 1;
    let mut node = root;
    for (at, step) in path.steps.iter().enumerate() {
        if matches!(step, Step::Name(_)) {
            node = payload(node);
        }
        // `()` and `Name` can get fields.
        if let (Step::Name(name), true) = (step, at == last) {
            open_up(node, name);
        }
        let missing = match find(node, step) {
            Some(_) => None,
            None => Some(describe(node, path, at)),
        };
        let inside = match (missing, step, &mut node.value) {
            (None, step, value) => find_in(value, step).expect("found above"),
            (Some(_), Step::Name(name), Value::Struct(_, fields)) if at == last => {
                fields.push(Field {
                    name: Name {
                        text: name.clone(),
                        span: named,
                    },
                    value,
                });
                return Ok(());
            }
            (Some(_), Step::Name(name), Value::Map(entries)) if at == last => {
                entries.push((
                    Node {
                        span: named,
                        value: Value::Text(name.clone()),
                    },
                    value,
                ));
                return Ok(());
            }
            (Some(error), ..) => return Err(error),
        };
        node = inside;
    }
    *node = value;
    Ok(())
}

/// What stands where `path` leads, if anything does.
pub fn get<'n>(root: &'n Node, path: &Path) -> Option<&'n Node> {
    let mut node = root;
    for step in &path.steps {
        if let (Step::Name(_), Value::Tuple(Some(_), items)) = (step, &node.value)
            && let [only] = items.as_slice()
            && matches!(only.value, Value::Struct(..) | Value::Map(_))
        {
            node = only;
        }
        node = find(node, step)?;
    }
    Some(node)
}

/// Makes a struct of what can have fields but has none yet.
fn open_up(node: &mut Node, name: &str) {
    let variant = match &mut node.value {
        Value::Tuple(variant, items) if items.is_empty() => variant.take(),
        // A bare word gets arguments only if a field is set: `Exponential` to `Exponential(mean: ...)`.
        Value::Word(word) if word != "None" && !name.is_empty() => Some(Box::new(Name {
            text: word.clone(),
            span: node.span,
        })),
        _ => return,
    };
    node.value = Value::Struct(variant, Vec::new());
}

fn find<'n>(node: &'n Node, step: &Step) -> Option<&'n Node> {
    match (&node.value, step) {
        (Value::Struct(_, fields), Step::Name(name)) => fields.iter().find(|f| f.name.text == *name).map(|f| &f.value),
        (Value::Map(entries), Step::Name(name)) => entries.iter().find(|(k, _)| is_text(k, name)).map(|(_, v)| v),
        (Value::List(items) | Value::Tuple(_, items), Step::Index(index)) => items.get(*index),
        _ => None,
    }
}

fn find_in<'n>(value: &'n mut Value, step: &Step) -> Option<&'n mut Node> {
    match (value, step) {
        (Value::Struct(_, fields), Step::Name(name)) => {
            fields.iter_mut().find(|f| f.name.text == *name).map(|f| &mut f.value)
        }
        (Value::Map(entries), Step::Name(name)) => entries.iter_mut().find(|(k, _)| is_text(k, name)).map(|(_, v)| v),
        (Value::List(items), Step::Index(index)) => items.get_mut(*index),
        (Value::Tuple(_, items), Step::Index(index)) => items.get_mut(*index),
        _ => None,
    }
}

/// What names lead into: the one payload of `Some((a: 1))` or `Set({"a": 1})`, else the node itself. One step leads through
/// one payload only, so that the length of a path bounds the depth it reaches.
fn payload(node: &mut Node) -> &mut Node {
    let keyed = |n: &Node| matches!(n.value, Value::Struct(..) | Value::Map(_));
    if matches!(&node.value, Value::Tuple(Some(_), items) if items.len() == 1 && keyed(&items[0])) {
        let Value::Tuple(_, items) = &mut node.value else {
            unreachable!("matched above")
        };
        return &mut items[0];
    }
    node
}

fn is_text(key: &Node, name: &str) -> bool {
    matches!(&key.value, Value::Text(text) if text == name)
}

/// Says how far a path leads, and what stands there.
fn describe(node: &Node, path: &Path, at: usize) -> SetError {
    let there = if at == 0 {
        "the top of the scenario".to_string()
    } else {
        format!("`{}`", path.prefix(at))
    };
    let error = |code, message: String, near, note| SetError {
        step: at,
        code,
        message,
        near,
        note,
        inside: node.span,
    };
    match (&path.steps[at], &node.value) {
        (Step::Index(index), Value::List(items) | Value::Tuple(_, items)) => {
            let note = format!(
                "{there} has {} item{}, counted from zero",
                items.len(),
                if items.len() == 1 { "" } else { "s" }
            );
            error(Code::WrongIndex, format!("there is no item [{index}]"), None, note)
        }
        (Step::Index(index), _) => {
            let note = format!("{there} is {}", node.found());
            error(
                Code::UnknownPath,
                format!("there is no item [{index}]: this is no list"),
                None,
                note,
            )
        }
        (Step::Name(name), value) => {
            let names: Vec<&str> = match value {
                Value::Struct(_, fields) => fields.iter().map(|f| f.name.text.as_str()).collect(),
                Value::Map(entries) => entries
                    .iter()
                    .filter_map(|(k, _)| match &k.value {
                        Value::Text(text) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect(),
                Value::List(items) | Value::Tuple(_, items) if name.bytes().all(|b| b.is_ascii_digit()) => {
                    let message = format!(
                        "there is no `{}`: items of a list are named `[0]`, `[1]` ...",
                        shortened(name)
                    );
                    let note = format!(
                        "{there} is {}; it has {} item{}, counted from zero",
                        node.found(),
                        items.len(),
                        if items.len() == 1 { "" } else { "s" }
                    );
                    return error(Code::UnknownPath, message, path.with_index(at), note);
                }
                _ => {
                    let note = format!("{there} is {}, which has no names in it", node.found());
                    return error(
                        Code::UnknownPath,
                        format!("there is no `{}`", shortened(name)),
                        None,
                        note,
                    );
                }
            };
            let near = suggest::nearest(name, names.iter().copied()).map(str::to_string);
            let mut note = format!("{there} exists and has {}", suggest::listed(names));
            if near.is_none() && at + 1 < path.steps.len() {
                note.push_str(&format!(
                    "; a path leads through what stands there: `{}: {{}}` makes an empty one",
                    shortened(name)
                ));
            }
            error(
                Code::UnknownPath,
                format!("there is no `{}`", shortened(name)),
                near,
                note,
            )
        }
    }
}
