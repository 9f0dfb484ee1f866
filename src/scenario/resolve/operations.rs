//! The steps on shared state.

use super::Resolver;
use super::state::KeyPlace;
use crate::agents::rows::RowPlace;
use crate::agents::step::{Action, KeyChoice, OperateStep, ReplicaChoice, Step, Swap};
use crate::random::Law;
use crate::scenario::language::state::{Coordinator, Model};
use crate::scenario::language::steps::{Replica, UpdateOp, Which};
use crate::scenario::language::{NumberLaw, Step as Written, Store, TimeLaw};
use crate::scenario::syntax::{Code, Diagnostic, Part, Spanned, suggest, unknown_name, write};
use crate::state::{KeyType, Op};

/// What laws of keys, maps and texts are about, for messages.
const KEY: &str = "the number of a key";
const FIELD: &str = "the number of a field";
const POSITION: &str = "a position";
const CHARACTERS: &str = "a number of characters";

/// A law of numbers, as far as it could be read.
type Number = Part<Spanned<NumberLaw>>;

/// The policy that a step names, if it names one.
type Policy = Part<Option<Spanned<String>>>;

/// The fields that all operations on shared state have.
pub(super) struct Operation<'s> {
    pub key: &'s Part<Spanned<String>>,
    pub store: &'s Part<Option<Spanned<String>>>,
    pub which: &'s Part<Option<Spanned<Which>>>,
    pub replica: &'s Part<Option<Replica>>,
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

