//! From the tree to typed values, and back.
//!
//! Decoding never stops at the first problem: every field, item and entry is decoded, and all problems are collected in
//! [`Cx`]. What can't be read leaves a hole in the value around it where that value has room for one (a [`Part`], an entry
//! of a [`Named`]), so that the rest can still be checked for what it means. A field or variant whose name is misspelt is read
//! as the one that was likely meant.
//!
//! [`Part`]: super::Part
//! [`Named`]: super::Named

use super::codes::Code;
use super::describe::Reference;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::Span;
use super::suggest;
use super::tree::{Field, Name, Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What decoding collects.
#[derive(Debug, Default)]
pub struct Cx {
    /// The problems so far.
    pub diagnostics: Diagnostics,
    /// Whether something that the tree should say is missing from it, which was reported: an include that can't be read. Then
    /// a field that isn't there may be there after all, and so may a name.
    pub incomplete: bool,
    /// The places of values of which at least a part isn't known: nobody can say what isn't in them.
    pub open: BTreeSet<Span>,
    /// What misspelt names of fields and variants were taken for, by their places.
    meant: BTreeMap<Span, &'static str>,
}

impl Cx {
    /// A context without problems.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports a problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports that `node` is no `expected` (`a list`, `a duration such as "250ms"`).
    pub fn wrong_shape(&mut self, node: &Node, expected: &str) {
        let message = format!("expected {expected}, found {}", node.found());
        self.push(Diagnostic::error(Code::WrongShape, node.head(), message).here(format!("expected {expected}")));
    }

    /// The variant name that a value starts with, or the one that it was taken for.
    pub fn variant_name<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let (name, span) = node.variant_name()?;
        Some(self.meant.get(&span).copied().unwrap_or(name))
    }

    /// Gives misspelt names in a tree the spelling that they were taken for.
    pub fn correct(&self, root: &mut Node) {
        if !self.meant.is_empty() {
            correct(root, &self.meant);
        }
    }

    /// Reads a value whose name at `span` was taken for `name`. Where its form shows that something else was meant, nothing is
    /// said about it, and it is unread.
    fn as_meant<T: Decode>(&mut self, node: &Node, span: Span, name: &'static str) -> Option<T> {
        self.meant.insert(span, name);
        let outer = std::mem::take(&mut self.diagnostics);
        let value = read(node, self);
        let own = std::mem::replace(&mut self.diagnostics, outer);
        if own.iter().any(|problem| is_about_the_form_of(node, problem)) {
            self.meant.remove(&span);
            self.open.insert(node.span);
            return None;
        }
        self.diagnostics.append(own);
        value
    }
}

/// Whether a problem says that `node` isn't what its place takes, rather than that something inside it is wrong.
fn is_about_the_form_of(node: &Node, problem: &Diagnostic) -> bool {
    match problem.code {
        Code::WrongShape | Code::UnknownVariant | Code::WrongItems | Code::MissingField | Code::BadQuantity => {
            problem.span() == Some(node.head())
        }
        // A field that is only misspelt says nothing against the form.
        Code::UnknownField if problem.helps.is_empty() => match &node.value {
            Value::Struct(_, fields) => fields.iter().any(|field| Some(field.name.span) == problem.span()),
            _ => false,
        },
        _ => false,
    }
}

fn correct(node: &mut Node, meant: &BTreeMap<Span, &'static str>) {
    let name = |name: &mut Name| {
        if let Some(right) = meant.get(&name.span) {
            name.text = (*right).to_string();
        }
    };
    match &mut node.value {
        Value::Word(word) => {
            if let Some(right) = meant.get(&node.span) {
                *word = (*right).to_string();
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| correct(item, meant)),
        Value::Tuple(variant, items) => {
            variant.iter_mut().for_each(|variant| name(variant));
            items.iter_mut().for_each(|item| correct(item, meant));
        }
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| correct(value, meant)),
        Value::Struct(variant, fields) => {
            variant.iter_mut().for_each(|variant| name(variant));
            for field in fields {
                name(&mut field.name);
                correct(&mut field.value, meant);
            }
        }
        _ => {}
    }
}

/// A type of the language: how it is read, and what the reference says about it.
pub trait Decode: Sized {
    /// Reads the value, reporting every problem inside it. `None`: nothing of it could be read. A value may have holes, if
    /// its type has room for them; it has none if no problem was reported and the tree is complete.
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self>;

    /// The value of a field of this type that isn't there. `None`: the field is required.
    fn absent() -> Option<Self> {
        None
    }

