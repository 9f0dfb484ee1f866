//! Properties of channels without I/O: what is promised holds whatever consumers, publishers and time do.

use super::core::{Accepted, Core, Effect, Note};
use super::event::{self, settled};
use super::item::{Handed, Publication, number_of};
use super::queue::Poll;
use super::spec::*;
use crate::kernel::{SimDuration, SimTime};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_secs(seconds)
}

fn seconds(seconds: u64) -> SimDuration {
    SimDuration::from_secs(seconds)
}

fn publication(identity: u64, key: Option<u64>) -> Publication {
    Publication {
        identity,
        key,
        bytes: 10,
        published: SimTime::ZERO,
        about: identity,
    }
}

fn consumers(name: &str, base: u32, count: u32, prefetch: Option<u32>, group: u16) -> ConsumerSpec {
    ConsumerSpec {
        name: name.into(),
        base,
        count,
        prefetch,
        group,
        from: Position::Earliest,
        replays: Vec::new(),
    }
}

fn spec(kind: Kind, delivery: Delivery, consumers: Vec<ConsumerSpec>) -> ChannelSpec {
    let groups = consumers.iter().map(|group| group.group + 1).max().unwrap_or(0);
    ChannelSpec {
        visibility: seconds(10),
        deduplicates: Some(seconds(300)),
        consumers,
        groups,
        ..ChannelSpec::new(kind, delivery)
    }
}

/// Everything that a channel has said.
#[derive(Debug, Default)]
struct Heard {
    /// What every consumer was handed, in order.
    handed: Vec<(u32, u32, Handed)>,
    answers: Vec<(u64, usize)>,
    notes: Vec<Note>,
    dead: Vec<(u64, u32)>,
    invited: Vec<u32>,
}

impl Heard {
    fn take(&mut self, core: &mut Core) {
        for effect in core.take_effects() {
            match effect {
                Effect::Push {
                    consumer,
                    scope,
                    handed,
                } => self.handed.push((scope, consumer, handed)),
                Effect::Answer {
                    poll,
                    consumer,
                    scope,
                    handed,
                } => {
                    self.answers.push((poll, handed.len()));
                    self.handed
                        .extend(handed.into_iter().map(|handed| (scope, consumer, handed)));
                }
                Effect::DeadLetter { publication, to } => self.dead.push((publication.identity, to)),
                Effect::Invite(consumer) => self.invited.push(consumer),
                Effect::Note(note) => self.notes.push(note),
            }
        }
        assert_eq!(core.audit(), Vec::<String>::new());
    }

    fn numbers(&self) -> Vec<u64> {
        self.handed.iter().map(|(_, _, handed)| handed.item.number).collect()
    }

    fn count(&self, event: u64) -> usize {
        self.notes.iter().filter(|note| note.event == event).count()
    }

    fn settled(&self, how: u64) -> Vec<u64> {
        let of = |note: &&Note| note.event == event::SETTLED && note.extra()[1] == how;
        self.notes.iter().filter(of).map(|note| note.b).collect()
    }
}

struct Bench {
    core: Core,
    heard: Heard,
}

impl Bench {
    fn new(spec: ChannelSpec) -> Self {
        let mut core = Core::new(Arc::new(spec));
        core.start(SimTime::ZERO);
        let mut heard = Heard::default();
        heard.take(&mut core);
        Self { core, heard }
    }

    fn publish(&mut self, identity: u64, key: Option<u64>, now: SimTime) -> Accepted {
        let accepted = self.core.publish(publication(identity, key), true, now);
        self.heard.take(&mut self.core);
        accepted
    }

    fn poll(&mut self, id: u64, consumer: u32, most: u32, until: SimTime, now: SimTime) {
        let poll = Poll {
            id,
            consumer,
            most,
            until,
        };
        self.core.poll(poll, now);
        self.heard.take(&mut self.core);
    }

    fn due(&mut self, now: SimTime) {
        self.core.due(now);
        self.heard.take(&mut self.core);
    }

    fn acknowledge(&mut self, place: usize, now: SimTime) {
        let (_, consumer, handed) = self.heard.handed[place];
        self.core.acknowledge(consumer, handed.tag, now);
        self.heard.take(&mut self.core);
    }
}

fn queue(rules: QueueSpec, delivery: Delivery, prefetch: Option<u32>) -> Bench {
    Bench::new(spec(
        Kind::Queue(rules),
        delivery,
        vec![consumers("w", 100, 2, prefetch, 0)],
    ))
}

