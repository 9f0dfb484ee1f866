//! The steps of programs.

use super::Resolver;
use super::state::KeyPlace;
use crate::agents::Policy;
use crate::agents::step::{Action, CallStep, KeyChoice, OperateStep, Peers as To, ReplicaChoice, SendStep, Step, Swap};
use crate::random::Law;
use crate::scenario::language::Group;
use crate::scenario::language::Step as Written;
use crate::scenario::language::steps::{Peers, Replica, Times, UpdateOp};
use crate::scenario::language::{NumberLaw, laws::TimeLaw};
use crate::scenario::syntax::quantity::Bytes;
use crate::scenario::syntax::{Code, Diagnostic, Named, Spanned, unknown_name};
use crate::state::KeyType;

impl Written {
    /// The policy that it names.
    pub(super) fn policy(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Call { policy, .. }
            | Self::Read { policy, .. }
            | Self::Write { policy, .. }
            | Self::Add { policy, .. }
            | Self::Insert { policy, .. }
            | Self::Remove { policy, .. }
            | Self::Update { policy, .. }
            | Self::CompareAndSwap { policy, .. } => policy.as_ref(),
            _ => None,
        }
    }

    /// The lists of steps inside.
    fn inner(&self) -> Vec<&[Spanned<Written>]> {
        match self {
            Self::Repeat { steps, .. } | Self::Task { steps, .. } => vec![steps],
            Self::Parallel(branches) => branches.iter().map(Vec::as_slice).collect(),
            Self::Choose(options) => options.iter().map(|(_, steps)| steps.as_slice()).collect(),
            Self::Speculate { basis, guess, .. } => vec![basis, guess],
            _ => Vec::new(),
        }
    }
}

fn each<'s>(steps: &'s [Spanned<Written>], visit: &mut dyn FnMut(&'s Spanned<Written>)) {
    for step in steps {
        visit(step);
        for inner in step.value.inner() {
            each(inner, visit);
        }
    }
}

impl Group {
    /// Visits every step of the program and of the handlers.
    pub(super) fn each_step<'s>(&'s self, visit: &mut dyn FnMut(&'s Spanned<Written>)) {
        each(&self.program, visit);
        for (_, steps) in self.on.canonical() {
            each(steps, visit);
        }
    }
}

/// The fields that all operations on shared state have.
struct Operation<'s> {
    key: &'s Spanned<String>,
    store: &'s Option<Spanned<String>>,
    which: &'s Option<Spanned<NumberLaw>>,
    replica: &'s Replica,
}

/// Opens the fields of an operation.
macro_rules! operation {
    ($key:ident, $store:ident, $which:ident, $replica:ident) => {
        Operation {
            key: $key,
            store: $store,
            which: $which,
            replica: $replica,
        }
    };
}

impl Resolver<'_, '_> {
    /// The steps of one list; the problems of all are reported. `group` is whose program it is.
    pub(super) fn steps(
        &mut self,
        steps: &[Spanned<Written>],
        group: &Spanned<String>,
        policies: &Named<Policy>,
    ) -> Option<Vec<Step>> {
        let mut all = Vec::with_capacity(steps.len());
        let mut good = true;
        for step in steps {
            good &= self.step(step, group, policies, &mut all).is_some();
        }
        good.then_some(all)
    }

