//! Cuts: what is lost and what is held, in which order it leaves, cuts that overlap, and the books under all of it.

use super::*;
use proptest::prelude::*;

fn sites(ids: &[u32]) -> Group {
    Group::sites(ids.iter().map(|&id| SiteId(id)))
}

fn cut(from: Group, to: Group, in_flight: InTransit, sent: InTransit) -> Cut {
    Cut {
        name: "cut".into(),
        from,
        to,
        both_ways: true,
        in_flight,
        sent,
    }
}

/// Site a against b and c, with such treatment.
fn a_against_the_rest(in_flight: InTransit, sent: InTransit) -> Cut {
    cut(sites(&[0]), sites(&[1, 2]), in_flight, sent)
}

fn world(class: LinkSpec, cuts: Vec<Cut>) -> World {
    let mut spec = three_sites(class);
    spec.cuts = cuts;
    World::new(build(spec))
}

#[test]
fn a_losing_cut_loses_what_is_under_way_and_what_is_sent() {
    let mut world = world(
        link(Law::Constant(10.0)),
        vec![a_against_the_rest(InTransit::Lost, InTransit::Lost)],
    );
    for (number, now) in [0, 5, 12, 25].into_iter().enumerate() {
        world.send(message(0, 1, number as u64, t(now)));
    }
    world.send(message(1, 2, 9, t(5)));
    world.at(t(11), Event::Fall(0));
    world.at(t(20), Event::Heal(0));
    world.run();
    assert_eq!(world.arrivals(), [(0, 10), (9, 15), (3, 35)]);
    assert_eq!(world.network.counters().lost_to(LossCause::Partition), 2);
}

#[test]
fn a_journey_that_ends_before_the_heal_or_after_it_is_cut_alike() {
    for heal in [12, 100] {
        let mut world = world(
            link(Law::Constant(50.0)),
            vec![a_against_the_rest(InTransit::Lost, InTransit::Held)],
        );
        world.send(message(0, 1, 0, t(0)));
        world.at(t(10), Event::Fall(0));
        world.at(t(heal), Event::Heal(0));
        world.run();
        assert!(world.arrivals().is_empty(), "healed at {heal}");
    }
}

#[test]
fn held_messages_leave_at_the_heal_in_the_order_of_sending() {
    let mut world = world(
        link(Law::Constant(10.0)),
        vec![a_against_the_rest(InTransit::Held, InTransit::Held)],
    );
    for (number, now) in [0, 3, 6, 7, 8].into_iter().enumerate() {
        world.send(message(0, 1, number as u64, t(now)));
    }
    world.at(t(5), Event::Fall(0));
    world.at(t(40), Event::Heal(0));
    world.run();
    // The first had 5 left, the second 8; the others leave at 40.
    assert_eq!(world.arrivals(), [(0, 45), (1, 48), (2, 50), (3, 50), (4, 50)]);
}

#[test]
fn a_short_cut_delays_by_its_length() {
    let mut world = world(
        link(Law::Constant(10.0)),
        vec![a_against_the_rest(InTransit::Held, InTransit::Lost)],
    );
    world.send(message(0, 1, 0, t(0)));
    for (time, event) in [
        (2, Event::Fall(0)),
        (4, Event::Heal(0)),
        (11, Event::Fall(0)),
        (14, Event::Heal(0)),
    ] {
        world.at(t(time), event);
    }
    world.run();
    assert_eq!(world.arrivals(), [(0, 15)]);
}

#[test]
fn overlapping_cuts_hold_until_the_last_heals() {
    let held = || InTransit::Held;
    let cuts = vec![
        a_against_the_rest(held(), held()),
        cut(sites(&[0, 2]), sites(&[1]), held(), held()),
    ];
    let mut world = world(link(Law::Constant(10.0)), cuts);
    world.send(message(0, 1, 0, t(0)));
    world.send(message(0, 1, 1, t(6)));
    world.send(message(0, 2, 2, t(7)));
    world.send(message(2, 1, 3, t(12)));
    world.send(message(0, 1, 4, t(13)));
    for (time, event) in [
        (5, Event::Fall(0)),
        (10, Event::Fall(1)),
        (20, Event::Heal(0)),
        (30, Event::Heal(1)),
    ] {
        world.at(t(time), event);
    }
    world.run();
    assert_eq!(world.arrivals(), [(2, 30), (0, 35), (1, 40), (3, 40), (4, 40)]);
}

