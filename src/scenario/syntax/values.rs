//! How the plain types are read and written: numbers, texts, lists, tuples.

use super::codes::Code;
use super::decode::{Cx, Decode, Encode, read};
use super::describe::Reference;
use super::diagnostic::Diagnostic;
use super::source::Span;
use super::tree::{Node, Value};
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
    fn unread() -> Option<Self> {
        T::unread().map(Self::from)
    }
    fn arrange(node: &mut Node) {
        T::arrange(node);
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
    fn unread() -> Option<Self> {
        T::unread().map(Box::new)
    }
    fn arrange(node: &mut Node) {
        T::arrange(node);
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

/// `None`, `Some(value)` or, as everywhere in the language, simply the value. A variant `None` of the type itself can't be
/// told from no value: such a type doesn't belong into an option.
impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Word(word) if word == "None" => Some(None),
            Value::Tuple(Some(name), items) if name.text == "Some" && items.len() == 1 => read(&items[0], cx).map(Some),
            _ => T::decode(node, cx).map(Some),
        }
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn arrange(node: &mut Node) {
        match &mut node.value {
            Value::Tuple(Some(name), items) if name.text == "Some" && items.len() == 1 => T::arrange(&mut items[0]),
            _ => T::arrange(node),
        }
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
    let decoded: Vec<T> = items.iter().filter_map(|item| read(item, cx)).collect();
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
    fn arrange(node: &mut Node) {
        if let Value::List(items) = &mut node.value {
            items.iter_mut().for_each(T::arrange);
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
    fn arrange(node: &mut Node) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(T::arrange),
            _ => T::arrange(node),
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
                        let decoded = ($(read::<$name>(&items[$index], cx),)+);
                        Some(($(decoded.$index?,)+))
                    }
                    _ => {
                        cx.wrong_shape(node, &Self::type_name());
                        None
                    }
                }
            }
            fn arrange(node: &mut Node) {
                super::arrange::items(node, &[$($name::arrange),+]);
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

/// Any value, as it stands: for what is decoded later, such as the new value of an override.
impl Decode for Node {
    fn decode(node: &Node, _: &mut Cx) -> Option<Self> {
        Some(node.clone())
    }
    /// Without a type there is no declared order: fields are put into that of their names.
    fn arrange(node: &mut Node) {
        match &mut node.value {
            Value::List(items) | Value::Tuple(_, items) => items.iter_mut().for_each(Self::arrange),
            Value::Map(_) => super::arrange::map(node, Self::arrange, true),
            Value::Struct(_, fields) => {
                fields.iter_mut().for_each(|field| Self::arrange(&mut field.value));
                fields.sort_by(|a, b| a.name.text.cmp(&b.name.text));
            }
            _ => {}
        }
    }
    fn type_name() -> String {
        "any value".into()
    }
}

impl Encode for Node {
    fn encode(&self) -> Node {
        self.clone()
    }
}
