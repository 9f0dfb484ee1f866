//! What single objects do, one operation after the other: the sequential specifications.
//!
//! A state is a number; two states of one number are equal, so that a search can remember where it has been. (The converse needn't
//! hold: it would only make the search longer.)

use crate::check::history::{Action, History, Operation, Outcome, Saw, Span, Val, Value};
use std::collections::BTreeMap;

/// An operation as an object sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::check) enum Kind {
    /// A register is read, and holds this.
    Read(Val),
    /// A register is written.
    Write(Val),
    /// A register held the first and holds the second from then on.
    Cas(Val, Val),
    /// A register holds something else than this.
    Not(Val),
    /// A text is put behind the text of a register.
    Append(Val),
    /// A set is read; the number is that of its content in [`Sets`].
    Whole(u32),
    /// An element is added to a set.
    Add(Val),
    /// An element is removed from a set.
    Remove(Val),
    /// An element is put at the end of a queue.
    Enqueue(Val),
    /// This element is taken from the head of a queue; `nil`: it is empty.
    Dequeue(Val),
    /// Whatever is at the head of a queue is taken.
    Take,
}

impl Kind {
    /// Whether it never changes anything, whatever the state.
    pub(in crate::check) fn only_looks(self) -> bool {
        match self {
            Self::Read(_) | Self::Not(_) | Self::Whole(_) => true,
            Self::Dequeue(value) => value == Val::NIL,
            Self::Cas(from, to) => from == to,
            _ => false,
        }
    }
}

/// An operation of one object, with its place in real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) struct Call {
    /// The operation's number in the history.
    pub op: u32,
    /// The place of its invocation.
    pub inv: u32,
    /// The place after which it can't take effect.
    pub ret: u32,
    /// What it does.
    pub kind: Kind,
}

impl Call {
    /// Whether it is known to have taken effect.
    pub(in crate::check) fn is_certain(&self) -> bool {
        self.ret != crate::check::history::NEVER
    }
}

/// What an operation does, if it may do or tell anything.
pub(in crate::check) fn kind(operation: &Operation, sets: &mut Sets, history: &History) -> Option<Kind> {
    let certain = match operation.outcome {
        Outcome::Fail => return None,
        outcome => outcome == Outcome::Ok,
    };
    match operation.action {
        Action::Read { saw, .. } => match saw {
            _ if !certain => None,
            Saw::Unknown => None,
            Saw::One(value) => Some(Kind::Read(value)),
            Saw::Many(span) => Some(Kind::Whole(sets.number(history.elements(span)))),
        },
        Action::Write { value, .. } => Some(Kind::Write(value)),
        Action::Cas { from, to, swapped, .. } if swapped || !certain => Some(Kind::Cas(from, to)),
        Action::Cas { from, .. } => Some(Kind::Not(from)),
        Action::Append { value, .. } => Some(Kind::Append(value)),
        Action::Add { value, .. } => Some(Kind::Add(value)),
        Action::Remove { value, .. } => Some(Kind::Remove(value)),
        Action::Enqueue { value, .. } => Some(Kind::Enqueue(value)),
        Action::Dequeue { got, .. } => match got {
            Some(value) if certain => Some(Kind::Dequeue(value)),
            _ => Some(Kind::Take),
        },
        Action::Txn(_) => None,
    }
}

/// A sequential object.
pub(in crate::check) trait Object {
    /// The state at the beginning.
    fn start(&self) -> u32;

    /// The state after an operation; `None` if it can't happen in this state.
    fn apply(&mut self, state: u32, kind: Kind) -> Option<u32>;

    /// Whether the states take so much memory that the search has to end.
    fn is_full(&self) -> bool {
        false
    }

    /// A state in words.
    fn shown(&self, state: u32, history: &History) -> String;
}

/// The most words that the states of one object may take.
const MOST_WORDS: usize = 1 << 25;

/// A register; its state is its value.
#[derive(Debug, Clone)]
pub(in crate::check) struct Register<'a> {
    history: &'a History,
    /// Texts that came about by appending, numbered behind the history's values.
    texts: Vec<String>,
    numbers: BTreeMap<String, u32>,
    appended: BTreeMap<(u32, u32), u32>,
    first: u32,
    words: usize,
}