#[test]
fn consumers_of_a_queue_share_it_in_turn_and_prefetch_bounds_what_they_hold() {
    let mut bench = queue(QueueSpec::default(), Delivery::AtLeastOnce, Some(2));
    (0..6).for_each(|n| {
        let _ = bench.publish(n, None, at(0));
    });
    let holders: Vec<u32> = bench.heard.handed.iter().map(|(_, consumer, _)| *consumer).collect();
    assert_eq!(holders, [100, 101, 100, 101]);
    assert_eq!(bench.core.owed(), [(0, 6, 4)]);
    bench.acknowledge(1, at(1));
    assert_eq!(bench.heard.numbers(), [0, 1, 2, 3, 4]);
    assert_eq!(bench.heard.settled(settled::ACKNOWLEDGED), [1]);
}

#[test]
fn what_is_not_acknowledged_in_time_comes_back_first_and_its_consumer_is_left_alone_until_it_speaks() {
    let mut bench = queue(QueueSpec::default(), Delivery::AtLeastOnce, Some(1));
    (0..4).for_each(|n| {
        let _ = bench.publish(n, None, at(n));
    });
    assert_eq!(bench.heard.numbers(), [0, 1]);
    bench.due(at(10));
    // Consumer 100 let 0 time out; 101 holds 1 until 11.
    assert_eq!(bench.heard.invited, [100]);
    assert_eq!(bench.heard.numbers(), [0, 1]);
    bench.acknowledge(1, at(10));
    let last = bench.heard.handed.last().copied();
    assert_eq!(
        last.map(|(_, consumer, handed)| (consumer, handed.item.number, handed.before)),
        Some((101, 0, 1))
    );
    bench.core.join(100, false, at(11));
    bench.heard.take(&mut bench.core);
    assert_eq!(bench.heard.numbers(), [0, 1, 0, 2]);
    // The first tag of 0 isn't with 100 any more.
    bench.acknowledge(0, at(12));
    assert_eq!(bench.heard.count(event::FENCED), 1);
    assert_eq!(bench.heard.settled(settled::ACKNOWLEDGED), [1]);
}

#[test]
fn a_late_acknowledgement_counts_as_long_as_nobody_else_has_the_message() {
    let mut bench = queue(QueueSpec::default(), Delivery::AtLeastOnce, None);
    bench.publish(7, None, at(0));
    bench.poll(1, 100, 1, at(5), at(0));
    bench.due(at(10));
    assert_eq!(bench.core.owed(), [(0, 1, 0)]);
    bench.acknowledge(0, at(12));
    assert_eq!(bench.core.owed(), [(0, 0, 0)]);
    assert_eq!(bench.heard.count(event::FENCED), 0);
}

#[test]
fn a_message_that_is_delivered_too_often_goes_to_the_dead_letters() {
    let rules = QueueSpec {
        most_deliveries: Some(2),
        dead_letters: Some(900),
        ..QueueSpec::default()
    };
    let mut bench = queue(rules, Delivery::AtLeastOnce, None);
    bench.publish(7, None, at(0));
    for n in 0..2 {
        bench.poll(n, 100, 5, at(n * 20), at(n * 20));
        bench.due(at(n * 20 + 10));
    }
    assert_eq!(bench.heard.handed.len(), 2);
    assert_eq!(bench.heard.dead, [(7, 900)]);
    assert_eq!(bench.heard.settled(settled::DEAD), [0]);
}

#[test]
fn a_long_poll_waits_for_messages_and_a_repeated_one_replaces_it() {
    let mut bench = queue(QueueSpec::default(), Delivery::AtLeastOnce, None);
    bench.poll(1, 100, 2, at(20), at(0));
    bench.poll(1, 100, 2, at(20), at(5));
    assert_eq!(bench.heard.answers, []);
    bench.publish(7, None, at(6));
    assert_eq!(bench.heard.answers, [(1, 1)]);
    bench.poll(2, 100, 2, at(12), at(6));
    bench.due(at(12));
    assert_eq!(bench.heard.answers, [(1, 1), (2, 0)]);
    // What isn't acknowledged comes back to whoever waits then.
    bench.poll(3, 100, 2, at(21), at(13));
    bench.due(at(16));
    assert_eq!(bench.heard.answers, [(1, 1), (2, 0), (3, 1)]);
}

