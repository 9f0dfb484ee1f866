//! Maps from names that the author of a scenario chooses.

use super::codes::Code;
use super::decode::{Cx, Decode, Encode, read};
use super::describe::Reference;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::part::Part;
use super::suggest;
use super::tree::{Node, Value, shortened};
use super::values::Spanned;

/// A map from names to values, in the order of the file. Equal if the same names have equal values.
///
/// Without errors each name stands once. A name that repeats was reported; then both entries are there to be checked, and the
/// name means the first.
#[derive(Debug, Clone)]
pub struct Named<T> {
    entries: Vec<(Spanned<String>, T)>,
    /// Indices of the entries by name, then by place.
    sorted: Vec<u32>,
    /// Whether every name could be read.
    whole: bool,
    /// How many of the last entries nobody wrote: they stand for something else.
    made: usize,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self::of(Vec::new(), true)
    }
}

impl<T> Named<T> {
    /// Takes entries that all have different names; otherwise gives back the first two places that share one.
    ///
    /// # Errors
    /// The indices of the first entry that repeats a name, and of the entry that had it before.
    pub fn new(entries: Vec<(Spanned<String>, T)>) -> Result<Self, (usize, usize)> {
        let this = Self::of(entries, true);
        match this.repeated().min() {
            Some(pair) => Err(pair),
            None => Ok(this),
        }
    }

    /// The same, with names that aren't known if `other` has such. What comes after as many entries as it has nobody wrote.
    pub(in crate::scenario) fn grown_from(self, other: &Self) -> Self {
        Self {
            whole: other.whole,
            made: self.len() - other.len(),
            ..self
        }
    }

    fn of(entries: Vec<(Spanned<String>, T)>, whole: bool) -> Self {
        let mut sorted: Vec<u32> = (0..entries.len() as u32).collect();
        let name = |at: &u32| &entries[*at as usize].0.value;
        sorted.sort_by(|a, b| name(a).cmp(name(b)).then(a.cmp(b)));
        Self {
            entries,
            sorted,
            whole,
            made: 0,
        }
    }