    fn step(
        &mut self,
        step: &Spanned<Written>,
        group: &Spanned<String>,
        policies: &Named<Policy>,
        into: &mut Vec<Step>,
    ) -> Option<()> {
        let policy_of = |policy: &Option<Spanned<String>>| match policy {
            None => Some(0),
            // Number 0 is the policy of calls that name none.
            Some(name) => policies.position(name).map(|at| at as u16 + 1),
        };
        match &step.value {
            Written::Think(law) => into.push(Step::Think(self.time(law)?)),
            Written::Sleep(law) => into.push(Step::Sleep(self.time(law)?)),
            Written::Call {
                service,
                policy,
                request,
                tokens,
            } => {
                let file = self.file;
                let known = file
                    .services
                    .look_up(service, Code::UnknownService, "service", self.out);
                let tokens = match tokens {
                    Some(tokens) => {
                        let laws = (
                            self.amount(&tokens.tokens_in, "a number of tokens"),
                            self.amount(&tokens.tokens_out, "a number of tokens"),
                        );
                        laws.0.zip(laws.1).map(Some)
                    }
                    None => Some(None),
                };
                let bytes = self.bytes(request);
                known?;
                let at = file.services.position(service)?;
                into.push(Step::Call(CallStep {
                    server: self.addresses.services[at],
                    policy: policy_of(policy)?,
                    bytes: bytes?,
                    tokens: tokens?,
                }));
            }
            Written::Send { to, topic, bytes } => {
                let send = self.send(to, topic, bytes, group);
                into.push(Step::Send(send?));
            }
            Written::Ask {
                to,
                topic,
                bytes,
                timeout,
            } => {
                let send = self.send(to, topic, bytes, group)?;
                if matches!(send.to, To::All { .. }) {
                    let problem =
                        Diagnostic::error(Code::WrongPeers, step.span, "an `Ask` goes to one peer, not to all");
                    self.out.push(problem.help("send to all, and `Wait` for the answers"));
                    return None;
                }
                into.push(Step::Ask {
                    send,
                    timeout: timeout.map(|timeout| *timeout),
                });
            }
            Written::Reply { bytes } => into.push(Step::Reply {
                bytes: self.bytes(bytes)?,
            }),
            Written::Wait { topic, count, timeout } => into.push(Step::Wait {
                topic: topic.as_ref().map(|topic| self.topics[&topic.value]),
                count: **count,
                timeout: timeout.map(|timeout| *timeout),
            }),
            Written::Repeat { times, steps } => {
                let inner = self.steps(steps, group, policies);
                let times = match times {
                    Times::Forever => None,
                    Times::Law(law) => Some(self.amount(law, "a number of times")?),
                };
                let inner = inner?;
                if times.is_none() && !super::checks::may_leave_or_wait(&inner) {
                    let message = "this loop never waits and never ends: no step in it takes any time";
                    let problem = Diagnostic::error(Code::EndlessLoop, step.span, message);
                    self.out
                        .push(problem.help("add a `Sleep` or a `Think` that takes time, or say how often it repeats"));
                    return None;
                }
                into.push(Step::Repeat { times, steps: inner });
            }
            Written::Parallel(branches) => {
                if branches.is_empty() {
                    self.error(Code::EmptyGroup, step.span, "`Parallel` needs at least one branch");
                    return None;
                }
                let all: Vec<_> = branches
                    .iter()
                    .map(|branch| self.steps(branch, group, policies))
                    .collect();
                into.push(Step::Parallel(all.into_iter().collect::<Option<_>>()?));
            }
            Written::Choose(options) => {
                let all: Vec<_> = options
                    .iter()
                    .map(|(weight, steps)| Some((*weight, self.steps(steps, group, policies)?)))
                    .collect();
                let total: f64 = options.iter().map(|(weight, _)| *weight).sum();
                let negative = options.iter().any(|(weight, _)| *weight < 0.0);
                if negative || total <= 0.0 || !total.is_finite() {
                    self.error(
                        Code::BadLaw,
                        step.span,
                        "the weights of `Choose` are not negative, and one is above zero",
                    );
                    return None;
                }
                into.push(Step::Choose(all.into_iter().collect::<Option<_>>()?));
            }
            Written::Speculate { basis, guess, right } => {
                let both = (self.steps(basis, group, policies), self.steps(guess, group, policies));
                into.push(Step::Speculate {
                    basis: both.0?,
                    guess: both.1?,
                    right: right.get(),
                });
            }
            Written::Task { name, steps } => {
                let steps = self.steps(steps, group, policies)?;
                let name = self.tasks[&name.value];
                into.push(Step::Task { name, steps });
            }
            Written::Stop => into.push(Step::Stop),
            Written::Read {
                key,
                store,
                which,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let read = self.operate(&on, policy_of(policy), None, Action::Read, false)?;
                into.push(Step::Operate(read));
            }
            Written::Write {
                key,
                store,
                which,
                informed,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let write = (Some((KeyType::Register, "`Write`")), Action::Write);
                let step = self.operate(&on, policy_of(policy), write.0, write.1, *informed)?;
                into.push(Step::Operate(step));
            }
            Written::Add {
                key,
                store,
                which,
                by,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let (law, kind) = (self.law(by), Some((KeyType::Counter, "`Add`")));
                let step = self.operate(&on, policy_of(policy), kind, Action::Add(some(&law)), false);
                law?;
                into.push(Step::Operate(step?));
            }
            Written::Insert {
                key,
                store,
                which,
                element,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let (law, kind) = (self.amount(element, "an element"), Some((KeyType::Set, "`Insert`")));
                let step = self.operate(&on, policy_of(policy), kind, Action::Insert(some(&law)), false);
                law?;
                into.push(Step::Operate(step?));
            }
            Written::Remove {
                key,
                store,
                which,
                element,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let (law, kind) = (self.amount(element, "an element"), Some((KeyType::Set, "`Remove`")));
                let step = self.operate(&on, policy_of(policy), kind, Action::Remove(some(&law)), false);
                law?;
                into.push(Step::Operate(step?));
            }
            Written::Update {
                key,
                store,
                which,
                think,
                op,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let policy = policy_of(policy);
                let steps = self.update(&on, policy, think, op)?;
                into.extend(steps);
            }
            Written::CompareAndSwap {
                key,
                store,
                which,
                think,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let policy = policy_of(policy);
                let steps = self.compare_and_swap(&on, policy, think)?;
                into.extend(steps);
            }
        }
        Some(())
    }