    /// What stands for a value that couldn't be read. `None`: then what it is in can't be read either.
    fn unread() -> Option<Self> {
        None
    }

    /// Puts what a value of this type is made of into canonical order: fields as they are declared, entries of maps by their
    /// keys. What is no such value stays as it is.
    fn arrange(_node: &mut Node) {}

    /// What the reference calls the type: `text`, `list of duration`, `Service`.
    fn type_name() -> String;

    /// Adds the type, and all that it is made of, to the reference.
    fn describe(_reference: &mut Reference) {}

    /// Adds the names of the variants, where the type is a choice.
    fn variant_names(_names: &mut Vec<&'static str>) {}

    /// Whether the type has a variant of this name.
    fn has_variant(name: &str) -> bool {
        let mut names = Vec::new();
        Self::variant_names(&mut names);
        names.contains(&name)
    }
}

/// Reads a value, unless it is known that it can't be read.
pub fn read<T: Decode>(node: &Node, cx: &mut Cx) -> Option<T> {
    let value = match node.value {
        Value::Unread => None,
        _ => T::decode(node, cx),
    };
    if value.is_none() {
        cx.open.insert(node.span);
    }
    value.or_else(T::unread)
}

/// A type that can be written in the language. Decoding what was written gives an equal value.
pub trait Encode {
    /// The value as a tree.
    fn encode(&self) -> Node;
}

/// Reads a text of the language: for tests and defaults.
///
/// # Errors
/// The problems, if there are any.
pub fn from_text<T: Decode>(text: &str) -> Result<T, Diagnostics> {
    let mut map = super::source::SourceMap::new();
    let mut cx = Cx::new();
    let id = map.add("text", text);
    let node = super::parser::parse(text, id, &super::parser::Limits::default(), &mut cx.diagnostics);
    match node.and_then(|node| T::decode(&node, &mut cx)) {
        Some(value) if !cx.diagnostics.has_errors() => Ok(value),
        _ => Err(cx.diagnostics),
    }
}

/// The shortest text of a value.
pub fn to_text<T: Encode + ?Sized>(value: &T) -> String {
    super::write::compact(&value.encode())
}

/// A field that was found, and what its name was taken for if it is misspelt.
type Found<'n> = (&'n Field, Option<&'static str>);

/// The fields of a struct while they are decoded. Made for [`crate::language!`]; fields are asked for in the order of
/// `names`.
#[derive(Debug)]
pub struct Fields<'n> {
    found: Vec<Option<Found<'n>>>,
    names: &'static [&'static str],
    next: usize,
    missing: Vec<&'static str>,
    /// Whether there is a field of which nobody knows what was meant: it may be any that isn't there.
    doubtful: bool,
    what: &'static str,
    place: Span,
}

