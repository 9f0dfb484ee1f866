//! Warnings of what can be run, but is hardly meant: answers to nobody, waits for what never comes, numbers that are cut.

use super::Resolver;
use crate::random::Law;
use crate::scenario::language::steps::Peers;
use crate::scenario::language::{NumberLaw, Step as Written, Steps};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, suggest, write};
use std::collections::{BTreeMap, BTreeSet};

/// What a program has taken in before a step.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Whether `Sender` means somebody.
    sender: bool,
    /// Whether there may be an ask to reply to.
    ask: bool,
}

impl Taken {
    const ANYTHING: Self = Self {
        sender: true,
        ask: true,
    };

    fn or(self, other: Self) -> Self {
        Self {
            sender: self.sender || other.sender,
            ask: self.ask || other.ask,
        }
    }
}

/// Walks through steps in their order, and gives those to `visit` that need what hasn't been taken. What isn't known is as if
/// anything had been taken.
fn walk<'s>(steps: &'s Steps, before: Taken, visit: &mut dyn FnMut(&'s Spanned<Written>)) -> Taken {
    let Some(steps) = steps.get() else {
        return Taken::ANYTHING;
    };
    let mut taken = before;
    for step in steps {
        let Some(step) = step.get() else {
            taken = Taken::ANYTHING;
            continue;
        };
        let to_sender = |to: &Part<Peers>| matches!(to.get(), Some(Peers::Sender));
        match &step.value {
            Written::Wait { .. } => taken = Taken::ANYTHING,
            Written::Reply { .. } if !taken.ask => visit(step),
            Written::Send { to, .. } if to_sender(to) && !taken.sender => visit(step),
            Written::Ask { to, .. } => {
                if to_sender(to) && !taken.sender {
                    visit(step);
                }
                // Who answers is a sender, too.
                taken.sender = true;
            }
            other => {
                let Some(inner) = other.inner() else {
                    taken = Taken::ANYTHING;
                    continue;
                };
                let after: Vec<Taken> = inner.into_iter().map(|steps| walk(steps, taken, visit)).collect();
                taken = after.into_iter().fold(taken, Taken::or);
            }
        }
    }
    taken
}

/// The topics that are sent to a group, by its place; to whom it concerns under `None`.
type Sent<'s> = BTreeMap<Option<usize>, BTreeSet<&'s str>>;

impl Resolver<'_, '_> {
    /// Warns of answers to nobody, and of waits for topics that nobody sends.
    pub(super) fn check_received(&mut self) {
        let file = self.file;
        for (_, group) in file.agents.known() {
            // A handler may have told the agent who sends.
            let handled = !group.on.is_whole() || group.on.names().next().is_some();
            let before = Taken {
                sender: handled,
                ask: false,
            };
            let mut found: Vec<&Spanned<Written>> = Vec::new();
            walk(&group.program, before, &mut |step| found.push(step));
            for step in found {
                let message = match step.value {
                    Written::Reply { .. } => "nothing has been taken that could be answered: this `Reply` does nothing",
                    _ => "nobody has sent anything yet: `Sender` is nobody here",
                };
                let problem = Diagnostic::warning(Code::NothingReceived, step.span, message);
                self.out
                    .push(problem.help("it belongs into a handler (`on: {...}`), or behind a `Wait`"));
            }
        }
        self.check_waits();
    }

    fn check_waits(&mut self) {
        let file = self.file;
        let readable = file.agents.canonical().all(|(_, group)| group.get().is_some());
        let (mut sent, mut known) = (Sent::new(), file.agents.is_whole() && readable);
        for (_, group) in file.agents.known() {
            known &= group.each_step(&mut |step| {
                let (Written::Send { to, topic, .. } | Written::Ask { to, topic, .. }) = &step.value else {
                    return;
                };
                let place = match to.get() {
                    None | Some(Peers::Sender) => None,
                    Some(
                        Peers::Any(name)
                        | Peers::All(name)
                        | Peers::Same(name)
                        | Peers::Next(name)
                        | Peers::Member(name, _),
                    ) => file.agents.position(name),
                };
                match topic.get() {
                    Some(topic) => {
                        sent.entry(place).or_default().insert(&topic.value);
                    }
                    None => known = false,
                }
            });
        }
        // Members of coordination groups tell the agents beside them something.
        known &= file.coordination.is_whole();
        for (_, group) in file.coordination.canonical() {
            let told = group
                .get()
                .and_then(|group| Some((group.beside.get()?, group.tells.get()?)));
            match told {
                None => known = false,
                Some((Some(beside), Some(topic))) => {
                    for name in beside.value.0.iter().filter_map(Part::get) {
                        let place = file.agents.position(name);
                        sent.entry(place).or_default().insert(&topic.value);
                    }
                }
                Some(_) => {}
            }
        }
        if !known {
            return;
        }
        let to = |place| sent.get(&place).into_iter().flatten().copied();
        for (name, group) in file.agents.known() {
            let sent: BTreeSet<&str> = to(file.agents.position(name)).chain(to(None)).collect();
            group.each_step(&mut |step| {
                let Written::Wait { topic, .. } = &step.value else {
                    return;
                };
                let Some(topic) = topic.given().filter(|topic| !sent.contains(topic.value.as_str())) else {
                    return;
                };
                let message = format!("nobody sends the topic {} to this group", write::quoted(topic));
                let problem = Diagnostic::warning(Code::TopicUnsent, topic.span, message);
                self.out.push(match suggest::nearest(topic, sent.iter().copied()) {
                    Some(near) => {
                        let near = write::quoted(near);
                        problem.replace(format!("did you mean {near}?"), topic.span, near.clone())
                    }
                    None => problem,
                });
            });
        }
    }

    /// What is added to a counter, which takes whole numbers.
    pub(super) fn added(&mut self, law: &Spanned<NumberLaw>) -> Option<Law> {
        let resolved = self.law(law)?;
        let (least, most) = resolved.support();
        let counts = |value: f64| libm::trunc(value) + 0.0;
        if least == most && counts(least) != least {
            let message = format!("a counter takes whole numbers: {least} counts as {}", counts(least));
            self.warn(Code::CutNumber, law.span, message);
        } else if least < most && least > -1.0 && most < 1.0 {
            let message = "a counter takes whole numbers: nothing is ever added";
            self.warn(Code::CutNumber, law.span, message);
        }
        Some(resolved)
    }

    /// Warns of a number that none of `count` keys of one name has.
    pub(super) fn check_which(&mut self, law: Option<&Law>, span: Option<Span>, count: u32) {
        let Some((least, span)) = law.map(|law| law.support().0).zip(span) else {
            return;
        };
        if least >= f64::from(count) {
            let keys = match count {
                1 => "there is one key of this name, number 0".to_string(),
                _ => format!("there are {count} keys of this name, numbered from 0"),
            };
            let message = format!("{keys}: {} means the last", write::number(least));
            self.warn(Code::CutNumber, span, message);
        }
    }
}