    /// Read, think, change: three steps about one key.
    fn update(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        think: &Spanned<TimeLaw>,
        op: &Spanned<UpdateOp>,
    ) -> Option<[Step; 3]> {
        let think = self.time(think);
        let (kind, action) = match &op.value {
            UpdateOp::Write => ((KeyType::Register, "`Write`"), Some(Action::Write)),
            UpdateOp::Add(law) => ((KeyType::Counter, "`Add`"), self.law(law).map(Action::Add)),
            UpdateOp::Insert(law) => (
                (KeyType::Set, "`Insert`"),
                self.amount(law, "an element").map(Action::Insert),
            ),
            UpdateOp::Remove(law) => (
                (KeyType::Set, "`Remove`"),
                self.amount(law, "an element").map(Action::Remove),
            ),
        };
        let read = self.operate(on, policy, Some(kind), Action::Read, false)?;
        let mut change = OperateStep {
            action: action?,
            carries_context: true,
            bytes: self.value_bytes(read.store),
            ..read.clone()
        };
        change.keys.same = true;
        Some([Step::Operate(read), Step::Think(think?), Step::Operate(change)])
    }

    /// Read, think, write if the key hasn't moved on: three steps about one key, at the only replica.
    fn compare_and_swap(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        think: &Spanned<TimeLaw>,
    ) -> Option<[Step; 3]> {
        let [mut read, think, mut write] = self.update(on, policy, think, &Spanned::from(UpdateOp::Write))?;
        if let (Step::Operate(read), Step::Operate(write)) = (&mut read, &mut write) {
            let store = self.file.state.canonical().nth(usize::from(read.store))?.1;
            if store.at.value.0.len() > 1 {
                let message =
                    "`CompareAndSwap` needs a store with one replica: no one else decides which write came first";
                self.error(Code::WrongKeyType, on.key.span, message);
                return None;
            }
            (read.swap, write.swap) = (Some(Swap::Read), Some(Swap::Write));
        }
        Some([read, think, write])
    }

    fn operate(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        kind: Option<(KeyType, &str)>,
        action: Action,
        carries_context: bool,
    ) -> Option<OperateStep> {
        let place = self.key(on.key, on.store.as_ref());
        let law = match on.which {
            Some(law) => self.amount(law, "the number of a key").map(Some),
            None => Some(None),
        };
        let place = place?;
        if let Some((needed, what)) = kind
            && needed != place.key_type
        {
            let message = format!("{what} is for a {needed}, and this key is a {}", place.key_type);
            self.error(Code::WrongKeyType, on.key.span, message);
            return None;
        }
        let (_, store) = self.file.state.canonical().nth(usize::from(place.store))?;
        let bytes = match action {
            Action::Read => 0,
            _ => self.value_bytes(place.store),
        };
        let replica = match on.replica {
            Replica::Nearest => ReplicaChoice::Nearest,
            Replica::Random => ReplicaChoice::Random,
            Replica::At(site) => ReplicaChoice::Fixed(u32::from(self.replica(site, store)?)),
        };
        Some(OperateStep {
            store: place.store,
            keys: KeyChoice {
                first: place.first,
                count: place.count,
                law: law?,
                same: false,
            },
            action,
            carries_context,
            replica,
            policy: policy?,
            bytes,
            swap: None,
        })
    }

