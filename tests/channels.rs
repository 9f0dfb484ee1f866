//! Channels in whole scenarios: what is promised holds with faults, what is judged from outside is what happened, and closed forms hold.

mod common;

use common::{Place, measured, read};
use quorate::channels::spec::Flaw;
use quorate::scenario::Scenario;
use std::collections::BTreeMap;
use std::sync::Arc;

type Numbers = BTreeMap<String, f64>;

fn numbers(scenario: &Scenario, replicate: u32) -> Numbers {
    measured(scenario, 0, replicate).sheet.numbers
}

fn of(all: &Numbers, name: &str) -> f64 {
    *all.get(name).unwrap_or_else(|| panic!("{name} was measured"))
}

/// A channel `c`, to which one maker publishes so many messages, one every 100 ms, and from which workers get them. Everything is 20 ms
/// from everything.
fn scenario(channel: &str, times: u32, publish: &str, workers: &str, more: &str) -> Scenario {
    read(&format!(
        r#"(
        quorate: 1, name: "channels", seed: 3, until: At("5min"), sites: ["a", "hub", "b"],
        network: (default: (one_way: "20ms")),
        channels: {{"c": (at: "hub", {channel})}},
        policies: {{
            "p": (timeout: "1s", attempts: 20, backoff: Fixed("200ms"), idempotency_key: true),
            "unkeyed": (timeout: "1s", attempts: 20, backoff: Fixed("200ms")),
        }},
        agents: {{
            "maker": (count: 1, at: "a", on_failure: Continue, program: [Repeat(times: {times}, steps: [Publish(to: "c", {publish}), Sleep("100ms")])]),
            {workers}
        }},
        {more}
    )"#
    ))
}

const PUSHED: &str = r#""worker": (count: 2, at: "b", on: {"c": [Think("50ms")]}),"#;

/// Every delivery has one end, and the broker and the records agree on what is owed.
fn adds_up(all: &Numbers) {
    let ends = [
        "handled",
        "dead",
        "dropped",
        "expired",
        "passed_over",
        "lost",
        "waiting",
        "under_way",
    ];
    let sum: f64 = ends.iter().map(|end| of(all, &format!("channel.c.{end}"))).sum();
    assert_eq!(sum, of(all, "channel.c.owed"));
    assert_eq!(of(all, "channel.c.unaccounted"), 0.0);
}

#[test]
fn a_push_takes_two_ways_and_the_work_and_a_poll_half_an_interval_more() {
    let pushed = numbers(
        &scenario(r#"kind: Queue, consumers: {"worker": ()}"#, 100, "", PUSHED, ""),
        0,
    );
    assert_eq!(of(&pushed, "channel.c.handled"), 100.0);
    // 20 ms to the hub, 20 ms to the worker, 50 ms of work.
    assert!((of(&pushed, "channel.c.latency.mean") - 0.090).abs() < 1e-9);
    // A publication, its answer, the push, its acknowledgement.
    assert_eq!(of(&pushed, "messages.sent"), 400.0);
    adds_up(&pushed);
    let polling = r#""worker": (count: 1, at: "b", program: [Repeat(times: Forever, steps: [
        Poll(from: "c", most: 100, wait: "0s"), Sleep("960ms"),
    ])]),"#;
    let polled = numbers(&scenario("kind: Queue", 500, "", polling, ""), 0);
    // A poll is at the hub once a second, and its answer takes 20 ms: on average half a second after a message came there. Messages come every
    // 140 ms, so the phases between them and the polls are spread evenly: their mean is off by less than a gap over the square root of
    // their number.
    let expected = 0.020 + 0.500 + 0.020;
    assert!((of(&polled, "channel.c.latency.mean") - expected).abs() < 0.140 / 5.0);
    // Long polls are as fast as pushes: the message goes out as soon as it is there.
    let waiting =
        r#""worker": (count: 1, at: "b", program: [Repeat(times: Forever, steps: [Poll(from: "c", wait: "20s")])]),"#;
    let long = numbers(&scenario("kind: Queue", 100, "", waiting, ""), 0);
    assert!((of(&long, "channel.c.latency.mean") - 0.040).abs() < 1e-9);
    adds_up(&long);
}

