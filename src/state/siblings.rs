//! Siblings: several versions of one key that none of their writers had seen, and the rules by which a reader resolves them.
//!
//! Rules are applied when the key is read, and when the replica itself computes the next counter or set. The entry keeps
//! all siblings until a write supersedes them: resolution loses nothing that a later reader could still want, but a writer
//! who sends back the context of a resolved read supersedes what the rule had hidden from it.

use super::{Dot, Fate, Held, KeyType, Op, Refusal, Value};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Reverse;

/// How a reader resolves siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MergeRule {
    /// Shows all of them; the client resolves. Registers only.
    KeepAll,
    /// Shows the greatest value (of a register or counter); ties go to the highest dot.
    Max,
    /// Shows the least value (of a register or counter); ties go to the highest dot.
    Min,
    /// Shows the elements of all siblings (sets): removed elements may come back, as in Dynamo's shopping cart.
    Union,
    /// Shows the sum of all siblings (counters). What they were both built on is counted more than once.
    Sum,
    /// Shows the version of the preferred replica, or else of the lowest replica; of one replica, the latest version.
    PreferReplica(u16),
    /// What a function of one's own shows. Of the library alone: a scenario can't name one.
    Custom(CustomRule),
}

/// A merge rule of one's own.
///
/// It is asked whenever a key with more than one sibling is read, and when a replica itself computes the next counter or set.
/// What it shows must follow from the siblings alone, whatever order they are listed in (they come ascending by dot), or
/// replicas that hold the same would show different values. Rules are told apart by their names.
#[derive(Debug, Clone, Copy)]
pub struct CustomRule {
    /// Its name, in messages.
    pub name: &'static str,
    /// The types of key whose siblings it resolves.
    pub keys: &'static [KeyType],
    /// What a reader sees of two siblings or more, and the dots of the versions that this is made of, ascending.
    pub resolve: fn(KeyType, &[Sibling]) -> (Value, Vec<Dot>),
}

impl PartialEq for CustomRule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CustomRule {}

impl PartialOrd for CustomRule {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomRule {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(other.name)
    }
}

impl std::hash::Hash for CustomRule {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Serialize for CustomRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CustomRule {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("a merge rule in Rust can't be read from data"))
    }
}

impl MergeRule {
    /// Whether the rule resolves siblings of keys of this type.
    pub fn fits(self, key: KeyType) -> bool {
        match self {
            Self::KeepAll => key == KeyType::Register,
            Self::Max | Self::Min => matches!(key, KeyType::Register | KeyType::Counter),
            Self::Union => key == KeyType::Set,
            Self::Sum => key == KeyType::Counter,
            Self::PreferReplica(_) => KeyType::PLAIN.contains(&key),
            Self::Custom(rule) => KeyType::PLAIN.contains(&key) && rule.keys.contains(&key),
        }
    }

    /// The word in a scenario and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAll => "KeepAll",
            Self::Max => "Max",
            Self::Min => "Min",
            Self::Union => "Union",
            Self::Sum => "Sum",
            Self::PreferReplica(_) => "PreferReplica",
            Self::Custom(rule) => rule.name,
        }
    }

    /// What the rule means for keys of a type that it fits.
    fn reading(self) -> Cow<'static, str> {
        match self {
            Self::KeepAll => "a reader sees all siblings".into(),
            Self::Max => "a reader sees the greatest sibling".into(),
            Self::Min => "a reader sees the least sibling".into(),
            Self::Union => "a reader sees the union of the siblings, so that removed elements may come back".into(),
            Self::Sum => "a reader sees the sum of the siblings, which counts their common base more than once".into(),
            Self::PreferReplica(replica) => {
                format!("a reader sees the sibling that replica {replica} accepted, or else that of the lowest replica")
                    .into()
            }
            Self::Custom(rule) => format!("a reader sees what {} makes of the siblings", rule.name).into(),
        }
    }
}

/// The rule for each type of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MergeRules {
    /// For registers.
    pub register: MergeRule,
    /// For counters.
    pub counter: MergeRule,
    /// For sets.
    pub set: MergeRule,
}

impl Default for MergeRules {
    /// Registers show all siblings, counters the greatest, sets their union.
    fn default() -> Self {
        Self {
            register: MergeRule::KeepAll,
            counter: MergeRule::Max,
            set: MergeRule::Union,
        }
    }
}

impl MergeRules {
    /// The rule for keys of this type.
    ///
    /// # Panics
    /// Panics for a type that no model with siblings has.
    pub fn of(self, key: KeyType) -> MergeRule {
        match key {
            KeyType::Text | KeyType::Map => panic!("no rule merges a {key}"),
            KeyType::Register => self.register,
            KeyType::Counter => self.counter,
            KeyType::Set => self.set,
        }
    }

