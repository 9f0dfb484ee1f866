//! How the plain types are read and written: numbers, texts, lists, maps.

use super::codes::Code;
use super::decode::{Cx, Decode, Encode};
use super::describe::Reference;
use super::diagnostic::Diagnostic;
use super::source::Span;
use super::suggest;
use super::tree::{Node, Value, shortened};
use std::ops::Deref;

/// A value that knows where it was written, for checks of meaning that come later. Equal if the values are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands; empty and at the start of the first source for values made by a program.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value with a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> From<T> for Spanned<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            span: Span::default(),
        }
    }
}

impl From<&str> for Spanned<String> {
    fn from(value: &str) -> Self {
        value.to_string().into()
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        Some(Self {
            value: T::decode(node, cx)?,
            span: node.span,
        })
    }
    fn absent() -> Option<Self> {
        T::absent().map(Self::from)
    }
    fn type_name() -> String {
        T::type_name()
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
    fn variant_names(names: &mut Vec<&'static str>) {
        T::variant_names(names);
    }
}

impl<T: Encode> Encode for Spanned<T> {
    fn encode(&self) -> Node {
        self.value.encode()
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        T::decode(node, cx).map(Box::new)
    }
    fn absent() -> Option<Self> {
        T::absent().map(Box::new)
    }
    fn type_name() -> String {
        T::type_name()
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
    fn variant_names(names: &mut Vec<&'static str>) {
        T::variant_names(names);
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self) -> Node {
        (**self).encode()
    }
}

/// `None`, `Some(value)` or, as everywhere in the language, simply the value.
impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Word(word) if word == "None" => Some(None),
            Value::Tuple(Some(name), items) if name.text == "Some" && items.len() == 1 => {
                T::decode(&items[0], cx).map(Some)
            }
            _ => T::decode(node, cx).map(Some),
        }
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn type_name() -> String {
        T::type_name()
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
    fn variant_names(names: &mut Vec<&'static str>) {
        T::variant_names(names);
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self) -> Node {
        match self {
            Some(value) => value.encode(),
            None => Node::made(Value::Word("None".into())),
        }
    }
}

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Bool(b) => Some(*b),
            _ => {
                cx.wrong_shape(node, "`true` or `false`");
                None
            }
        }
    }
    fn type_name() -> String {
        "`true` or `false`".into()
    }
}

impl Encode for bool {
    fn encode(&self) -> Node {
        Node::made(Value::Bool(*self))
    }
}

macro_rules! integers {
    ($($ty:ty, $what:literal;)*) => {$(
        impl Decode for $ty {
            fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
                match &node.value {
                    Value::Integer(i) => Self::try_from(*i).map_err(|_| {
                        let message = format!("{i} is out of range: expected {}", $what);
                        let problem = Diagnostic::error(Code::OutOfRange, node.span, message);
                        cx.push(problem.note(format!("it lies between {} and {}", Self::MIN, Self::MAX)));
                    }).ok(),
                    Value::Float(f) => {
                        let message = format!("expected {}, found {f:?}", $what);
                        let mut problem = Diagnostic::error(Code::OutOfRange, node.span, message);
                        if *f == f.trunc() && f.abs() < 1e15 && *f >= Self::MIN as f64 {
                            problem = problem.replace("write it without a point", node.span, format!("{}", *f as i64));
                        }
                        cx.push(problem);
                        None
                    }
                    _ => {
                        cx.wrong_shape(node, $what);
                        None
                    }
                }
            }
            fn type_name() -> String {
                $what.strip_prefix("a ").unwrap_or($what).into()
            }
        }

        impl Encode for $ty {
            fn encode(&self) -> Node {
                Node::made(Value::Integer(*self as i128))
            }
        }
    )*};
}

integers! {
    u8, "a whole number";
    u16, "a whole number";
    u32, "a whole number";
    u64, "a whole number";
    usize, "a whole number";
    i32, "a whole number, negative or not";
    i64, "a whole number, negative or not";
}

/// Finite numbers, with or without a point.
impl Decode for f64 {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Integer(i) => Some(*i as f64),
            Value::Float(f) if f.is_finite() => Some(*f),
            Value::Float(f) => {
                cx.push(Diagnostic::error(
                    Code::NotFinite,
                    node.span,
                    format!("expected a finite number, found {f}"),
                ));
                None
            }
            _ => {
                cx.wrong_shape(node, "a number");
                None
            }
        }
    }
    fn type_name() -> String {
        "number".into()
    }
}