impl<'a> Register<'a> {
    pub(in crate::check) fn new(history: &'a History) -> Self {
        Self {
            history,
            texts: Vec::new(),
            numbers: BTreeMap::new(),
            appended: BTreeMap::new(),
            first: history.values() as u32,
            words: 0,
        }
    }

    fn text(&self, state: u32) -> String {
        match state.checked_sub(self.first) {
            Some(own) => self.texts[own as usize].clone(),
            None => match self.history.value(Val(state)) {
                Value::Nil => String::new(),
                Value::Text(text) => text.clone(),
                other => other.to_string(),
            },
        }
    }

    fn append(&mut self, state: u32, value: Val) -> u32 {
        if let Some(known) = self.appended.get(&(state, value.0)) {
            return *known;
        }
        let text = self.text(state) + &self.text(value.0);
        let value_of = self.history.find(&Value::Text(text.clone()));
        let after = match (value_of, self.numbers.get(&text)) {
            (Some(known), _) => known.0,
            (None, Some(known)) => *known,
            (None, None) => {
                let new = self.first + self.texts.len() as u32;
                self.words += text.len() / 2;
                self.texts.push(text.clone());
                self.numbers.insert(text, new);
                new
            }
        };
        self.words += 8;
        self.appended.insert((state, value.0), after);
        after
    }
}

impl Object for Register<'_> {
    fn start(&self) -> u32 {
        self.history.initial().0
    }

    fn apply(&mut self, state: u32, kind: Kind) -> Option<u32> {
        match kind {
            Kind::Read(value) => (state == value.0).then_some(state),
            Kind::Write(value) => Some(value.0),
            Kind::Cas(from, to) => (state == from.0).then_some(to.0),
            Kind::Not(value) => (state != value.0).then_some(state),
            Kind::Append(value) => Some(self.append(state, value)),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        self.words > MOST_WORDS
    }

    fn shown(&self, state: u32, _: &History) -> String {
        if state < self.first {
            self.history.value(Val(state)).to_string()
        } else {
            format!("{:?}", self.text(state))
        }
    }
}

/// A queue. Its state is a node of the tree of all sequences of enqueued elements, and how many of them were taken.
#[derive(Debug, Clone)]
pub(in crate::check) struct Queue {
    /// For each node: its parent, its element, its depth, and a node further up.
    nodes: Vec<(u32, Val, u32, u32)>,
    children: BTreeMap<(u32, Val), u32>,
    states: Vec<(u32, u32)>,
    numbers: BTreeMap<(u32, u32), u32>,
}

impl Queue {
    pub(in crate::check) fn new() -> Self {
        Self {
            nodes: vec![(0, Val::NIL, 0, 0)],
            children: BTreeMap::new(),
            states: vec![(0, 0)],
            numbers: BTreeMap::from([((0, 0), 0)]),
        }
    }

    fn number(&mut self, node: u32, taken: u32) -> u32 {
        // An empty queue is an empty queue, whatever was in it.
        let state = if self.nodes[node as usize].2 == taken {
            (0, 0)
        } else {
            (node, taken)
        };
        let states = &mut self.states;
        *self.numbers.entry(state).or_insert_with(|| {
            states.push(state);
            states.len() as u32 - 1
        })
    }

    fn child(&mut self, node: u32, value: Val) -> u32 {
        let nodes = &mut self.nodes;
        *self.children.entry((node, value)).or_insert_with(|| {
            // Jump pointers as in Myers' random-access lists: a node's ancestor at any depth is a logarithmic number of steps away.
            let (_, _, depth, jump) = nodes[node as usize];
            let (_, _, jump_depth, jump_jump) = nodes[jump as usize];
            let (_, _, far_depth, _) = nodes[jump_jump as usize];
            let jump = if depth - jump_depth == jump_depth - far_depth {
                jump_jump
            } else {
                node
            };
            nodes.push((node, value, depth + 1, jump));
            nodes.len() as u32 - 1
        })
    }

    /// The element after `taken` others on the way to a node.
    fn head(&self, node: u32, taken: u32) -> Val {
        let mut at = node;
        loop {
            let (parent, value, depth, jump) = self.nodes[at as usize];
            if depth == taken + 1 {
                return value;
            }
            at = if self.nodes[jump as usize].2 > taken {
                jump
            } else {
                parent
            };
        }
    }
}