#[test]
fn of_two_cuts_the_one_that_loses_wins() {
    let all = [(InTransit::Held, InTransit::Held), (InTransit::Lost, InTransit::Lost)];
    let cuts = all.map(|(in_flight, sent)| a_against_the_rest(in_flight, sent));
    let mut world = world(link(Law::Constant(10.0)), cuts.into());
    world.send(message(0, 1, 0, t(0)));
    world.send(message(0, 1, 1, t(6)));
    world.send(message(0, 1, 2, t(8)));
    world.send(message(0, 1, 3, t(22)));
    for (time, event) in [
        (5, Event::Fall(0)),
        (7, Event::Fall(1)),
        (20, Event::Heal(1)),
        (30, Event::Heal(0)),
    ] {
        world.at(t(time), event);
    }
    world.run();
    // 0 was under way when the losing cut fell; 1 waited at its sender; 2 was sent against both; 3 against one.
    assert_eq!(world.arrivals(), [(1, 40), (3, 40)]);
}

#[test]
fn a_cut_asked_for_twice_ends_with_the_second() {
    let mut world = world(
        link(Law::Constant(1.0)),
        vec![a_against_the_rest(InTransit::Held, InTransit::Held)],
    );
    for (time, event) in [
        (0, Event::Fall(0)),
        (1, Event::Fall(0)),
        (5, Event::Heal(0)),
        (9, Event::Heal(0)),
    ] {
        world.at(t(time), event);
    }
    world.send(message(0, 1, 0, t(3)));
    world.send(message(0, 1, 1, t(6)));
    world.run();
    assert_eq!(world.arrivals(), [(0, 10), (1, 10)]);
}

#[test]
fn agents_of_one_site_are_cut_apart_and_others_not() {
    let cuts = vec![cut(
        Group::tags(10..20),
        Group::tags(20..30),
        InTransit::Lost,
        InTransit::Lost,
    )];
    let mut world = world(link(Law::Constant(10.0)), cuts);
    let between = |from_tag, to_tag, number, now| Outgoing {
        from_tag,
        to_tag,
        ..message(0, 0, number, t(now))
    };
    world.at(t(1), Event::Fall(0));
    world.send(between(12, 25, 0, 2));
    world.send(between(25, 12, 1, 2));
    world.send(between(12, 13, 2, 2));
    world.send(between(12, 99, 3, 2));
    world.run();
    assert_eq!(world.arrivals(), [(2, 2), (3, 2)]);
}

#[test]
fn one_way_cuts_let_the_answers_through() {
    let mut one_way = a_against_the_rest(InTransit::Lost, InTransit::Lost);
    one_way.both_ways = false;
    let mut world = world(link(Law::Constant(10.0)), vec![one_way]);
    world.at(t(0), Event::Fall(0));
    world.send(message(0, 1, 0, t(1)));
    world.send(message(1, 0, 1, t(1)));
    world.run();
    assert_eq!(world.arrivals(), [(1, 11)]);
}

#[test]
fn order_holds_across_a_heal() {
    // The first is slow and held on its way; the last is fast, and sent when all is well again.
    let by_kind = vec![None, Some(Law::Constant(100.0))];
    for fifo in [Fifo::PerLink, Fifo::PerPair] {
        let class = LinkSpec {
            fifo,
            by_kind: by_kind.clone(),
            ..link(Law::Constant(1.0))
        };
        let mut world = world(class, vec![a_against_the_rest(InTransit::Held, InTransit::Held)]);
        world.send(Outgoing {
            kind: 1,
            ..message(0, 1, 0, t(0))
        });
        world.send(message(0, 1, 1, t(15)));
        world.send(message(0, 1, 2, t(25)));
        world.at(t(10), Event::Fall(0));
        world.at(t(20), Event::Heal(0));
        world.run();
        assert_eq!(world.arrivals(), [(0, 110), (1, 111), (2, 111)]);
    }
}