#[test]
fn a_topic_reaches_everybody_once_and_a_queue_one_of_them() {
    let topic = numbers(&scenario(r#"consumers: {"worker": ()}"#, 50, "", PUSHED, ""), 0);
    assert_eq!(
        [of(&topic, "channel.c.owed"), of(&topic, "channel.c.handled")],
        [100.0, 100.0]
    );
    let queue = numbers(
        &scenario(r#"kind: Queue, consumers: {"worker": ()}"#, 50, "", PUSHED, ""),
        0,
    );
    assert_eq!(
        [of(&queue, "channel.c.owed"), of(&queue, "channel.c.handled")],
        [50.0, 50.0]
    );
}

#[test]
fn operations_wait_for_the_brokers_servers() {
    // One server, 30 ms an operation: the acknowledgement of a message comes 90 ms after it was taken in, and the next one comes every 170 ms.
    let slow = r#"kind: Queue, servers: 1, time: "30ms", consumers: {"worker": ()}"#;
    let all = numbers(&scenario(slow, 50, "", PUSHED, ""), 0);
    assert!((of(&all, "channel.c.latency.mean") - 0.120).abs() < 1e-9);
    // A publication is served for 30 ms, and on its way for 40.
    assert!((of(&all, "task.part.service") - 50.0 * 0.030).abs() < 1e-9);
    assert!((of(&all, "task.part.network") - 50.0 * 0.040).abs() < 1e-9);
}

/// Messages are lost, copied, and reach a crashing worker and a crashing broker that keeps its state.
const TROUBLE: &str = r#"
    faults: {
        "bad": Degrade(loss: 0.1, at: "0s", for: "60s"),
        "worker": Crash(who: "worker", each: Member, keep: Nothing, when: Drawn(until: "60s", to_failure: Exponential(mean: "6s"), to_repair: "1s")),
        "broker": Crash(who: "c", keep: State, at: "10s", for: "2s"),
        "pause": Pause(who: "worker", at: "20s", for: "6s"),
    },
"#;

#[test]
fn at_least_once_loses_nothing_and_at_most_once_repeats_nothing() {
    for kind in [
        "Queue",
        "Topic",
        r#"Log(partitions: 3, rebalance: "500ms", session: "4s")"#,
    ] {
        for replicate in 0..4 {
            let channel = |delivery: &str| {
                format!(r#"kind: {kind}, delivery: {delivery}, visibility: "2s", consumers: {{"worker": ()}}"#)
            };
            // A subscriber's memory of what it has handled is its own, and is gone with its state.
            let trouble = match kind {
                "Topic" => TROUBLE.replace("keep: Nothing", "keep: State"),
                _ => TROUBLE.to_string(),
            };
            let run = |delivery: &str| {
                let publish = r#"policy: "p", key: 7"#;
                numbers(&scenario(&channel(delivery), 300, publish, PUSHED, &trouble), replicate)
            };
            let least = run("AtLeastOnce");
            adds_up(&least);
            assert_eq!(of(&least, "channel.c.lost"), 0.0, "{kind}");
            assert_eq!(of(&least, "channel.c.handled"), of(&least, "channel.c.owed"), "{kind}");
            assert!(
                of(&least, "channel.c.duplicates") > 0.0,
                "{kind}: an acknowledgement was lost"
            );
            let effectively = run("EffectivelyOnce");
            adds_up(&effectively);
            assert_eq!(of(&effectively, "channel.c.lost"), 0.0, "{kind}");
            assert_eq!(
                of(&effectively, "channel.c.handled"),
                of(&effectively, "channel.c.owed"),
                "{kind}"
            );
            assert_eq!(of(&effectively, "channel.c.duplicates"), 0.0, "{kind}");
            assert!(of(&effectively, "channel.c.deduplicated") > 0.0, "{kind}");
            assert!(of(&effectively, "channel.c.skipped") > 0.0, "{kind}");
            let most = run("AtMostOnce, deduplicates: \"5min\"");
            adds_up(&most);
            assert_eq!(of(&most, "channel.c.duplicates"), 0.0, "{kind}");
            assert_eq!(of(&most, "channel.c.redelivered"), 0.0, "{kind}");
            assert!(of(&most, "channel.c.lost") > 0.0, "{kind}");
        }
    }
}

#[test]
fn what_breaks_effectively_once_is_seen_from_outside() {
    let run = |publish: &str, remembers: &str| {
        let channel = format!(
            r#"kind: Queue, delivery: EffectivelyOnce, visibility: "2s", consumers: {{"worker": (remembers: {remembers})}}"#
        );
        numbers(&scenario(&channel, 300, publish, PUSHED, TROUBLE), 0)
    };
    let keyed = r#"policy: "p""#;
    assert_eq!(of(&run(keyed, "()"), "channel.c.duplicates"), 0.0);
    // Publishers without keys: the channel takes a repeat for something new, under the name that the consumers know.
    let unkeyed = run(r#"policy: "unkeyed""#, "()");
    assert!(of(&unkeyed, "channel.c.repeated") > 0.0);
    assert_eq!(
        of(&unkeyed, "channel.c.duplicates"),
        0.0,
        "the consumers still recognise it"
    );
    // A memory that is each agent's own dies with it, and knows nothing of what the other one has done.
    assert!(of(&run(keyed, "(by: Agent)"), "channel.c.duplicates") > 0.0);
    // One that is too small forgets.
    assert!(of(&run(keyed, "(most: 1)"), "channel.c.duplicates") > 0.0);
}

#[test]
fn a_broker_that_loses_its_state_loses_what_it_held_and_no_more() {
    let slow = r#""worker": (count: 1, at: "b", on: {"c": [Think("400ms")]}),"#;
    let crash = r#"faults: {"broker": Crash(who: "c", keep: Nothing, at: "10s", for: "1s")},"#;
    for kind in ["Queue", r#"Log(rebalance: "0s", session: "5s")"#] {
        let channel = format!(r#"kind: {kind}, consumers: {{"worker": ()}}"#);
        let all = numbers(&scenario(&channel, 100, r#"policy: "p""#, slow, crash), 0);
        adds_up(&all);
        let lost = of(&all, "channel.c.lost");
        // Until then 72 came in 140 ms each, and 23 were handled: some fifty are gone.
        assert!((40.0..55.0).contains(&lost), "{kind}: {lost}");
        assert_eq!(of(&all, "channel.c.handled") + lost, 100.0, "{kind}");
    }
}

#[test]
fn backpressure_slows_publishers_down_and_dropping_does_not() {
    let slow = r#""worker": (count: 1, at: "b", on: {"c": [Think("500ms")]}),"#;
    let run = |full: &str| {
        let channel = format!(r#"kind: Queue, bound: (most: 5, full: {full}), consumers: {{"worker": ()}}"#);
        numbers(&scenario(&channel, 60, r#"policy: "p""#, slow, ""), 0)
    };
    let (refused, oldest, newest) = (run("Refuse"), run("DropOldest"), run("DropNewest"));
    [&refused, &oldest, &newest].into_iter().for_each(adds_up);
    assert_eq!(of(&refused, "channel.c.handled"), 60.0);
    assert!(of(&refused, "channel.c.refused") > 50.0);
    assert!(of(&refused, "task.time.mean") > of(&oldest, "task.time.mean") + 10.0);
    assert!(of(&oldest, "channel.c.dropped") > 30.0);
    assert_eq!(of(&oldest, "channel.c.dropped"), of(&newest, "channel.c.dropped"));
    // What is dropped from the front isn't waited for: what is handled is younger.
    assert!(of(&oldest, "channel.c.latency.mean") < of(&newest, "channel.c.latency.mean"));
    assert!(of(&refused, "channel.c.depth.max") <= 6.0);
}

#[test]
fn a_message_that_cannot_be_handled_goes_to_the_dead_letters() {
    let text = r#""broken": (count: 1, at: "b", on: {"c": [Call(service: "tool", policy: "once")]}),
        "clerk": (count: 1, at: "b", program: [Repeat(times: Forever, steps: [Poll(from: "dead", each: [Think("1ms")])])]),"#;
    let more = r#"services: {"tool": (at: "b", limit: (rate: "1/h"))},"#;
    let channel = r#"kind: Queue, visibility: "1s", most_deliveries: 3, dead_letters: "dead", consumers: {"broken": ()}), "dead": (at: "hub", kind: Queue"#;
    let scenario =
        read(&scenario_text(channel, 5, "", text, more).replace(r#""p": ("#, r#""once": (timeout: "1s"), "p": ("#));
    let all = numbers(&scenario, 0);
    // The tool lets one call pass.
    assert_eq!(of(&all, "channel.c.handled"), 1.0);
    assert_eq!(of(&all, "channel.c.dead"), 4.0);
    assert_eq!(of(&all, "channel.c.failed"), 12.0);
    assert_eq!(of(&all, "channel.dead.handled"), 4.0);
    adds_up(&all);
}

fn scenario_text(channel: &str, times: u32, publish: &str, workers: &str, more: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "channels", seed: 3, until: At("5min"), sites: ["a", "hub", "b"],
        network: (default: (one_way: "20ms")),
        channels: {{"c": (at: "hub", {channel})}},
        policies: {{"p": (timeout: "1s", attempts: 20, backoff: Fixed("200ms"), idempotency_key: true)}},
        agents: {{
            "maker": (count: 1, at: "a", program: [Repeat(times: {times}, steps: [Publish(to: "c", {publish}), Sleep("100ms")])]),
            {workers}
        }},
        {more}
    )"#
    )
}

#[test]
fn a_key_stays_in_its_order_in_a_log_and_not_in_a_queue_of_several_workers() {
    let uneven = r#""worker": (count: 3, at: "b", on: {"c": [Think(Uniform(low: "1ms", high: "900ms"))]}),"#;
    let run = |kind: &str| {
        let channel = format!(r#"kind: {kind}, consumers: {{"worker": ()}}"#);
        let publish = "key: Uniform(low: 0, high: 5)";
        numbers(&scenario(&channel, 200, publish, uneven, ""), 0)
    };
    let (queue, log) = (run("Queue"), run(r#"Log(partitions: 3, rebalance: "0s")"#));
    assert!(of(&queue, "channel.c.out_of_order") > 0.0);
    assert_eq!(of(&log, "channel.c.out_of_order"), 0.0);
    assert_eq!(of(&log, "channel.c.handled"), 200.0);
}

#[test]
fn a_member_that_is_gone_leaves_its_partitions_to_the_others_after_a_session() {
    let crash = r#"faults: {"worker": Crash(who: "worker", each: Member, keep: State, at: "5s", for: "30s")},"#;
    let workers = r#""worker": (count: 1, at: "b", on: {"c": [Think("10ms")]}),
        "other": (count: 1, at: "b", on: {"c": [Think("10ms")]}),"#;
    let run = |sharing: &str| {
        let channel = format!(
            r#"kind: Log(partitions: 4, assignment: {sharing}, rebalance: "1s", session: "3s"), visibility: "60s",
            consumers: {{"worker": (group: "g"), "other": (group: "g")}}"#
        );
        numbers(&scenario(&channel, 300, "", workers, crash), 0)
    };
    let (range, sticky) = (run("Range"), run("Sticky"));
    for all in [&range, &sticky] {
        adds_up(all);
        assert_eq!(of(all, "channel.c.handled"), 300.0);
        // The first, without the one that is gone, and with it again.
        assert_eq!(of(all, "channel.c.rebalances"), 3.0);
        // Somebody's message waited for the rest of the session since the last acknowledgement, and for the rebalance: a member gets a
        // message at least every second.
        let longest = of(all, "channel.c.latency.max");
        assert!((3.0..4.2).contains(&longest), "{longest}");
    }
    // All four partitions stand still for a second twice, or the two that change hands.
    assert!(
        (of(&range, "channel.c.unowned") - 8.0).abs() < 1e-6,
        "{}",
        of(&range, "channel.c.unowned")
    );
    assert!(
        (of(&sticky, "channel.c.unowned") - 4.0).abs() < 1e-6,
        "{}",
        of(&sticky, "channel.c.unowned")
    );
}

#[test]
fn a_consumer_group_that_is_set_back_handles_everything_again() {
    let channel = r#"kind: Log(rebalance: "0s"), consumers: {"worker": (replay: [(at: "60s")])}"#;
    let worker = r#""worker": (count: 1, at: "b", on: {"c": [Think("1ms")]}),"#;
    let all = numbers(&scenario(channel, 50, "", worker, ""), 0);
    assert_eq!(of(&all, "channel.c.replayed"), 50.0);
    assert_eq!(of(&all, "channel.c.duplicates"), 0.0);
    assert_eq!(of(&all, "channel.c.handled"), 50.0);
    adds_up(&all);
    let remembers = channel.replace("replay", "remembers: (), replay");
    let all = numbers(&scenario(&remembers, 50, "", worker, ""), 0);
    assert_eq!(
        of(&all, "channel.c.skipped"),
        50.0,
        "who remembers what was handled doesn't handle it again"
    );
}

#[test]
fn what_is_sent_without_waiting_costs_no_time_and_may_be_lost() {
    let loss = r#"faults: {"bad": Degrade(from: ["a"], loss: 0.2, at: "0s")},"#;
    let channel = r#"kind: Queue, consumers: {"worker": ()}"#;
    let all = numbers(&scenario(channel, 200, "acknowledged: false", PUSHED, loss), 0);
    assert_eq!(of(&all, "channel.c.published"), 200.0);
    let accepted = of(&all, "channel.c.accepted");
    // Five standard deviations of a binomial count of 200 and 0.8.
    assert!((accepted - 160.0).abs() < 29.0, "{accepted}");
    assert!((of(&all, "task.time.mean") - 20.0).abs() < 1e-9);
}

/// The same scenario with a mistake planted in its broker.
fn flawed(text: &Scenario, flaw: Flaw) -> Numbers {
    let mut scenario = text.clone();
    for variant in &mut scenario.variants {
        for channel in &mut variant.channels {
            Arc::make_mut(&mut channel.spec).flaw = flaw;
        }
    }
    numbers(&scenario, 0)
}

#[test]
fn mistakes_of_a_broker_are_seen_from_outside() {
    let text = |channel: &str| scenario(channel, 300, r#"policy: "p""#, PUSHED, TROUBLE);
    let queue = text(r#"kind: Queue, visibility: "2s", deduplicates: "5min", consumers: {"worker": ()}"#);
    let sound = flawed(&queue, Flaw::None);
    assert_eq!(
        [of(&sound, "channel.c.lost"), of(&sound, "channel.c.repeated")],
        [0.0, 0.0]
    );
    let eager = flawed(&queue, Flaw::EagerAcknowledgement);
    assert!(
        of(&eager, "channel.c.lost") > 0.0,
        "what is acknowledged before it is handled is lost with its consumer"
    );
    assert!(of(&flawed(&queue, Flaw::NoDeduplication), "channel.c.repeated") > 0.0);
    let log =
        text(r#"kind: Log(rebalance: "100ms", session: "4s"), visibility: "2s", consumers: {"worker": (prefetch: 8)}"#);
    assert_eq!(of(&flawed(&log, Flaw::None), "channel.c.lost"), 0.0);
    let highest = flawed(&log, Flaw::CommitsHighest);
    assert!(
        of(&highest, "channel.c.lost") > 0.0,
        "what lies before a committed offset is never handed over again"
    );
}

#[test]
fn a_run_with_channels_is_the_same_in_two_processes_and_errors_have_their_codes() {
    let channel =
        r#"kind: Log(partitions: 3, rebalance: "500ms", session: "4s"), visibility: "2s", consumers: {"worker": ()}"#;
    let text = scenario_text(channel, 200, r#"policy: "p", key: 7"#, PUSHED, TROUBLE);
    let place = Place::with(&text.replace("seed: 3", "seed: 3, replicates: 2"));
    assert_eq!(place.code(&["verify", "tiny.ron"]), 0);
    place.write("wrong.ron", &text.replace(r#"Publish(to: "c""#, r#"Publish(to: "d""#));
    let output = place.run(&["check", "wrong.ron"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(common::text(&output.stderr).contains("E0650"));
    let help = place.run(&["help", "channel.c.out_of_order"]);
    assert_eq!(help.status.code(), Some(0));
}