impl Object for Queue {
    fn start(&self) -> u32 {
        0
    }

    fn apply(&mut self, state: u32, kind: Kind) -> Option<u32> {
        let (node, taken) = self.states[state as usize];
        let is_empty = self.nodes[node as usize].2 == taken;
        match kind {
            Kind::Enqueue(value) => {
                let node = self.child(node, value);
                Some(self.number(node, taken))
            }
            Kind::Dequeue(Val::NIL) => is_empty.then_some(state),
            Kind::Dequeue(value) => {
                (!is_empty && self.head(node, taken) == value).then(|| self.number(node, taken + 1))
            }
            Kind::Take if is_empty => Some(state),
            Kind::Take => Some(self.number(node, taken + 1)),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        (self.nodes.len() + self.states.len()) * 8 > MOST_WORDS
    }

    fn shown(&self, state: u32, history: &History) -> String {
        let (node, taken) = self.states[state as usize];
        let length = self.nodes[node as usize].2 - taken;
        if length == 0 {
            return "nothing".into();
        }
        let head = history.value(self.head(node, taken));
        match length {
            1 => format!("{head} alone"),
            _ => format!("{length} elements with {head} at its head"),
        }
    }
}

/// The contents of sets, each with a number.
#[derive(Debug, Clone, Default)]
pub(in crate::check) struct Sets {
    contents: Vec<Vec<Val>>,
    numbers: BTreeMap<Vec<Val>, u32>,
    words: usize,
}

impl Sets {
    /// The number of a content, given in ascending order.
    pub(in crate::check) fn number(&mut self, content: &[Val]) -> u32 {
        if let Some(known) = self.numbers.get(content) {
            return *known;
        }
        let new = self.contents.len() as u32;
        self.words += content.len() * 2 + 8;
        self.contents.push(content.to_vec());
        self.numbers.insert(content.to_vec(), new);
        new
    }

    /// The content of a number.
    pub(in crate::check) fn content(&self, number: u32) -> &[Val] {
        &self.contents[number as usize]
    }
}

/// A set; its state is its content.
#[derive(Debug, Clone)]
pub(in crate::check) struct Set {
    sets: Sets,
    start: u32,
    steps: BTreeMap<(u32, Kind), u32>,
}

impl Set {
    /// A set that is empty, whose reads have the numbers of these contents.
    pub(in crate::check) fn new(mut sets: Sets) -> Self {
        let start = sets.number(&[]);
        Self {
            sets,
            start,
            steps: BTreeMap::new(),
        }
    }

    fn changed(&mut self, state: u32, kind: Kind) -> u32 {
        if let Some(known) = self.steps.get(&(state, kind)) {
            return *known;
        }
        let mut content = self.sets.content(state).to_vec();
        match (kind, content.as_slice()) {
            (Kind::Add(value), inside) => {
                if let Err(at) = inside.binary_search(&value) {
                    content.insert(at, value);
                }
            }
            (Kind::Remove(value), inside) => {
                if let Ok(at) = inside.binary_search(&value) {
                    content.remove(at);
                }
            }
            _ => {}
        }
        let after = self.sets.number(&content);
        self.steps.insert((state, kind), after);
        after
    }
}

impl Object for Set {
    fn start(&self) -> u32 {
        self.start
    }

    fn apply(&mut self, state: u32, kind: Kind) -> Option<u32> {
        match kind {
            Kind::Whole(content) => (state == content).then_some(state),
            Kind::Add(_) | Kind::Remove(_) => Some(self.changed(state, kind)),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        self.sets.words + self.steps.len() * 8 > MOST_WORDS
    }

    fn shown(&self, state: u32, history: &History) -> String {
        shown_elements(history, self.sets.content(state))
    }
}

/// The elements of a set or list in words, shortened.
pub(in crate::check) fn shown_elements(history: &History, elements: &[Val]) -> String {
    let mut shown: Vec<String> = elements
        .iter()
        .take(12)
        .map(|value| history.value(*value).to_string())
        .collect();
    if elements.len() > 12 {
        shown.push(format!("… {} more", elements.len() - 12));
    }
    format!("[{}]", shown.join(" "))
}

/// As [`shown_elements`], of a span.
pub(in crate::check) fn shown_span(history: &History, span: Span) -> String {
    shown_elements(history, history.elements(span))
}