    /// How keys of this type are realised by a model with siblings.
    ///
    /// # Errors
    /// A [`Refusal`] if the rule for this type doesn't fit it.
    pub fn realisation(self, model: &'static str, key: KeyType, blind: Blind) -> Result<String, Refusal> {
        if !KeyType::PLAIN.contains(&key) {
            let reason = "a rule chooses one sibling, or adds them up, and can't merge what they are made of; use `Crdt`, or \
                          `LastWriteWins` to keep one";
            return Err(Refusal {
                model,
                key,
                reason: reason.into(),
            });
        }
        let rule = self.of(key);
        if !rule.fits(key) {
            let fitting = [
                MergeRule::KeepAll,
                MergeRule::Max,
                MergeRule::Min,
                MergeRule::Union,
                MergeRule::Sum,
            ];
            let mut names: Vec<_> = fitting
                .iter()
                .filter(|rule| rule.fits(key))
                .map(|rule| rule.name())
                .collect();
            names.push("PreferReplica");
            let reason = format!(
                "the merge rule {} doesn't resolve a {key}; use {}",
                rule.name(),
                names.join(" or ")
            );
            return Err(Refusal {
                model,
                key,
                reason: reason.into(),
            });
        }
        let write = match (key, blind) {
            (KeyType::Register, Blind::Sibling) => {
                "a write supersedes the siblings that its context covers, and a blind one supersedes none"
            }
            (KeyType::Register, Blind::Overwrite) => {
                "a write supersedes the siblings that its context covers, and a blind one those that the accepting replica holds"
            }
            (KeyType::Counter, _) => {
                "an increment is accepted as the replica's resolved sum plus the delta, and supersedes what the replica holds"
            }
            (_, _) => {
                "an insert or remove is accepted as the replica's resolved set with the change, and supersedes what the replica holds"
            }
        };
        Ok(format!("{write}; {}", rule.reading()))
    }
}

/// What a blind write (one without a context) supersedes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blind {
    /// Nothing: it becomes a sibling of all that the replica holds, as in Riak and Dynamo.
    #[default]
    Sibling,
    /// Everything that the accepting replica holds, as if it had been read there.
    Overwrite,
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sibling {
    /// Its identity.
    pub dot: Dot,
    /// Its whole value.
    pub held: Held,
}

/// What a reader sees of `siblings` (ascending by dot) under `rule`, and the versions that it is made of.
///
/// # Panics
/// Panics if the rule doesn't fit the key's type.
pub fn resolve(key: KeyType, rule: MergeRule, siblings: &[Sibling]) -> (Value, Vec<Dot>) {
    assert!(rule.fits(key), "{} doesn't resolve a {key}", rule.name());
    let all = || siblings.iter().map(|sibling| sibling.dot).collect();
    let chosen = match rule {
        _ if siblings.is_empty() => return (key.empty(), Vec::new()),
        _ if siblings.len() == 1 => &siblings[0],
        MergeRule::KeepAll => {
            return (
                Value::Register(siblings.iter().filter_map(|sibling| register(&sibling.held)).collect()),
                all(),
            );
        }
        MergeRule::Sum => {
            let sum = siblings
                .iter()
                .fold(0i64, |sum, sibling| sum.wrapping_add(counter(&sibling.held)));
            return (Value::Counter(sum), all());
        }
        MergeRule::Union => {
            let mut elements: Vec<u64> = siblings
                .iter()
                .flat_map(|sibling| elements(&sibling.held))
                .copied()
                .collect();
            elements.sort_unstable();
            elements.dedup();
            return (Value::Set(elements), all());
        }
        MergeRule::Custom(rule) => {
            let (value, dots) = (rule.resolve)(key, siblings);
            assert_eq!(value.key_type(), key, "{} shows a value of another type", rule.name);
            return (value, dots);
        }
        MergeRule::Max => siblings
            .iter()
            .max_by_key(|sibling| (order(&sibling.held), sibling.dot))
            .expect("not empty"),
        MergeRule::Min => siblings
            .iter()
            .min_by_key(|sibling| (order(&sibling.held), Reverse(sibling.dot)))
            .expect("not empty"),
        MergeRule::PreferReplica(preferred) => siblings
            .iter()
            .min_by_key(|sibling| {
                let origin = sibling.dot.origin;
                (
                    origin.replica() != preferred,
                    origin.replica(),
                    Reverse((origin.life(), sibling.dot.number)),
                )
            })
            .expect("not empty"),
    };
    (chosen.held.to_value(), vec![chosen.dot])
}

/// The value that `op` leaves, computed from the resolved `siblings`, with word of what it was built on.
pub(crate) fn build(
    key: KeyType,
    rule: MergeRule,
    siblings: &[Sibling],
    op: Op,
    version: Dot,
    fates: &mut impl FnMut(Fate),
) -> Held {
    assert!(key.admits(op), "{op:?} is no operation on a {key}");
    if key == KeyType::Register || siblings.is_empty() {
        return Held::after(None, op);
    }
    let (value, dots) = resolve(key, rule, siblings);
    for base in dots {
        fates(Fate::BuiltOn { version, base });
    }
    let base = match value {
        Value::Counter(sum) => Held::Counter(sum),
        Value::Set(elements) => Held::Set(Box::new(elements.into())),
        Value::Register(_) | Value::Text(_) | Value::Map(_) => {
            unreachable!("registers aren't computed, and texts and maps have no siblings")
        }
    };
    Held::after(Some(&base), op)
}