impl Encode for f64 {
    fn encode(&self) -> Node {
        Node::made(Value::Float(*self))
    }
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Word(word) => {
                let message = format!("expected a text, found {}", node.found());
                let problem = Diagnostic::error(Code::WrongShape, node.span, message);
                cx.push(problem.replace("text stands in quotes", node.span, super::write::quoted(word)));
                None
            }
            _ => {
                cx.wrong_shape(node, "a text in quotes");
                None
            }
        }
    }
    fn type_name() -> String {
        "text".into()
    }
}

impl Encode for String {
    fn encode(&self) -> Node {
        Node::text(self)
    }
}

/// Decodes all items, and reports the problems of all.
fn decode_all<T: Decode>(items: &[Node], cx: &mut Cx) -> Option<Vec<T>> {
    let decoded: Vec<T> = items.iter().filter_map(|item| T::decode(item, cx)).collect();
    (decoded.len() == items.len()).then_some(decoded)
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::List(items) => decode_all(items, cx),
            _ => {
                cx.wrong_shape(node, &format!("a list `[...]` ({})", Self::type_name()));
                None
            }
        }
    }
    fn type_name() -> String {
        format!("list of {}", T::type_name())
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self) -> Node {
        Node::made(Value::List(self.iter().map(Encode::encode).collect()))
    }
}

/// A list that may be written without brackets when it has one item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::List(items) => decode_all(items, cx).map(Self),
            _ => T::decode(node, cx).map(|one| Self(vec![one])),
        }
    }
    fn type_name() -> String {
        format!("{0}, or list of {0}", T::type_name())
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
    fn variant_names(names: &mut Vec<&'static str>) {
        T::variant_names(names);
    }
}

impl<T: Encode> Encode for OneOrMany<T> {
    fn encode(&self) -> Node {
        match self.0.as_slice() {
            [one] => one.encode(),
            many => Node::made(Value::List(many.iter().map(Encode::encode).collect())),
        }
    }
}

macro_rules! tuples {
    ($($count:literal: $($name:ident . $index:tt),+;)*) => {$(
        impl<$($name: Decode),+> Decode for ($($name,)+) {
            fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
                match &node.value {
                    Value::Tuple(None, items) if items.len() == $count => {
                        let decoded = ($($name::decode(&items[$index], cx),)+);
                        Some(($(decoded.$index?,)+))
                    }
                    _ => {
                        cx.wrong_shape(node, &Self::type_name());
                        None
                    }
                }
            }
            fn type_name() -> String {
                format!("({})", [$($name::type_name()),+].join(", "))
            }
            fn describe(reference: &mut Reference) {
                $($name::describe(reference);)+
            }
        }

        impl<$($name: Encode),+> Encode for ($($name,)+) {
            fn encode(&self) -> Node {
                Node::made(Value::Tuple(None, vec![$(self.$index.encode()),+]))
            }
        }
    )*};
}

tuples! {
    2: A.0, B.1;
    3: A.0, B.1, C.2;
    4: A.0, B.1, C.2, D.3;
}

/// A map from names to values: each name once, in the order of the file. Equal if the same names have equal values.
#[derive(Debug, Clone)]
pub struct Named<T> {
    entries: Vec<(Spanned<String>, T)>,
    /// Indices of the entries by name.
    sorted: Vec<u32>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            sorted: Vec::new(),
        }
    }
}

impl<T> Named<T> {
    /// Takes entries that all have different names; otherwise gives back the first two places that share one.
    ///
    /// # Errors
    /// The indices of the first entry that repeats a name, and of the entry that had it before.
    pub fn new(entries: Vec<(Spanned<String>, T)>) -> Result<Self, (usize, usize)> {
        let mut sorted: Vec<u32> = (0..entries.len() as u32).collect();
        sorted.sort_by(|a, b| {
            entries[*a as usize]
                .0
                .value
                .cmp(&entries[*b as usize].0.value)
                .then(a.cmp(b))
        });
        let same = |w: &&[u32]| entries[w[0] as usize].0.value == entries[w[1] as usize].0.value;
        if let Some(w) = sorted.windows(2).filter(same).min_by_key(|w| w[1]) {
            return Err((w[1] as usize, w[0] as usize));
        }
        Ok(Self { entries, sorted })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Spanned<String>, &T)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// The entries by name, so that their order in the file changes nothing.
    pub fn canonical(&self) -> impl ExactSizeIterator<Item = (&Spanned<String>, &T)> {
        self.sorted.iter().map(|&i| {
            let (name, value) = &self.entries[i as usize];
            (name, value)
        })
    }