impl<'a> Resolver<'a, '_> {
    /// The steps that an operation on shared state consists of. `policy_of` gives the number of a policy in the group.
    pub(super) fn operation(
        &mut self,
        step: &Written,
        policy_of: &dyn Fn(&Policy) -> Option<u16>,
    ) -> Option<Vec<Step>> {
        Some(match step {
            Written::Read {
                key,
                store,
                which,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let read = self.operate(&on, policy_of(policy), None, Action::Read, false)?;
                vec![Step::Operate(read)]
            }
            Written::When {
                key,
                store,
                which,
                replica,
                policy,
                ..
            } => {
                let on = operation!(key, store, which, replica);
                let mut read = self.operate(&on, policy_of(policy), None, Action::Read, false)?;
                read.counts = true;
                vec![Step::Operate(read)]
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
                let (kind, knows) = (Some((KeyType::Register, "`Write`")), informed.get() == Some(&true));
                let step = self.operate(&on, policy_of(policy), kind, Action::Write, knows);
                informed.get()?;
                vec![Step::Operate(step?)]
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
                let law = by.get().and_then(|by| self.added(by));
                let kind = (KeyType::Counter, "`Add`");
                vec![self.with_law(&on, policy_of(policy), kind, law, Action::Add)?]
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
                let law = self.amount_of(element, "an element");
                let kind = (KeyType::Set, "`Insert`");
                vec![self.with_law(&on, policy_of(policy), kind, law, Action::Insert)?]
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
                let law = self.amount_of(element, "an element");
                let kind = (KeyType::Set, "`Remove`");
                vec![self.with_law(&on, policy_of(policy), kind, law, Action::Remove)?]
            }
            Written::Put {
                key,
                store,
                which,
                field,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let law = self.amount_of(field, FIELD);
                let kind = (KeyType::Map, "`Put`");
                vec![self.with_law(&on, policy_of(policy), kind, law, Action::Put)?]
            }
            Written::Increase {
                key,
                store,
                which,
                field,
                by,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let (field, by) = (self.amount_of(field, FIELD), by.get().and_then(|by| self.added(by)));
                let kind = Some((KeyType::Map, "`Increase`"));
                let action = Action::Increase {
                    field: some(&field),
                    by: some(&by),
                };
                let step = self.operate(&on, policy_of(policy), kind, action, false);
                field.zip(by)?;
                vec![Step::Operate(step?)]
            }
            Written::Drop {
                key,
                store,
                which,
                field,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let law = self.amount_of(field, FIELD);
                let kind = (KeyType::Map, "`Drop`");
                vec![self.with_law(&on, policy_of(policy), kind, law, Action::Drop)?]
            }
            Written::InsertText {
                key,
                store,
                which,
                at,
                length,
                informed,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let (laws, kind) = (self.range(at, length), (KeyType::Text, "`InsertText`"));
                let action = |at, length| Action::InsertText { at, length };
                vec![self.with_range(&on, policy_of(policy), kind, laws, informed, action)?]
            }
            Written::DeleteText {
                key,
                store,
                which,
                at,
                length,
                informed,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let (laws, kind) = (self.range(at, length), (KeyType::Text, "`DeleteText`"));
                let action = |at, length| Action::DeleteText { at, length };
                vec![self.with_range(&on, policy_of(policy), kind, laws, informed, action)?]
            }
            Written::Update {
                key,
                store,
                which,
                think,
                op,
                at_least,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let steps = self.update(&on, policy_of(policy), think, op)?;
                guarded(steps, *at_least.get()?)
            }
            Written::CompareAndSwap {
                key,
                store,
                which,
                think,
                op,
                at_least,
                seen,
                replica,
                policy,
            } => {
                let on = operation!(key, store, which, replica);
                let mut steps = self.compare_and_swap(&on, policy_of(policy), think, op, at_least)?;
                let at_least = *at_least.get()?;
                if let (true, Step::Operate(read)) = (*seen.get()?, &mut steps[0]) {
                    if at_least.is_some() {
                        let message = "`seen` goes without a read, and `at_least` by what a read shows";
                        self.error(Code::Conflicting, key.get()?.span, message);
                        return None;
                    }
                    read.swap = Some(Swap::ReadUnlessSeen { ahead: 2 });
                }
                guarded(steps, at_least)
            }
            _ => unreachable!("the other steps are no operations on shared state"),
        })
    }

    /// An operation with one law. Where that has problems, which are reported, the others are looked for all the same.
    fn with_law(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        kind: (KeyType, &str),
        law: Option<Law>,
        action: fn(Law) -> Action,
    ) -> Option<Step> {
        let step = self.operate(on, policy, Some(kind), action(some(&law)), false);
        law?;
        step.map(Step::Operate)
    }

    /// An edit of a range of a text.
    fn with_range(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        kind: (KeyType, &str),
        laws: Option<(Law, Law)>,
        informed: &Part<bool>,
        action: fn(Law, Law) -> Action,
    ) -> Option<Step> {
        let (at, length) = laws.clone().unzip();
        let (action, knows) = (action(some(&at), some(&length)), informed.get() == Some(&true));
        let step = self.operate(on, policy, Some(kind), action, knows);
        laws?;
        informed.get()?;
        step.map(Step::Operate)
    }

    /// The laws of a position in a text and of a number of characters.
    fn range(&mut self, at: &Number, length: &Number) -> Option<(Law, Law)> {
        let laws = (self.amount_of(at, POSITION), self.amount_of(length, CHARACTERS));
        laws.0.zip(laws.1)
    }

    /// Read, think, change: three steps about one key.
    fn update(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        think: &Part<Spanned<TimeLaw>>,
        op: &Part<Spanned<UpdateOp>>,
    ) -> Option<[Step; 3]> {
        let think = self.time_of(think);
        let change = op.get().map(|op| match &op.value {
            UpdateOp::Write => ((KeyType::Register, "`Write`"), Some(Action::Write)),
            UpdateOp::Add(law) => ((KeyType::Counter, "`Add`"), self.added(law).map(Action::Add)),
            UpdateOp::Insert(law) => (
                (KeyType::Set, "`Insert`"),
                self.amount(law, "an element").map(Action::Insert),
            ),
            UpdateOp::Remove(law) => (
                (KeyType::Set, "`Remove`"),
                self.amount(law, "an element").map(Action::Remove),
            ),
            UpdateOp::Put(law) => ((KeyType::Map, "`Put`"), self.amount(law, FIELD).map(Action::Put)),
            UpdateOp::Increase { field, by } => {
                let laws = (self.amount(field, FIELD), self.added(by));
                let action = laws.0.zip(laws.1).map(|(field, by)| Action::Increase { field, by });
                ((KeyType::Map, "`Increase`"), action)
            }
            UpdateOp::Drop(law) => ((KeyType::Map, "`Drop`"), self.amount(law, FIELD).map(Action::Drop)),
            UpdateOp::InsertText { at, length } => {
                let laws = (self.amount(at, POSITION), self.amount(length, CHARACTERS));
                let action = laws.0.zip(laws.1).map(|(at, length)| Action::InsertText { at, length });
                ((KeyType::Text, "`InsertText`"), action)
            }
            UpdateOp::DeleteText { at, length } => {
                let laws = (self.amount(at, POSITION), self.amount(length, CHARACTERS));
                let action = laws.0.zip(laws.1).map(|(at, length)| Action::DeleteText { at, length });
                ((KeyType::Text, "`DeleteText`"), action)
            }
        });
        let read = self.operate(on, policy, change.as_ref().map(|(kind, _)| *kind), Action::Read, false)?;
        let mut change = OperateStep {
            action: change?.1?,
            carries_context: true,
            bytes: self.value_bytes(read.store)?,
            ..read.clone()
        };
        if matches!(change.action, Action::InsertText { .. } | Action::DeleteText { .. }) {
            change.bytes = 0;
        }
        change.keys.same = true;
        Some([Step::Operate(read), Step::Think(think?), Step::Operate(change)])
    }

    /// Read, think, write if the key hasn't moved on: three steps about one key, at the only replica.
    fn compare_and_swap(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        think: &Part<Spanned<TimeLaw>>,
        op: &Part<Spanned<UpdateOp>>,
        at_least: &Part<Option<i64>>,
    ) -> Option<[Step; 3]> {
        let [mut read, think, mut write] = self.update(on, policy, think, op)?;
        if let (Step::Operate(read), Step::Operate(write)) = (&mut read, &mut write) {
            if matches!(self.store(read.store)?.model.get()?.value, Model::Quorum { .. }) {
                let message =
                    "`CompareAndSwap` needs a store without quorums: two coordinators could let a write pass each";
                let problem = Diagnostic::error(Code::WrongKeyType, on.key.get()?.span, message);
                let problem = problem.note(
                    "stores after Dynamo run a consensus for each key instead, as Cassandra's lightweight transactions do; quorums here don't",
                );
                self.out.push(problem.help(
                    "use `model: Raft`, where a log decides which change came first, with `shards: ...` for many keys; or `Primary`",
                ));
                return None;
            }
            // One log decides which came first.
            let model = &self.store(read.store)?.model.get()?.value;
            let agrees = matches!(model, Model::Primary { .. } | Model::Raft { .. });
            if !agrees && self.store(read.store)?.at.get()?.value.0.len() > 1 {
                let message = "`CompareAndSwap` needs a store with one replica, a `Primary` or `Raft`: no one else decides \
                               which change came first";
                self.error(Code::WrongKeyType, on.key.get()?.span, message);
                return None;
            }
            // The read, what looks at it, and the think.
            let back = if at_least.get()?.is_some() { 3 } else { 2 };
            (read.swap, write.swap) = (Some(Swap::Read), Some(Swap::Write { back }));
        }
        Some([read, think, write])
    }

    pub(super) fn operate(
        &mut self,
        on: &Operation<'_>,
        policy: Option<u16>,
        kind: Option<(KeyType, &str)>,
        action: Action,
        carries_context: bool,
    ) -> Option<OperateStep> {
        let place = on.key.get().and_then(|key| self.key(key, on.store.get()?.as_ref()));
        let law = on.which.each(|which| match &which.value {
            Which::Law(law) => self.amount(law, KEY),
            Which::OfRun(law) => self.in_run(which.span, "`OfRun`").and(self.amount(law, KEY)),
        });
        let of_run = matches!(on.which.given().map(|which| &which.value), Some(Which::OfRun(_)));
        let place = place?;
        let keys = place.keys;
        let fits = match (kind, keys) {
            (Some((needed, what)), Some(keys)) if needed != keys.key_type => {
                let message = format!("{what} is for a {needed}, and this key is a {}", keys.key_type);
                self.error(Code::WrongKeyType, on.key.get()?.span, message);
                None
            }
            _ => keys,
        };
        self.check_fenced(on, place.store);
        let fits = fits.filter(|keys| !self.model_refuses(on, place.store, keys.key_type, &action));
        let replica = on.replica.get().and_then(|replica| match replica {
            None => self.store_choice(place.store),
            Some(Replica::Nearest) => Some(ReplicaChoice::Nearest),
            Some(Replica::Random) => Some(ReplicaChoice::Random),
            Some(Replica::At(site)) => {
                let sites = self.stores[usize::from(place.store)].sites.clone();
                self.replica(site, &sites).map(|at| ReplicaChoice::Fixed(u32::from(at)))
            }
        });
        let bytes = match action {
            // Characters are counted when they are drawn.
            Action::Read | Action::InsertText { .. } | Action::DeleteText { .. } | Action::Edit(_) => 0,
            _ => self.value_bytes(place.store)?,
        };
        let (keys, law) = (fits?, law?);
        self.check_which(law.as_ref(), on.which.given().map(|which| which.span), keys.count);
        Some(OperateStep {
            store: place.store,
            keys: KeyChoice {
                first: keys.first,
                count: keys.count,
                law,
                same: false,
                of_run: of_run.then(RowPlace::default),
            },
            action,
            carries_context,
            replica: replica?,
            policy: policy?,
            bytes,
            swap: None,
            counts: false,
        })
    }

    /// Whether the store's model refuses an operation that the step may ask for; that is reported.
    fn model_refuses(&mut self, on: &Operation<'_>, store: u16, key: KeyType, action: &Action) -> bool {
        let op = match action {
            Action::Add(law) => Op::Add(law.support().0 as i64),
            Action::Remove(_) => Op::Remove(0),
            Action::Insert(_) => Op::Insert(0),
            _ => return false,
        };
        let model = self.stores[usize::from(store)].model;
        let (Some(reason), Some(name)) = (model.and_then(|model| model.refuses_op(key, op)), on.key.get()) else {
            return false;
        };
        let problem = Diagnostic::error(Code::ModelRefusesOp, name.span, reason);
        self.out
            .push(problem.note("that is the type that the store's `model` gives this key"));
        true
    }

    /// Tokens of a lock protect a key where one replica sees those of all that is done to it.
    fn check_fenced(&mut self, on: &Operation<'_>, store: u16) {
        let (Some(lock), Some(written)) = (self.fenced, self.store(store)) else {
            return;
        };
        let (Some(model), Some(at), Some(key)) = (written.model.get(), written.at.get(), on.key.get()) else {
            return;
        };
        let one = matches!(model.value, Model::Primary { .. })
            || !matches!(model.value, Model::Quorum { .. }) && at.value.0.len() == 1;
        if !one {
            let message =
                "the lock fences what is done under it, and here several replicas do it: none of them sees all tokens";
            let problem = Diagnostic::error(Code::BadLock, key.span, message);
            let problem = problem.label(lock, "this lock has `fencing`");
            let help = match model.value {
                Model::Raft { .. } => {
                    "under `Raft` reads have no place in the log, and `CompareAndSwap` refuses what comes late; or use `model: Primary()`"
                }
                _ => "a store of one replica, or with `model: Primary()`, can refuse what comes late",
            };
            self.out.push(problem.help(help));
        }
    }

    /// The store of this number, if it could be read.
    fn store(&self, number: u16) -> Option<&'a Store> {
        let (_, store) = self.file.state.at(usize::from(number))?;
        store.get()
    }

    /// Whom the agents of a store ask unless a step says it.
    pub(super) fn store_choice(&self, number: u16) -> Option<ReplicaChoice> {
        Some(match &self.store(number)?.model.get()?.value {
            Model::Quorum { coordinator, .. } => match coordinator.get()? {
                Coordinator::Nearest => ReplicaChoice::Nearest,
                Coordinator::Random => ReplicaChoice::Random,
            },
            _ => ReplicaChoice::Nearest,
        })
    }

    /// The size of a value or an element of a store.
    fn value_bytes(&self, store: u16) -> Option<u32> {
        let value = self.store(store)?.value.get()?;
        Some(u32::try_from(value.0).unwrap_or(u32::MAX))
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
                let message = format!("several stores have a key {}", write::quoted(key));
                let problem = Diagnostic::error(Code::AmbiguousName, key.span, message);
                let listed = suggest::listed(stores);
                self.out
                    .push(problem.note(format!("they are {listed}; say which: `store: ...`")));
                None
            }
            (None, []) => {
                if file.state.is_whole() && self.stores.iter().all(|store| store.keys_known) {
                    unknown_name(
                        key,
                        self.keys.keys().map(String::as_str),
                        Code::UnknownKey,
                        "key",
                        self.out,
                    );
                }
                None
            }
            (Some(name), _) => {
                let store = file.state.look_up(name, Code::UnknownStore, "store", self.out)?.get()?;
                let number = file.state.position(name)? as u16;
                let found = places.iter().find(|place| place.store == number).copied();
                if found.is_none() && store.keys.is_whole() {
                    unknown_name(key, store.keys.names(), Code::UnknownKey, "key of this store", self.out);
                }
                found
            }
        }
    }
}

/// Read, think, change; the last two only if the read shows as much.
fn guarded([read, think, change]: [Step; 3], at_least: Option<i64>) -> Vec<Step> {
    let Some(at_least) = at_least else {
        return vec![read, think, change];
    };
    let read = match read {
        Step::Operate(read) => Step::Operate(OperateStep { counts: true, ..read }),
        other => other,
    };
    let when = Step::When {
        at_least,
        steps: vec![think, change],
        otherwise: Vec::new(),
    };
    vec![read, when]
}

/// The law, or one that stands for it while its problems are already reported.
fn some(law: &Option<Law>) -> Law {
    law.clone().unwrap_or(Law::Constant(0.0))
}