fn register(held: &Held) -> Option<u64> {
    match held {
        Held::Register(value) => Some(*value),
        _ => None,
    }
}

fn counter(held: &Held) -> i64 {
    match held {
        Held::Counter(sum) => *sum,
        _ => 0,
    }
}

fn elements(held: &Held) -> &[u64] {
    match held {
        Held::Set(elements) => elements.as_slice(),
        _ => &[],
    }
}

/// The order of register values and of sums, on one scale.
fn order(held: &Held) -> i128 {
    match held {
        Held::Register(value) => i128::from(*value),
        Held::Counter(sum) => i128::from(*sum),
        Held::Set(_) | Held::Text(_) | Held::Map(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Origin;

    fn sibling(replica: u16, number: u32, held: Held) -> Sibling {
        Sibling {
            dot: Dot::new(Origin::new(replica, 0), number),
            held,
        }
    }

    #[test]
    fn rules_resolve_as_they_say() {
        let counters = [
            sibling(0, 3, Held::Counter(-4)),
            sibling(1, 1, Held::Counter(9)),
            sibling(1, 2, Held::Counter(9)),
            sibling(2, 1, Held::Counter(-4)),
        ];
        let show = |rule| {
            let (value, dots) = resolve(KeyType::Counter, rule, &counters);
            let Value::Counter(sum) = value else {
                panic!("a counter")
            };
            (
                sum,
                dots.iter()
                    .map(|dot| (dot.origin.replica(), dot.number))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(show(MergeRule::Max), (9, vec![(1, 2)]));
        assert_eq!(show(MergeRule::Min), (-4, vec![(2, 1)]));
        assert_eq!(show(MergeRule::Sum), (10, vec![(0, 3), (1, 1), (1, 2), (2, 1)]));
        assert_eq!(show(MergeRule::PreferReplica(1)), (9, vec![(1, 2)]));
        assert_eq!(show(MergeRule::PreferReplica(7)), (-4, vec![(0, 3)]));

        let sets = [
            sibling(0, 1, Held::after(None, Op::Insert(2))),
            sibling(1, 1, Held::after(None, Op::Insert(1))),
        ];
        assert_eq!(resolve(KeyType::Set, MergeRule::Union, &sets).0, Value::Set(vec![1, 2]));
        let registers = [sibling(0, 1, Held::Register(8)), sibling(1, 1, Held::Register(5))];
        assert_eq!(
            resolve(KeyType::Register, MergeRule::KeepAll, &registers).0,
            Value::Register(vec![8, 5])
        );
        assert_eq!(
            resolve(KeyType::Register, MergeRule::KeepAll, &[]),
            (Value::Register(vec![]), vec![])
        );
    }

    #[test]
    fn a_rule_of_ones_own_resolves_the_types_that_it_says() {
        let smallest = CustomRule {
            name: "smallest",
            keys: &[KeyType::Set],
            resolve: |_, siblings| {
                let smallest = siblings
                    .iter()
                    .min_by_key(|sibling| (sibling.held.count(), sibling.dot));
                let smallest = smallest.expect("there are some");
                (smallest.held.to_value(), vec![smallest.dot])
            },
        };
        let both = Held::after(Some(&Held::after(None, Op::Insert(1))), Op::Insert(2));
        let sets = [sibling(0, 1, both), sibling(1, 1, Held::after(None, Op::Insert(9)))];
        let rule = MergeRule::Custom(smallest);
        let (value, dots) = resolve(KeyType::Set, rule, &sets);
        assert_eq!((value, dots), (Value::Set(vec![9]), vec![sets[1].dot]));
        let rules = MergeRules {
            counter: rule,
            set: rule,
            ..MergeRules::default()
        };
        let said = rules
            .realisation("version-vectors", KeyType::Set, Blind::Sibling)
            .unwrap();
        assert!(
            said.ends_with("a reader sees what smallest makes of the siblings"),
            "{said}"
        );
        let refusal = rules.realisation("version-vectors", KeyType::Counter, Blind::Sibling);
        assert!(
            refusal
                .unwrap_err()
                .to_string()
                .contains("smallest doesn't resolve a counter")
        );
    }

    #[test]
    fn a_rule_that_does_not_fit_is_refused_with_those_that_do() {
        let rules = MergeRules {
            counter: MergeRule::Union,
            ..MergeRules::default()
        };
        let refusal = rules
            .realisation("version-vectors", KeyType::Counter, Blind::Sibling)
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "version-vectors has no counter keys: the merge rule Union doesn't resolve a counter; use Max or Min or Sum or PreferReplica"
        );
        for key in KeyType::PLAIN {
            assert!(
                MergeRules::default()
                    .realisation("version-vectors", *key, Blind::Sibling)
                    .is_ok()
            );
        }
    }
}
