//! Maps from names that the author of a scenario chooses.

use super::codes::Code;
use super::decode::{Cx, Decode, Encode};
use super::describe::Reference;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::suggest;
use super::tree::{Node, Value, shortened};
use super::values::Spanned;

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

    /// The value of a name that somebody wrote elsewhere. `None`: it was reported with the nearest name, where `what` is
    /// what the entries are: `service`.
    pub fn look_up(&self, name: &Spanned<String>, code: Code, what: &str, out: &mut Diagnostics) -> Option<&T> {
        let found = self.get(name);
        if found.is_none() {
            unknown_name(name, self.names(), code, what, out);
        }
        found
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