impl<'n> Fields<'n> {
    /// Opens a struct: `(a: 1)` or `()`, with the type's name in front if somebody likes that.
    pub fn of_struct(node: &'n Node, cx: &mut Cx, what: &'static str, names: &'static [&'static str]) -> Option<Self> {
        let (name, fields) = match &node.value {
            Value::Struct(name, fields) => (name, fields.as_slice()),
            Value::Tuple(name, items) if items.is_empty() => (name, &[][..]),
            _ => {
                let example = names.first().map_or("()".into(), |n| format!("({n}: ...)"));
                cx.wrong_shape(node, &format!("{} `{example}`", article(what)));
                return None;
            }
        };
        if let Some(name) = name.as_deref().filter(|n| n.text != what) {
            let message = format!(
                "expected {}, found `{}(...)`",
                article(what),
                super::tree::shortened(&name.text)
            );
            let problem = Diagnostic::error(Code::WrongShape, name.span, message);
            cx.push(problem.replace("leave the name out", name.span, ""));
            return None;
        }
        Some(Self::collect(node, fields, cx, what, names))
    }

    /// Opens the fields of a variant `What(a: 1)`.
    pub fn of_variant(node: &'n Node, cx: &mut Cx, what: &'static str, names: &'static [&'static str]) -> Option<Self> {
        let fields = match &node.value {
            Value::Struct(_, fields) => fields.as_slice(),
            Value::Word(_) => &[],
            Value::Tuple(_, items) => match items.as_slice() {
                [] => &[],
                // `What((a: 1))`: what serde's newtype variants look like.
                [
                    Node {
                        value: Value::Struct(None, fields),
                        ..
                    },
                ] => fields.as_slice(),
                _ => {
                    let names = names.iter().map(|n| format!("{n}: ...")).collect::<Vec<_>>().join(", ");
                    let message = format!("`{what}` takes named arguments");
                    let problem = Diagnostic::error(Code::WrongItems, node.head(), message);
                    cx.push(problem.help(format!("write `{what}({names})`")));
                    return None;
                }
            },
            _ => {
                cx.wrong_shape(node, &format!("`{what}(...)`"));
                return None;
            }
        };
        Some(Self::collect(node, fields, cx, what, names))
    }

    fn collect(
        node: &'n Node,
        fields: &'n [Field],
        cx: &mut Cx,
        what: &'static str,
        names: &'static [&'static str],
    ) -> Self {
        let mut this = Self {
            found: vec![None; names.len()],
            names,
            next: 0,
            missing: Vec::new(),
            doubtful: false,
            what,
            place: node.head(),
        };
        let mut unknown = Vec::new();
        for field in fields {
            let Some(index) = names.iter().position(|n| *n == field.name.text) else {
                unknown.push(field);
                continue;
            };
            if let Some((first, _)) = this.found[index] {
                let message = format!("`{}` stands twice in this {what}", field.name.text);
                let problem = Diagnostic::error(Code::DuplicateField, field.name.span, message);
                cx.push(problem.label(first.name.span, "it stood here first"));
                continue;
            }
            this.found[index] = Some((field, None));
        }
        // Once all that are there are known: a field that stands there already can't be what was meant.
        for field in unknown {
            let problem = this.unknown(field, cx.diagnostics.is_full());
            cx.push(problem);
        }
        if this.doubtful {
            cx.open.insert(node.span);
        }
        this
    }

    /// What is to be said about an unknown field, which from now on stands for the one that was likely meant.
    fn unknown(&mut self, field: &'n Field, brief: bool) -> Diagnostic {
        let name = &field.name;
        let message = format!(
            "{} has no field `{}`",
            article(self.what),
            super::tree::shortened(&name.text)
        );
        let mut problem = Diagnostic::error(Code::UnknownField, name.span, message).here("unknown field");
        if brief {
            self.doubtful = true;
            return problem;
        }
        let free = (0..self.names.len()).filter(|at| self.found[*at].is_none());
        let near = suggest::nearest(&name.text, free.map(|at| self.names[at]));
        match near.and_then(|near| self.names.iter().position(|name| *name == near)) {
            Some(at) => {
                let near = self.names[at];
                problem = problem.replace(format!("did you mean `{near}`?"), name.span, near);
                self.found[at] = Some((field, Some(near)));
            }
            None => self.doubtful = true,
        }
        problem.note(match self.names {
            [] => "it has no fields at all".to_string(),
            names => format!("its fields are {}", suggest::listed(names.iter().copied())),
        })
    }

    /// The value of the next field, or what its absence means. `None`: it can't be read, and has no room for saying so.
    fn take<T: Decode>(&mut self, cx: &mut Cx, absent: impl FnOnce() -> Option<T>) -> Option<T> {
        let (name, found) = (self.names[self.next], self.found[self.next]);
        self.next += 1;
        let value = match found {
            Some((field, None)) => read(&field.value, cx),
            Some((field, Some(meant))) => cx.as_meant(&field.value, field.name.span, meant),
            None => {
                let absent = absent();
                if absent.is_none() && !cx.incomplete {
                    self.missing.push(name);
                }
                absent.filter(|_| !self.doubtful && !cx.incomplete)
            }
        };
        value.or_else(T::unread)
    }

    /// The next field, which has to be there unless its type knows what its absence means.
    pub fn required<T: Decode>(&mut self, cx: &mut Cx) -> Option<T> {
        self.take(cx, T::absent)
    }

    /// The next field, or its default.
    pub fn or_else<T: Decode>(&mut self, cx: &mut Cx, default: impl FnOnce() -> T) -> Option<T> {
        self.take(cx, || Some(default()))
    }

    /// Reports what is missing.
    pub fn finish(self, cx: &mut Cx) {
        if self.missing.is_empty() {
            return;
        }
        let s = if self.missing.len() == 1 { "" } else { "s" };
        let listed = suggest::listed(self.missing.iter().copied());
        let message = format!("this {} lacks the field{s} {listed}", self.what);
        cx.push(Diagnostic::error(Code::MissingField, self.place, message).here(format!("{listed} missing")));
    }
}