#[test]
fn a_full_queue_refuses_or_drops_from_one_end_or_the_other() {
    let full = |full| {
        let bound = Some(Bound { most: 2, full });
        let mut bench = queue(
            QueueSpec {
                bound,
                ..QueueSpec::default()
            },
            Delivery::AtLeastOnce,
            None,
        );
        let accepted: Vec<Accepted> = (0..3).map(|n| bench.publish(n, None, at(0))).collect();
        bench.poll(9, 100, 10, at(0), at(0));
        (
            accepted[2],
            bench.heard.numbers(),
            bench.heard.settled(settled::DROPPED),
        )
    };
    assert_eq!(full(Full::Refuse), (Accepted::Refused, vec![0, 1], vec![]));
    assert_eq!(full(Full::DropOldest), (Accepted::New, vec![1, 2], vec![0]));
    assert_eq!(full(Full::DropNewest), (Accepted::New, vec![0, 1], vec![2]));
}

#[test]
fn a_publication_that_was_refused_is_not_taken_for_known_when_it_comes_again() {
    let bound = Some(Bound {
        most: 1,
        full: Full::Refuse,
    });
    let mut bench = queue(
        QueueSpec {
            bound,
            ..QueueSpec::default()
        },
        Delivery::AtLeastOnce,
        None,
    );
    assert_eq!(bench.publish(1, None, at(0)), Accepted::New);
    assert_eq!(bench.publish(2, None, at(0)), Accepted::Refused);
    assert_eq!(bench.publish(1, None, at(0)), Accepted::Repeat);
    bench.poll(9, 100, 10, at(1), at(1));
    assert_eq!(bench.publish(2, None, at(1)), Accepted::New);
}

#[test]
fn a_topic_reaches_everybody_and_a_delay_holds_it_back() {
    let rules = QueueSpec {
        delay: seconds(3),
        ..QueueSpec::default()
    };
    let all = vec![consumers("a", 100, 2, Some(1), 0), consumers("b", 400, 1, None, 1)];
    let mut bench = Bench::new(spec(Kind::Topic(rules), Delivery::AtLeastOnce, all));
    bench.publish(1, None, at(0));
    bench.due(at(2));
    assert_eq!(bench.heard.handed.len(), 0);
    bench.due(at(3));
    let pushed: Vec<u32> = bench.heard.handed.iter().map(|(scope, _, _)| *scope).collect();
    assert_eq!(pushed, [100, 101]);
    bench.poll(1, 400, 1, at(4), at(4));
    assert_eq!(bench.heard.answers, [(1, 1)]);
}

fn log(rules: LogSpec, delivery: Delivery, all: Vec<ConsumerSpec>) -> Bench {
    Bench::new(spec(Kind::Log(rules), delivery, all))
}

#[test]
fn every_group_reads_all_and_a_partition_is_read_in_its_order() {
    let all = vec![
        consumers("a", 100, 2, Some(100), 0),
        consumers("b", 400, 1, Some(100), 1),
    ];
    let mut bench = log(LogSpec::new(4), Delivery::AtLeastOnce, all);
    (0..40).for_each(|n| {
        let _ = bench.publish(n, Some(n % 7), at(0));
    });
    for group in [0, 1] {
        let of = |(scope, _, _): &&(u32, u32, Handed)| *scope == group;
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        let mut seen = 0;
        for (_, _, handed) in bench.heard.handed.iter().filter(of) {
            let key = handed.item.publication.key.unwrap();
            let before = last.insert(key, handed.item.number);
            assert!(before.is_none_or(|before| before < handed.item.number), "{key}");
            seen += 1;
        }
        assert_eq!(seen, 40);
    }
}

#[test]
fn who_stops_polling_loses_its_partitions_and_is_fenced() {
    let mut bench = log(
        LogSpec::new(2),
        Delivery::AtLeastOnce,
        vec![consumers("a", 100, 2, None, 0)],
    );
    bench.poll(1, 100, 10, at(0), at(0));
    bench.poll(2, 101, 10, at(0), at(0));
    assert_eq!(bench.core.groups()[0].owners(), [Some(100), Some(101)]);
    (0..4).for_each(|n| {
        let _ = bench.publish(n, None, at(1));
    });
    bench.poll(3, 100, 10, at(2), at(2));
    for n in 0..10 {
        bench.poll(10 + n, 101, 10, at(5 * n + 7), at(5 * n + 7));
        bench.due(at(5 * n + 8));
    }
    assert_eq!(bench.core.groups()[0].owners(), [Some(101), Some(101)]);
    let generation = bench.core.groups()[0].generation();
    let lost = bench
        .heard
        .handed
        .iter()
        .position(|(_, consumer, _)| *consumer == 100)
        .unwrap();
    bench.acknowledge(lost, at(60));
    assert_eq!(bench.heard.count(event::FENCED), 1);
    assert_eq!(bench.core.groups()[0].committed(0), 0, "who is fenced commits nothing");
    // It comes back with a poll, in a new generation.
    bench.poll(99, 100, 10, at(61), at(61));
    assert_eq!(bench.core.groups()[0].generation(), generation + 1);
}