    /// The names in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.value.as_str())
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.position(name).map(|at| &self.entries[self.sorted[at] as usize].1)
    }

    /// The place of this name in [`Named::canonical`]'s order: a dense id that no reordering of the file changes.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.sorted
            .binary_search_by(|&i| self.entries[i as usize].0.value.as_str().cmp(name))
            .ok()
    }

    /// The value of a name that somebody wrote elsewhere, or a diagnostic with the nearest names, where `what` is what
    /// the entries are: `service`.
    ///
    /// # Errors
    /// There is no such name.
    pub fn look_up(&self, name: &Spanned<String>, code: Code, what: &str) -> Result<&T, Diagnostic> {
        self.get(name)
            .ok_or_else(|| unknown_name(name, self.names(), code, what))
    }
}

/// The diagnostic for a reference to a name that isn't declared.
pub fn unknown_name<'a>(
    name: &Spanned<String>,
    names: impl IntoIterator<Item = &'a str>,
    code: Code,
    what: &str,
) -> Diagnostic {
    let names: Vec<&str> = names.into_iter().collect();
    let message = format!("there is no {what} {}", super::write::quoted(&shortened(name)));
    let mut problem = Diagnostic::error(code, name.span, message).here(format!("unknown {what}"));
    if let Some(near) = suggest::nearest(name, names.iter().copied()) {
        let quoted = super::write::quoted(near);
        problem = problem.replace(format!("did you mean {quoted}?"), name.span, quoted);
    }
    problem.note(match names.as_slice() {
        [] => format!("no {what} is declared"),
        names => format!("declared: {}", suggest::listed(names.iter().copied())),
    })
}

impl<T: PartialEq> PartialEq for Named<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.canonical().eq(other.canonical())
    }
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Struct(None, fields) => {
                let message = "expected a map `{\"name\": ...}`, found a struct `(name: ...)`";
                let problem = Diagnostic::error(Code::WrongShape, node.head(), message);
                let first = super::write::quoted(&fields[0].name.text);
                cx.push(problem.help(format!(
                    "names of your own stand in braces and quotes: {{{first}: ...}}"
                )));
                return None;
            }
            _ => {
                cx.wrong_shape(node, &format!("a map `{{\"name\": ...}}` ({})", Self::type_name()));
                return None;
            }
        };
        let mut named = Vec::with_capacity(entries.len());
        let mut good = true;
        for (key, value) in entries {
            let key = match &key.value {
                Value::Text(text) => Some(Spanned::new(text.clone(), key.span)),
                _ => Spanned::<String>::decode(key, cx),
            };
            let value = T::decode(value, cx);
            match (key, value) {
                (Some(key), Some(value)) => named.push((key, Some(value))),
                (Some(key), None) => {
                    good = false;
                    named.push((key, None));
                }
                _ => good = false,
            }
        }
        // Names are compared by sorting, and every name that repeats is reported.
        let mut order: Vec<usize> = (0..named.len()).collect();
        order.sort_by(|a, b| named[*a].0.value.cmp(&named[*b].0.value).then(a.cmp(b)));
        let mut first = 0;
        for at in 1..order.len() {
            let (name, earlier) = (&named[order[at]].0, &named[order[first]].0);
            if name.value != earlier.value {
                first = at;
                continue;
            }
            good = false;
            let message = format!("the name {} stands twice", super::write::quoted(&shortened(name)));
            let problem = Diagnostic::error(Code::DuplicateKey, name.span, message);
            cx.push(problem.label(earlier.span, "it stood here first"));
        }
        if !good {
            return None;
        }
        Self::new(
            named
                .into_iter()
                .map(|(k, v)| Some((k, v?)))
                .collect::<Option<Vec<_>>>()?,
        )
        .ok()
    }
    fn type_name() -> String {
        format!("map of {}", T::type_name())
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
}

impl<T: Encode> Encode for Named<T> {
    fn encode(&self) -> Node {
        Node::made(Value::Map(
            self.iter().map(|(k, v)| (Node::text(&k.value), v.encode())).collect(),
        ))
    }
}
