//! The spanned tree: what a scenario text says, before anything knows what its words mean.
//!
//! Every node knows its bytes, so that a problem found by any later stage still points at the text. Numbers are kept as
//! written: an integer is one of `i64::MIN..=u64::MAX`, a float may be infinite or NaN until it is decoded.

use super::source::Span;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The bytes from the value's first to its last character.
    pub span: Span,
    /// What stands there.
    pub value: Value,
}

/// An identifier and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The identifier.
    pub text: String,
    /// Its bytes.
    pub span: Span,
}

/// `name: value` inside parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What stands before the colon.
    pub name: Name,
    /// What stands behind it.
    pub value: Node,
}

/// What a node says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true`, `false`.
    Bool(bool),
    /// `15`, `-3`, `0x1F`, `1_000`.
    Integer(i128),
    /// `0.25`, `1e9`, `inf`, `NaN`.
    Float(f64),
    /// `"text"`, with its escapes resolved.
    Text(String),
    /// `'c'`.
    Char(char),
    /// `[a, b]`.
    List(Vec<Node>),
    /// `{key: value}`, in the order of the file.
    Map(Vec<(Node, Node)>),
    /// A bare word: `Unlimited`.
    Word(String),
    /// `()`, `(a, b)`, `At("60s")`: the name, if there is one, and the items.
    Tuple(Option<Box<Name>>, Vec<Node>),
    /// `(a: 1)`, `Exponential(mean: "80ms")`: the name, if there is one, and at least one field.
    Struct(Option<Box<Name>>, Vec<Field>),
    /// A value that can't be read, which was reported.
    Unread,
}

impl Node {
    /// A node without a place in any file (its span is empty), for values made by a program.
    pub fn made(value: Value) -> Self {
        Self {
            span: Span::default(),
            value,
        }
    }

    /// A text made by a program.
    pub fn text(text: impl Into<String>) -> Self {
        Self::made(Value::Text(text.into()))
    }

    /// A named tuple made by a program: `At("60s")`.
    pub fn variant(name: &str, items: Vec<Node>) -> Self {
        Self::made(Value::Tuple(Some(Box::new(Name::made(name))), items))
    }

    /// A struct made by a program. Without fields it is `Name` or `()`.
    pub fn fields(name: Option<&str>, fields: Vec<(&str, Node)>) -> Self {
        if fields.is_empty() {
            return Self::made(match name {
                Some(name) => Value::Word(name.to_string()),
                None => Value::Tuple(None, Vec::new()),
            });
        }
        let fields = fields
            .into_iter()
            .map(|(n, value)| Field {
                name: Name::made(n),
                value,
            })
            .collect();
        Self::made(Value::Struct(name.map(|n| Box::new(Name::made(n))), fields))
    }

    /// What to underline when the node as a whole is wrong: its name or its opening bracket when it has one, else all of
    /// it. A struct of two hundred lines isn't underlined from end to end.
    pub fn head(&self) -> Span {
        match &self.value {
            Value::Tuple(Some(name), _) | Value::Struct(Some(name), _) => name.span,
            Value::List(_) | Value::Map(_) | Value::Tuple(..) | Value::Struct(..) => self.span.head(1),
            _ => self.span,
        }
    }

    /// The variant name, if the value starts with one: `Unlimited`, `At("60s")`, `Fixed(delay: "1s")`.
    pub fn variant_name(&self) -> Option<(&str, Span)> {
        match &self.value {
            Value::Word(word) => Some((word, self.span)),
            Value::Tuple(Some(name), _) | Value::Struct(Some(name), _) => Some((&name.text, name.span)),
            _ => None,
        }
    }

    /// What was found, in words: `the number 5`, `a list`.
    pub fn found(&self) -> String {
        match &self.value {
            Value::Bool(b) => format!("`{b}`"),
            Value::Integer(i) => format!("the number {i}"),
            Value::Float(f) => format!("the number {}", super::write::number(*f)),
            Value::Text(text) => format!("the text {}", super::write::quoted(&shortened(text))),
            Value::Char(c) => format!("the character {c:?}"),
            Value::List(items) if items.is_empty() => "an empty list".into(),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map `{...}`".into(),
            Value::Word(word) => format!("`{}`", shortened(word)),
            Value::Tuple(None, items) if items.is_empty() => "`()`".into(),
            Value::Tuple(None, items) => format!("a tuple of {}", items.len()),
            Value::Struct(None, _) => "a struct `(name: ...)`".into(),
            Value::Tuple(Some(name), _) | Value::Struct(Some(name), _) => format!("`{}(...)`", shortened(&name.text)),
            Value::Unread => "what can't be read".into(),
        }
    }

    /// The field of this name, if this is a struct that has one.
    pub fn field(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Struct(_, fields) => fields.iter().find(|f| f.name.text == name).map(|f| &f.value),
            _ => None,
        }
    }

    /// How many brackets deep the value goes: a number is 1.
    pub fn depth(&self) -> usize {
        let inner = match &self.value {
            Value::List(items) | Value::Tuple(_, items) => items.iter().map(Node::depth).max(),
            Value::Map(entries) => entries.iter().map(|(k, v)| k.depth().max(v.depth())).max(),
            Value::Struct(_, fields) => fields.iter().map(|f| f.value.depth()).max(),
            _ => None,
        };
        1 + inner.unwrap_or(0)
    }

    /// Whether two nodes say the same, wherever they stand. NaN equals NaN here, and map entries and fields may stand in
    /// any order.
    pub fn same(&self, other: &Self) -> bool {
        super::write::canonical(self) == super::write::canonical(other)
    }
}

impl Name {
    /// A name made by a program.
    pub fn made(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            span: Span::default(),
        }
    }
}

/// `text`, cut to a length that a message bears.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return text.to_string();
    }
    text.chars().take(MOST - 3).chain("...".chars()).collect()
}