#[test]
fn a_rebalance_leaves_partitions_without_an_owner_all_or_only_those_that_move() {
    let run = |assignment| {
        let rules = LogSpec {
            assignment,
            rebalance: seconds(3),
            ..LogSpec::new(4)
        };
        let mut bench = log(rules, Delivery::AtLeastOnce, vec![consumers("a", 100, 2, None, 0)]);
        bench.poll(1, 100, 1, at(1), at(0));
        bench.due(at(3));
        assert_eq!(bench.core.groups()[0].owners(), [Some(100); 4]);
        bench.poll(2, 101, 1, at(50), at(10));
        let during = bench.core.groups()[0].owners();
        bench.due(at(13));
        (during, bench.core.groups()[0].owners())
    };
    let (a, b) = (Some(100), Some(101));
    assert_eq!(run(Assignment::Range), (vec![None; 4], vec![a, a, b, b]));
    assert_eq!(run(Assignment::Sticky), (vec![a, a, None, None], vec![a, a, b, b]));
}

#[test]
fn a_group_is_set_back_and_reads_again_what_is_kept() {
    let mut own = consumers("a", 100, 1, Some(100), 0);
    own.replays = vec![(at(20), Position::Earliest), (at(30), Position::Offset(4))];
    let rules = LogSpec {
        retention: Retention {
            count: Some(5),
            ..Retention::default()
        },
        ..LogSpec::new(1)
    };
    let mut bench = log(rules, Delivery::AtLeastOnce, vec![own]);
    for n in 0..6 {
        bench.publish(n, None, at(n));
        bench.acknowledge(n as usize, at(n));
    }
    bench.due(at(20));
    assert_eq!(bench.heard.numbers(), [0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
    (6..11).for_each(|place| bench.acknowledge(place, at(21)));
    bench.due(at(30));
    assert_eq!(bench.heard.numbers()[11..], [4, 5]);
    assert_eq!(bench.heard.count(event::REOPENED), 5 + 2);
}

#[test]
fn what_is_beyond_the_retention_is_lost_to_those_who_have_not_read_it() {
    let rules = LogSpec {
        retention: Retention {
            count: Some(2),
            ..Retention::default()
        },
        ..LogSpec::new(1)
    };
    let mut bench = log(rules, Delivery::AtLeastOnce, vec![consumers("a", 100, 1, None, 0)]);
    (0..5).for_each(|n| {
        let _ = bench.publish(n, None, at(n));
    });
    assert_eq!(bench.heard.settled(settled::EXPIRED), [0, 1, 2]);
    bench.poll(1, 100, 10, at(6), at(6));
    assert_eq!(bench.heard.numbers(), [3, 4]);
}

#[test]
fn a_group_that_begins_at_the_latest_is_owed_nothing_of_before() {
    let mut own = consumers("a", 100, 1, None, 0);
    own.from = Position::Latest;
    let mut bench = log(LogSpec::new(1), Delivery::AtLeastOnce, vec![own]);
    (0..3).for_each(|n| {
        let _ = bench.publish(n, None, at(n));
    });
    bench.poll(1, 100, 10, at(9), at(5));
    assert_eq!(bench.heard.settled(settled::PASSED_OVER), [0, 1, 2]);
    bench.publish(3, None, at(6));
    assert_eq!(bench.heard.numbers(), [3]);
}

#[test]
fn a_broker_that_loses_its_state_says_what_it_owed() {
    let mut bench = queue(QueueSpec::default(), Delivery::AtLeastOnce, Some(1));
    (0..4).for_each(|n| {
        let _ = bench.publish(n, None, at(0));
    });
    bench.acknowledge(0, at(1));
    bench.core.wipe(at(2));
    bench.heard.take(&mut bench.core);
    let wiped: BTreeSet<u64> = bench.heard.settled(settled::WIPED).into_iter().collect();
    assert_eq!(wiped, BTreeSet::from([1, 2, 3]));
    assert_eq!(bench.core.owed(), [(0, 0, 0)]);
}

/// What happens to a channel.
#[derive(Debug, Clone, Copy)]
enum Act {
    Publish {
        identity: u64,
        key: Option<u64>,
    },
    Poll {
        consumer: u32,
        most: u32,
        wait: u64,
    },
    /// Acknowledge one of those handed over: the number is taken modulo their count.
    Acknowledge(usize),
    Join {
        consumer: u32,
        anew: bool,
    },
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u64..60, prop::option::of(0u64..5)).prop_map(|(identity, key)| Act::Publish { identity, key }),
        3 => (100u32..104, 1u32..4, 0u64..30).prop_map(|(consumer, most, wait)| Act::Poll { consumer, most, wait }),
        5 => any::<usize>().prop_map(Act::Acknowledge),
        1 => (100u32..104, any::<bool>()).prop_map(|(consumer, anew)| Act::Join { consumer, anew }),
        3 => (0u64..25).prop_map(Act::Pass),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    let bound = prop::option::of((1u32..6, 0u8..3).prop_map(|(most, full)| Bound {
        most,
        full: [Full::Refuse, Full::DropOldest, Full::DropNewest][usize::from(full)],
    }));
    let rules = (0u64..3, prop::option::of(1u32..4), bound).prop_map(|(delay, most_deliveries, bound)| QueueSpec {
        delay: seconds(delay),
        most_deliveries,
        dead_letters: Some(900),
        bound,
    });
    let retention = (prop::option::of(1u64..9), prop::option::of(1u64..90)).prop_map(|(count, age)| Retention {
        count,
        age: age.map(seconds),
        bytes: None,
    });
    let log =
        (1u32..5, any::<bool>(), 0u64..4, retention).prop_map(|(partitions, sticky, rebalance, retention)| LogSpec {
            partitions,
            assignment: if sticky { Assignment::Sticky } else { Assignment::Range },
            rebalance: seconds(rebalance),
            session: seconds(20),
            retention,
        });
    prop_oneof![
        rules.clone().prop_map(Kind::Queue),
        rules.prop_map(Kind::Topic),
        log.prop_map(Kind::Log)
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::AtMostOnce),
        Just(Delivery::AtLeastOnce),
        Just(Delivery::EffectivelyOnce)
    ]
}