/// Help for [`crate::language!`]: the items of a variant `What(a, b)`, if there are `count` of them.
pub fn variant_items<'n>(node: &'n Node, cx: &mut Cx, what: &str, count: usize) -> Option<&'n [Node]> {
    if let Value::Tuple(_, items) = &node.value
        && items.len() == count
    {
        return Some(items);
    }
    let form = (0..count).map(|_| "...").collect::<Vec<_>>().join(", ");
    let message = match count {
        1 => format!("`{what}` takes one unnamed argument"),
        _ => format!("`{what}` takes {count} unnamed arguments"),
    };
    cx.push(Diagnostic::error(Code::WrongItems, node.head(), message).help(format!("write `{what}({form})`")));
    None
}

/// Help for [`crate::language!`]: decodes the one payload of `What(...)`, which may be written in place:
/// `What((a: 1))` or `What(a: 1)`.
pub fn variant_payload<T: Decode>(node: &Node, cx: &mut Cx, what: &str) -> Option<T> {
    match &node.value {
        Value::Struct(_, fields) => T::decode(
            &Node {
                span: node.span,
                value: Value::Struct(None, fields.clone()),
            },
            cx,
        ),
        Value::Tuple(_, items) if items.is_empty() && T::absent().is_some() => T::absent(),
        Value::Word(_) if T::absent().is_some() => T::absent(),
        _ => read(&variant_items(node, cx, what, 1)?[0], cx),
    }
}

/// Help for [`crate::language!`]: decodes the payload of the variant whose name may be left out. Where that fails at once,
/// the problem also says that there are the variants `names`.
pub fn bare_payload<T: Decode>(node: &Node, cx: &mut Cx, names: &[&'static str]) -> Option<T> {
    let before = cx.diagnostics.error_count();
    let value = T::decode(node, cx);
    let mut own = Vec::new();
    T::variant_names(&mut own);
    // A payload that is a choice itself has said what is possible.
    if cx.diagnostics.error_count() == before + 1 && own.is_empty() {
        let meant = match &node.value {
            Value::Text(text) => suggest::nearest(text, names.iter().copied()),
            _ => None,
        };
        cx.diagnostics.amend_last(|problem| match meant {
            _ if problem.code != Code::WrongShape || problem.span() != Some(node.head()) => problem,
            Some(near) => problem.replace("variants stand without quotes", node.span, near),
            None => problem.note(format!(
                "or one of the variants {}",
                suggest::listed(names.iter().copied())
            )),
        });
    }
    value
}

/// Help for [`crate::language!`]: refuses arguments behind a variant that takes none.
pub fn variant_unit(node: &Node, cx: &mut Cx, what: &str) -> Option<()> {
    match &node.value {
        Value::Word(_) => Some(()),
        Value::Tuple(_, items) if items.is_empty() => Some(()),
        _ => {
            let problem = Diagnostic::error(Code::WrongItems, node.head(), format!("`{what}` takes no arguments"));
            cx.push(problem.replace("leave them out", node.span, what));
            None
        }
    }
}

/// Help for [`crate::language!`]: reports that `node` is none of the variants of `what`, and reads it as the one that was
/// likely meant.
pub fn unknown_variant<T: Decode>(node: &Node, cx: &mut Cx, what: &str) -> Option<T> {
    let mut names = Vec::new();
    T::variant_names(&mut names);
    let listed = suggest::listed(names.iter().copied());
    let Some((name, span)) = node.variant_name() else {
        let message = format!("expected {}, found {}", article(what), node.found());
        let mut problem = Diagnostic::error(Code::WrongShape, node.head(), message);
        if let Value::Text(text) = &node.value
            && let Some(near) = suggest::nearest(text, names.iter().copied())
        {
            problem = problem.replace("variants stand without quotes", node.span, near);
        }
        cx.push(problem.note(format!("it is one of {listed}")));
        return None;
    };
    let message = format!("there is no {what} `{}`", super::tree::shortened(name));
    let mut problem = Diagnostic::error(Code::UnknownVariant, span, message).here("unknown variant");
    if cx.diagnostics.is_full() {
        cx.push(problem);
        return None;
    }
    let near = suggest::nearest(name, names.iter().copied());
    if let Some(near) = near {
        problem = problem.replace(format!("did you mean `{near}`?"), span, near);
    }
    cx.push(problem.note(format!("it is one of {listed}")));
    let near = names.into_iter().find(|name| Some(*name) == near)?;
    cx.as_meant(node, span, near)
}

/// The name of a type with its article: `a Service`, `an Agent`.
fn article(what: &str) -> String {
    let an = what.starts_with(['A', 'E', 'I', 'O']);
    format!("{} {what}", if an { "an" } else { "a" })
}