    /// The indices of entries that repeat a name, each with the first that has it.
    fn repeated(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut first = 0;
        let name = |at: usize| &self.entries[self.sorted[at] as usize].0.value;
        (1..self.sorted.len()).filter_map(move |at| {
            if name(at) != name(first) {
                first = at;
                return None;
            }
            Some((self.sorted[at] as usize, self.sorted[first] as usize))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether every name is known. Otherwise a name that isn't there may have been declared in a place that couldn't be read.
    pub fn is_whole(&self) -> bool {
        self.whole
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

    /// The names that somebody wrote.
    pub fn written(&self) -> impl Iterator<Item = &str> {
        self.names().take(self.len() - self.made)
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.at(self.position(name)?).map(|(_, value)| value)
    }

    /// The entry at this place of [`Named::canonical`]'s order.
    pub fn at(&self, position: usize) -> Option<(&Spanned<String>, &T)> {
        let (name, value) = &self.entries[*self.sorted.get(position)? as usize];
        Some((name, value))
    }

    /// The place of this name in [`Named::canonical`]'s order: a dense id that no reordering of the file changes.
    pub fn position(&self, name: &str) -> Option<usize> {
        let of = |i: u32| self.entries[i as usize].0.value.as_str();
        let at = self.sorted.partition_point(|&i| of(i) < name);
        self.sorted.get(at).is_some_and(|&i| of(i) == name).then_some(at)
    }

    /// The value of a name that somebody wrote elsewhere. `None`: it was reported with the nearest name, where `what` is
    /// what the entries are (`service`), unless it may be one of the names that couldn't be read.
    pub fn look_up(&self, name: &Spanned<String>, code: Code, what: &str, out: &mut Diagnostics) -> Option<&T> {
        let found = self.get(name);
        if found.is_none() && self.whole {
            unknown_name(name, self.written(), code, what, out);
        }
        found
    }
}

impl<T> Named<Part<T>> {
    /// The entries whose values could be read, by name.
    pub fn known(&self) -> impl Iterator<Item = (&Spanned<String>, &T)> {
        self.canonical().filter_map(|(name, value)| Some((name, value.get()?)))
    }

    /// The same, to be changed.
    pub fn known_mut(&mut self) -> impl Iterator<Item = (&Spanned<String>, &mut T)> {
        self.entries
            .iter_mut()
            .filter_map(|(name, value)| Some((&*name, value.get_mut()?)))
    }

    /// The value of this name, if it could be read.
    pub fn known_value(&self, name: &str) -> Option<&T> {
        self.get(name)?.get()
    }
}

/// Reports a reference to a name that isn't declared.
pub fn unknown_name<'a>(
    name: &Spanned<String>,
    names: impl IntoIterator<Item = &'a str>,
    code: Code,
    what: &str,
    out: &mut Diagnostics,
) {
    // Comparing with every name of a large scenario is worth it only for what is shown.
    const COMPARED: usize = 5000;
    let message = format!("there is no {what} {}", super::write::quoted(&shortened(name)));
    let mut problem = Diagnostic::error(code, name.span, message).here(format!("unknown {what}"));
    if out.is_full() {
        return out.push(problem);
    }
    let names: Vec<&str> = names.into_iter().collect();
    if let Some(near) = suggest::nearest(name, names.iter().copied().take(COMPARED)) {
        let quoted = super::write::quoted(near);
        problem = problem.replace(format!("did you mean {quoted}?"), name.span, quoted);
    }
    out.push(problem.note(match names.as_slice() {
        [] => format!("no {what} is declared"),
        names => format!("declared: {}", suggest::listed(names.iter().copied())),
    }));
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
        let mut named: Vec<(Spanned<String>, Option<T>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = match &key.value {
                Value::Text(text) => Some(text.clone()),
                // Without its quotes a name is wrong, and still a name.
                Value::Word(_) | Value::Integer(_) => {
                    String::decode(key, cx);
                    Some(super::write::canonical(key))
                }
                _ => read(key, cx),
            };
            let value = read(value, cx);
            named.extend(name.map(|name| (Spanned::new(name, key.span), value)));
        }
        let whole = named.len() == entries.len() && !cx.incomplete;
        if !whole {
            cx.open.insert(node.span);
        }
        let named = Named::of(named, whole);
        for (at, first) in named.repeated() {
            let (name, earlier) = (&named.entries[at].0, &named.entries[first].0);
            let message = format!("the name {} stands twice", super::write::quoted(&shortened(name)));
            let problem = Diagnostic::error(Code::DuplicateKey, name.span, message);
            cx.push(problem.label(earlier.span, "it stood here first"));
        }
        let Named {
            entries, sorted, whole, ..
        } = named;
        let entries = entries.into_iter().map(|(name, value)| Some((name, value?)));
        Some(Self {
            entries: entries.collect::<Option<_>>()?,
            sorted,
            whole,
            made: 0,
        })
    }
    fn unread() -> Option<Self> {
        Some(Self::of(Vec::new(), false))
    }
    fn arrange(node: &mut Node) {
        super::arrange::map(node, T::arrange, true);
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

#[cfg(test)]
mod tests {
    use super::super::{Show, SourceMap, from_text, render};
    use super::*;

    #[test]
    fn names_are_found_whatever_their_order() {
        let named: Named<u32> = from_text(r#"{"b": 1, "a": 2, "c": 3}"#).unwrap();
        assert_eq!(named.names().collect::<String>(), "bac");
        assert_eq!(named.canonical().map(|(_, v)| *v).collect::<Vec<_>>(), [2, 1, 3]);
        assert_eq!(
            (named.get("b"), named.get("x"), named.position("c")),
            (Some(&1), None, Some(2))
        );
        assert_eq!(named, from_text(r#"{"a": 2, "c": 3, "b": 1}"#).unwrap());
        let twice = ["x", "y", "x", "y"].map(|n| (Spanned::from(n), 0)).to_vec();
        assert_eq!(Named::new(twice).err(), Some((2, 0)));
    }

    #[test]
    fn an_unknown_name_is_reported_with_the_nearest() {
        let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
        let id = map.add("s.ron", r#"(at: "infrence")"#);
        let named: Named<u32> = from_text(r#"{"inference": 1, "tools": 2}"#).unwrap();
        let name = Spanned::new("infrence".to_string(), super::super::Span::new(id, 5, 15));
        assert!(named.look_up(&name, Code::UnknownPath, "site", &mut out).is_none());
        assert_eq!(
            named.look_up(&"tools".into(), Code::UnknownPath, "site", &mut out),
            Some(&2)
        );
        Named::<u32>::default().look_up(&name, Code::UnknownPath, "topic", &mut out);
        insta::assert_snapshot!(render(&out, &map, Show::default()), @r###"
        error[E0306]: there is no site "infrence"
         --> s.ron:1:6
          |
        1 | (at: "infrence")
          |      ^^^^^^^^^^ unknown site
          |
          = note: declared: `inference` and `tools`
          = help: did you mean "inference"?

        error[E0306]: there is no topic "infrence"
         --> s.ron:1:6
          |
        1 | (at: "infrence")
          |      ^^^^^^^^^^ unknown topic
          |
          = note: no topic is declared

        2 errors; `quorate help E0306` explains the first
        "###);
    }
}