/// Four consumers, two of them pushed to, in one consumer group, or in two.
fn everybody(pushed: bool, two: bool) -> Vec<ConsumerSpec> {
    let second = u16::from(two);
    vec![
        consumers("a", 100, 2, pushed.then_some(2), 0),
        consumers("b", 102, 2, None, second),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Of every channel under any course of events: what was accepted is owed, or was settled once; at most once nothing is handed over
    /// twice; at least once nothing goes but by acknowledgement or a rule that says so; what is published again is recognised; a partition
    /// has one owner in a generation, and one exactly when there are members and no rebalance is on.
    #[test]
    fn nothing_is_lost_or_twice_but_by_the_rules(
        kind in kind(), delivery in delivery(), pushed in any::<bool>(), two in any::<bool>(),
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let is_log = matches!(kind, Kind::Log(_));
        let mut bench = Bench::new(spec(kind, delivery, everybody(pushed, two)));
        let (mut now, mut polls) = (SimTime::ZERO, 0);
        for act in acts {
            match act {
                Act::Publish { identity, key } => {
                    let _ = bench.publish(identity, key, now);
                },
                Act::Poll { consumer, most, wait } => {
                    polls += 1;
                    bench.poll(polls, consumer, most, now + seconds(wait), now);
                }
                Act::Acknowledge(place) => {
                    if let Some(place) = place.checked_rem(bench.heard.handed.len()) {
                        bench.acknowledge(place, now);
                    }
                }
                Act::Join { consumer, anew } => {
                    bench.core.join(consumer, anew, now);
                    bench.heard.take(&mut bench.core);
                }
                Act::Pass(time) => {
                    now += seconds(time);
                    while let Some(at) = bench.core.next_due().filter(|at| *at <= now) {
                        bench.due(at);
                    }
                }
            }
            for group in bench.core.groups() {
                let (owners, members) = (group.owners(), group.members());
                prop_assert!(owners.iter().flatten().all(|owner| members.contains(owner)));
                if !members.is_empty() && !group.is_rebalancing() {
                    prop_assert!(owners.iter().all(Option::is_some));
                }
            }
        }
        let heard = &bench.heard;
        let accepted: Vec<u64> = heard.notes.iter().filter(|note| note.event == event::ACCEPTED).map(|note| note.a).collect();
        let distinct: BTreeSet<u64> = accepted.iter().copied().collect();
        let spread = now < at(300);
        prop_assert!(!spread || distinct.len() == accepted.len(), "a repeat was accepted");
        // Settled: once for each scope and message.
        let mut settled_by: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for note in heard.notes.iter().filter(|note| note.event == event::SETTLED) {
            let [scope, how] = [note.extra()[0], note.extra()[1]];
            prop_assert_eq!(settled_by.insert((scope, note.b), how), None, "settled twice");
        }
        let scopes = bench.core.owed();
        for (scope, owed, _) in &scopes {
            let of = settled_by.keys().filter(|(other, _)| *other == u64::from(*scope)).count() as u64;
            prop_assert_eq!(accepted.len() as u64, owed + of);
        }
        if delivery == Delivery::AtMostOnce {
            let handed: BTreeSet<(u32, u64)> = heard.handed.iter().map(|(scope, _, handed)| (*scope, handed.item.number)).collect();
            prop_assert_eq!(handed.len(), heard.handed.len(), "handed over twice");
        } else {
            prop_assert!(settled_by.values().all(|how| *how != settled::HANDED_OVER));
        }
        // No two deliveries of a message to a scope have one tag, and a tag says which message it is.
        let tags: BTreeSet<(u32, u64)> = heard.handed.iter().map(|(scope, _, handed)| (*scope, handed.tag)).collect();
        prop_assert_eq!(tags.len(), heard.handed.len());
        prop_assert!(heard.handed.iter().all(|(_, _, handed)| number_of(handed.tag) == handed.item.number));
        if is_log {
            prop_assert!(in_order(heard), "a partition was read out of its order");
        }
        // A generation gives a partition to one member, and never while another has it.
        let mut owners: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for note in &heard.notes {
            match note.event {
                event::ASSIGNED => {
                    let before = owners.insert((note.extra()[0], note.a), note.extra()[1]);
                    prop_assert_eq!(before, None);
                }
                event::REVOKED => {
                    let before = owners.remove(&(note.extra()[0], note.a));
                    prop_assert_eq!(before, Some(note.extra()[1]));
                }
                _ => {}
            }
        }
    }

    /// Whatever went wrong before: once consumers do their work again, everything that is owed is handed over and acknowledged.
    #[test]
    fn what_is_owed_is_delivered_once_all_is_well(
        kind in kind(), pushed in any::<bool>(), two in any::<bool>(), acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut bench = Bench::new(spec(kind, Delivery::AtLeastOnce, everybody(pushed, two)));
        let (mut now, mut polls) = (SimTime::ZERO, 0);
        for act in acts {
            if let Act::Publish { identity, key } = act {
                bench.publish(identity, key, now);
            } else if let Act::Poll { consumer, most, wait } = act {
                polls += 1;
                bench.poll(polls, consumer, most, now + seconds(wait), now);
            } else if let Act::Pass(time) = act {
                now += seconds(time);
                bench.due(now);
            }
        }
        // Everybody answers every invitation, polls for no time, and acknowledges what it gets.
        let mut done = bench.heard.handed.len();
        for _ in 0..60 {
            now += seconds(5);
            bench.due(now);
            for consumer in std::mem::take(&mut bench.heard.invited) {
                bench.core.join(consumer, false, now);
                bench.heard.take(&mut bench.core);
            }
            for consumer in if pushed { 102..104 } else { 100..104 } {
                polls += 1;
                bench.poll(polls, consumer, 10, now, now);
            }
            while done < bench.heard.handed.len() {
                bench.acknowledge(done, now);
                done += 1;
            }
        }
        prop_assert!(bench.core.owed().iter().all(|(_, owed, _)| *owed == 0), "{:?}", bench.core.owed());
    }
}

/// Whether, between two times that a partition is set back, each consumer group was handed its messages in the order of their numbers.
fn in_order(heard: &Heard) -> bool {
    let partition: BTreeMap<u64, u64> = heard
        .notes
        .iter()
        .filter(|note| note.event == event::ACCEPTED)
        .map(|note| (note.b, note.extra()[3]))
        .collect();
    let mut last: BTreeMap<(u32, u64, u64), u64> = BTreeMap::new();
    heard.handed.iter().all(|(scope, _, handed)| {
        let round = handed.tag & 0xfff;
        let number = handed.item.number;
        let before = last.insert((*scope, partition[&number], round), number);
        before.is_none_or(|before| before < number)
    })
}
