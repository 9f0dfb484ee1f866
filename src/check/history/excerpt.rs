//! Parts of a history, as histories of their own.

#[cfg(test)]
use super::Operation;
use super::{Action, History, Key, Micro, Saw, Span, Val};

impl History {
    /// The history of some of the operations, in this order: what remains if the others hadn't been recorded. They keep their
    /// names, lines and places; values, keys and processes have new numbers.
    pub fn excerpt(&self, operations: &[usize]) -> Self {
        self.excerpt_of(operations, |_, _| true)
    }

    /// As [`Self::excerpt`], with reads of sets and lists that show only some elements.
    pub(in crate::check) fn excerpt_of(&self, operations: &[usize], shows: impl Fn(Key, Val) -> bool) -> Self {
        let mut part = Self::default();
        part.start_with(self.value(self.initial).clone());
        for at in operations {
            let mut of = self.operations[*at];
            let process = self.processes[of.process as usize];
            of.process = part
                .processes
                .iter()
                .position(|known| *known == process)
                .unwrap_or(part.processes.len()) as u32;
            if of.process as usize == part.processes.len() {
                part.processes.push(process);
            }
            of.action = part.copied(self, of.action, &shows);
            part.operations.push(of);
            part.names.push(self.number(*at));
        }
        part
    }

    /// The history, with operations of which it isn't known what they read.
    #[cfg(test)]
    pub(in crate::check) fn without_reads(&self, blind: impl Fn(&Operation) -> bool) -> Self {
        let mut copy = self.clone();
        for of in copy.operations.iter_mut().filter(|of| blind(of)) {
            match &mut of.action {
                Action::Read { saw, .. } => *saw = Saw::Unknown,
                Action::Txn(span) => {
                    for micro in &mut copy.micros[span.range()] {
                        if let Micro::Read(_, saw) = micro {
                            *saw = None;
                        }
                    }
                }
                _ => {}
            }
        }
        copy
    }

    /// An action of another history with this one's numbers.
    fn copied(&mut self, of: &Self, action: Action, shows: &impl Fn(Key, Val) -> bool) -> Action {
        let mut copy = action;
        match &mut copy {
            Action::Read { key, saw } => {
                let old = *key;
                *key = self.copied_key(of, *key);
                match saw {
                    Saw::Unknown => {}
                    Saw::One(value) => *value = self.copied_value(of, *value),
                    Saw::Many(span) => {
                        *span = self.copied_span(of, *span, |value| shows(old, value));
                        self.elements[span.range()].sort_unstable();
                    }
                }
            }
            Action::Write { key, value }
            | Action::Append { key, value }
            | Action::Add { key, value }
            | Action::Remove { key, value }
            | Action::Enqueue { key, value } => {
                *key = self.copied_key(of, *key);
                *value = self.copied_value(of, *value);
            }
            Action::Cas { key, from, to, .. } => {
                *key = self.copied_key(of, *key);
                *from = self.copied_value(of, *from);
                *to = self.copied_value(of, *to);
            }
            Action::Dequeue { key, got } => {
                *key = self.copied_key(of, *key);
                *got = got.map(|got| self.copied_value(of, got));
            }
            Action::Txn(span) => {
                let start = self.micros.len() as u32;
                for micro in of.micros(*span) {
                    let micro = match *micro {
                        Micro::Append(key, value) => {
                            Micro::Append(self.copied_key(of, key), self.copied_value(of, value))
                        }
                        Micro::Read(key, saw) => Micro::Read(
                            self.copied_key(of, key),
                            saw.map(|saw| self.copied_span(of, saw, |value| shows(key, value))),
                        ),
                    };
                    self.micros.push(micro);
                }
                *span = Span {
                    start,
                    end: self.micros.len() as u32,
                };
            }
        }
        copy
    }

    fn copied_key(&mut self, of: &Self, key: Key) -> Key {
        Key(self.keys.id(of.key(key).clone()))
    }

    fn copied_value(&mut self, of: &Self, value: Val) -> Val {
        Val(self.values.id(of.value(value).clone()))
    }

    fn copied_span(&mut self, of: &Self, span: Span, shows: impl Fn(Val) -> bool) -> Span {
        let start = self.elements.len() as u32;
        for value in of.elements(span) {
            if shows(*value) {
                let value = self.copied_value(of, *value);
                self.elements.push(value);
            }
        }
        Span {
            start,
            end: self.elements.len() as u32,
        }
    }
}