#[test]
fn order_holds_for_agents_whose_messages_alone_are_held() {
    let class = LinkSpec {
        fifo: Fifo::PerLink,
        by_kind: vec![None, Some(Law::Constant(100.0))],
        ..link(Law::Constant(1.0))
    };
    let (here, there) = (Group::tags(10..20), Group::tags(20..30));
    let mut world = world(class, vec![cut(here, there, InTransit::Held, InTransit::Held)]);
    let cut_off = |number, now, kind| Outgoing {
        from_tag: 12,
        to_tag: 25,
        kind,
        pair: 7,
        ..message(0, 1, number, t(now))
    };
    world.send(cut_off(0, 0, 1));
    // Somebody else's message, sent while it stands still, is where the link's own order starts from again.
    world.send(Outgoing {
        from_tag: 1,
        to_tag: 2,
        pair: 8,
        ..message(0, 1, 1, t(15))
    });
    world.send(cut_off(2, 25, 0));
    world.at(t(10), Event::Fall(0));
    world.at(t(20), Event::Heal(0));
    world.run();
    assert_eq!(world.arrivals(), [(1, 100), (0, 110), (2, 111)]);
}

#[test]
fn what_some_agents_lost_leaves_the_order_of_the_others() {
    let class = LinkSpec {
        fifo: Fifo::PerLink,
        by_kind: vec![None, Some(Law::Constant(100.0))],
        ..link(Law::Constant(1.0))
    };
    let (here, there) = (Group::tags(10..20), Group::tags(20..30));
    let mut world = world(class, vec![cut(here, there, InTransit::Lost, InTransit::Lost)]);
    world.send(Outgoing {
        from_tag: 1,
        to_tag: 2,
        kind: 1,
        pair: 8,
        ..message(0, 1, 0, t(0))
    });
    world.send(Outgoing {
        from_tag: 12,
        to_tag: 25,
        pair: 7,
        ..message(0, 1, 1, t(25))
    });
    world.at(t(10), Event::Fall(0));
    world.at(t(20), Event::Heal(0));
    world.run();
    assert_eq!(world.arrivals(), [(0, 100), (1, 100)]);
}

#[test]
fn what_was_lost_holds_nothing_back() {
    let by_kind = vec![None, Some(Law::Constant(1e6))];
    for fifo in [Fifo::PerLink, Fifo::PerPair] {
        let class = LinkSpec {
            fifo,
            by_kind: by_kind.clone(),
            ..link(Law::Constant(1.0))
        };
        let mut world = world(class, vec![a_against_the_rest(InTransit::Lost, InTransit::Lost)]);
        world.send(Outgoing {
            kind: 1,
            ..message(0, 1, 0, t(0))
        });
        world.send(message(0, 1, 1, t(25)));
        world.at(t(10), Event::Fall(0));
        world.at(t(20), Event::Heal(0));
        world.run();
        assert_eq!(world.arrivals(), [(1, 26)]);
    }
}

fn treatment() -> impl Strategy<Value = InTransit> {
    prop_oneof![Just(InTransit::Lost), Just(InTransit::Held)]
}

fn group() -> impl Strategy<Value = Group> {
    prop_oneof![
        Just(Group::All),
        (0u32..3).prop_map(|site| sites(&[site])),
        (0u32..3).prop_map(|site| Group::Except(Box::new(sites(&[site])))),
        (0u32..6).prop_map(|tag| Group::tags(tag..tag + 2)),
    ]
}

fn any_cut() -> impl Strategy<Value = Cut> {
    (group(), group(), any::<bool>(), treatment(), treatment()).prop_map(|(from, to, both_ways, in_flight, sent)| Cut {
        both_ways,
        ..cut(from, to, in_flight, sent)
    })
}

/// What is sent: the gap before it, the sender and the receiver (two live at each site), and its kind.
type Sent = (u64, u32, u32, u8);