    /// The size of a value or an element of a store.
    fn value_bytes(&self, store: u16) -> u32 {
        let (_, store) = self
            .file
            .state
            .canonical()
            .nth(usize::from(store))
            .expect("numbered by resolving it");
        u32::try_from(store.value.0).unwrap_or(u32::MAX)
    }

    /// The keys of a name, in the store that is meant.
    fn key(&mut self, key: &Spanned<String>, store: Option<&Spanned<String>>) -> Option<KeyPlace> {
        let file = self.file;
        let places = self.keys.get(&key.value).map_or(&[][..], Vec::as_slice);
        match (store, places) {
            (None, [only]) => Some(*only),
            (None, [_, ..]) => {
                let stores = places
                    .iter()
                    .map(|place| self.stores[usize::from(place.store)].name.as_str());
                let message = format!(
                    "several stores have a key {}",
                    crate::scenario::syntax::write::quoted(key)
                );
                let problem = Diagnostic::error(Code::AmbiguousName, key.span, message);
                let listed = crate::scenario::syntax::suggest::listed(stores);
                self.out
                    .push(problem.note(format!("they are {listed}; say which: `store: ...`")));
                None
            }
            (None, []) => {
                unknown_name(
                    key,
                    self.keys.keys().map(String::as_str),
                    Code::UnknownKey,
                    "key",
                    self.out,
                );
                None
            }
            (Some(name), _) => {
                let store = file.state.look_up(name, Code::UnknownStore, "store", self.out)?;
                let number = file.state.position(name)? as u16;
                let found = places.iter().find(|place| place.store == number).copied();
                if found.is_none() {
                    unknown_name(key, store.keys.names(), Code::UnknownKey, "key of this store", self.out);
                }
                found
            }
        }
    }

    fn send(
        &mut self,
        to: &Peers,
        topic: &Spanned<String>,
        bytes: &Spanned<Bytes>,
        sender: &Spanned<String>,
    ) -> Option<SendStep> {
        let bytes = self.bytes(bytes);
        let to = match to {
            Peers::Sender => To::Sender,
            Peers::Any(group) => {
                let (base, count) = self.members(group)?;
                if count == 1 && group.value == sender.value {
                    self.error(Code::WrongPeers, group.span, "the group has no member but the sender");
                    return None;
                }
                To::Any { base, count }
            }
            Peers::All(group) => {
                let (base, count) = self.members(group)?;
                To::All { base, count }
            }
            Peers::Same(group) => {
                let (base, count) = self.members(group)?;
                To::Same { base, count }
            }
            Peers::Next(group) => {
                let (base, count) = self.members(group)?;
                To::Next { base, count }
            }
            Peers::Member(group, number) => {
                let (base, count) = self.members(group)?;
                if *number >= count {
                    let message = format!("the group has {count} members, numbered from 0: there is no {number}");
                    self.error(Code::WrongPeers, group.span, message);
                    return None;
                }
                To::One(base + number)
            }
        };
        Some(SendStep {
            to,
            topic: self.topics[&topic.value],
            bytes: bytes?,
        })
    }

    /// The entities of a group: the first, and how many.
    fn members(&mut self, name: &Spanned<String>) -> Option<(u32, u32)> {
        let file = self.file;
        let group = file
            .agents
            .look_up(name, Code::UnknownGroup, "group of agents", self.out)?;
        if group.is_stream() {
            let message = "agents of a stream come and go: none of them can be sent to by its number";
            self.error(Code::WrongPeers, name.span, message);
            return None;
        }
        let at = file.agents.position(name)?;
        let crate::scenario::language::agents::Count::Fixed(count) = group.count.value else {
            return None;
        };
        Some((self.addresses.agents[at], *count))
    }
}

/// The law, or one that stands for it while its problems are already reported.
fn some(law: &Option<Law>) -> Law {
    law.clone().unwrap_or(Law::Constant(0.0))
}