fn run_schedule(class: LinkSpec, cuts: Vec<Cut>, sends: &[Sent], outages: &[(u64, u64, usize)]) -> World {
    let mut spec = three_sites(class);
    spec.local = 1;
    let count = cuts.len();
    spec.cuts = cuts;
    spec.degradations = vec![Degradation {
        name: "worse".into(),
        from: Group::All,
        to: sites(&[1]),
        both_ways: false,
        latency_factor: 2.0,
        latency_added: SimDuration::from_nanos(3),
        loss: 0.1,
        bandwidth_factor: 0.5,
    }];
    let mut world = World::new(build(spec));
    let mut now = 0;
    for (number, &(gap, from, to, kind)) in sends.iter().enumerate() {
        now += gap;
        let m = message(from / 2, to / 2, number as u64, t(now));
        let pair = u64::from(from) << 32 | u64::from(to);
        world.send(Outgoing {
            from_tag: from,
            to_tag: to,
            kind,
            pair,
            ..m
        });
    }
    for &(at, lasts, which) in outages {
        let (begin, end) = if which == count {
            (Event::Degrade(0), Event::Restore(0))
        } else {
            (Event::Fall(which as u32), Event::Heal(which as u32))
        };
        world.at(t(at), begin);
        world.at(t(at + lasts), end);
    }
    world.run();
    world
}

fn sends() -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec((0u64..60, 0u32..6, 0u32..6, 0u8..2), 1..120)
}

fn outages() -> impl Strategy<Value = Vec<(u64, u64, usize)>> {
    prop::collection::vec((0u64..4000, 1u64..1500, 0usize..4), 0..12)
}

proptest! {
    // A fixed seed: a test that fails once in a hundred runs helps nobody. Change it, and raise the cases, to search.
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The world checks the books after every event; here also that nothing is left when all is healed.
    #[test]
    fn every_message_is_somewhere(
        cuts in prop::collection::vec(any_cut(), 3),
        sends in sends(),
        outages in outages(),
        fifo in prop_oneof![Just(Fifo::No), Just(Fifo::PerLink), Just(Fifo::PerPair)],
        narrow: bool,
    ) {
        let class = LinkSpec {
            fifo,
            loss: Loss::Bursty {
                good: SimDuration::from_nanos(300),
                bad: SimDuration::from_nanos(100),
                loss_good: 0.02,
                loss_bad: 0.3,
            },
            duplication: 0.1,
            bandwidth: narrow.then_some(Bandwidth { rate: 2e9, queue: Some(500) }),
            ..link(Law::Exponential { mean: 300.0 })
        };
        let world = run_schedule(class, cuts, &sends, &outages);
        let books = world.network.counters();
        prop_assert_eq!((books.in_flight, books.held), (0, 0));
        prop_assert_eq!(books.sent, sends.len() as u64);
    }

    /// Ordered links keep order between the messages of a pair, whatever is cut or held meanwhile.
    #[test]
    fn order_survives_every_schedule_of_cuts(
        cuts in prop::collection::vec(any_cut(), 3),
        sends in sends(),
        outages in outages(),
        fifo in prop_oneof![Just(Fifo::PerLink), Just(Fifo::PerPair)],
    ) {
        let by_kind = vec![None, Some(Law::Uniform { low: 0.0, high: 2000.0 })];
        let world = run_schedule(LinkSpec { fifo, by_kind, ..link(Law::Constant(40.0)) }, cuts, &sends, &outages);
        let mut latest = BTreeMap::new();
        for (m, at) in &world.delivered {
            let before = latest.insert(m.pair, m.number);
            prop_assert!(before.is_none_or(|before| before < m.number), "{} came at {at} after {before:?}", m.number);
        }
    }

    /// Cuts of whole sites keep the order of the whole link too.
    #[test]
    fn links_stay_in_order_under_cuts_of_sites(
        held in prop::collection::vec((0u32..3, 0u32..3, treatment(), treatment()), 3),
        sends in sends(),
        outages in outages(),
    ) {
        let cuts = held.into_iter().map(|(a, b, in_flight, sent)| cut(sites(&[a]), sites(&[b]), in_flight, sent));
        let by_kind = vec![None, Some(Law::Uniform { low: 0.0, high: 2000.0 })];
        let class = LinkSpec { fifo: Fifo::PerLink, by_kind, ..link(Law::Constant(40.0)) };
        let world = run_schedule(class, cuts.collect(), &sends, &outages);
        let mut latest: BTreeMap<_, (u64, SimTime)> = BTreeMap::new();
        for (m, at) in &world.delivered {
            if let Some((number, before)) = latest.insert((m.from, m.to), (m.number, *at)) {
                prop_assert!(number < m.number || before == *at, "{} came at {at} after {number}", m.number);
            }
        }
    }
}
