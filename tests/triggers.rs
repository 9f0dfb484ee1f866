//! What sets a herd off: demand that steps, recorded arrivals and outages, restarts, locks that come free, messages that wake everybody, a
//! network that heals. Each as a small scenario whose outcome can be counted.

mod common;

use common::{measured, read};
use quorate::experiment::Cell;

fn run(text: &str) -> Cell {
    measured(&read(text), 0, 0)
}

/// A stream that starts so, for 60 s, of calls that take no time.
fn stream(start: &str) -> Cell {
    run(&format!(
        r#"(
            quorate: 1, name: "stream", seed: 4, until: At("60s"), sites: ["here"],
            services: {{"door": (at: "here")}},
            agents: {{"client": (count: Stream(), at: "here", start: {start}, program: [Call(service: "door")])}},
        )"#
    ))
}

fn offered(cell: &Cell) -> &[f64] {
    &cell.sheet.series["load.offered"].values
}

#[test]
fn a_surge_is_the_poisson_process_until_it_begins_and_is_a_trigger() {
    let plain = stream(r#"Poisson(rate: "50/s")"#);
    let surge = stream(r#"Surge(rate: "50/s", to: "300/s", at: "20s", for: "5s")"#);
    let rates = stream(r#"Rates([("0s", "50/s"), ("20s", "300/s"), ("25s", "50/s")])"#);
    assert_eq!(surge.print, rates.print);
    assert_eq!(offered(&plain)[..20], offered(&surge)[..20]);
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    // Five standard errors of a Poisson count: 5 sqrt(1500) / 5, and 5 sqrt(1750) / 35.
    assert!((mean(&offered(&surge)[20..25]) - 300.0).abs() < 39.0);
    assert!((mean(&offered(&surge)[25..]) - 50.0).abs() < 6.0);
    let span = &surge.sheet.faults[0];
    assert_eq!(
        (span.fault.as_str(), span.start.as_nanos(), span.end.as_nanos()),
        ("demand of client", 20_000_000_000, 25_000_000_000)
    );
    assert_eq!(surge.sheet.numbers["herd.recovers"], 1.0);
    // A step that stays is a load, and no trigger that one could recover from.
    let step = stream(r#"Surge(rate: "50/s", to: "60/s", at: "20s")"#);
    assert!(!step.sheet.numbers.contains_key("herd.recovers"));
    assert_eq!(step.sheet.numbers["herd.collapses"], 0.0);
}

#[test]
fn recorded_rates_are_followed_window_by_window() {
    // A day in windows of 600 s, sixty times as fast: ten seconds each, a tenth of the requests.
    let cell =
        stream(r#"Windows(data: "servegen-language", at: "window_start_s", rate: "all", each: "0.1/s", speed: 60)"#);
    let table = include_str!("../data/servegen-clients/language_day.csv");
    for (window, line) in table.lines().skip(1).take(6).enumerate() {
        let rate: f64 = line.split(',').nth(1).unwrap().parse::<f64>().unwrap() / 10.0;
        let came = offered(&cell)[10 * window..10 * window + 10].iter().sum::<f64>();
        assert!(
            (came - 10.0 * rate).abs() < 5.0 * (10.0 * rate).sqrt(),
            "{window}: {came} of {}",
            10.0 * rate
        );
    }
    assert!(cell.sheet.faults.is_empty(), "a record has no triggers");
}

#[test]
fn recorded_requests_bring_their_own_tokens() {
    let cell = run(r#"(
        quorate: 1, name: "trace", seed: 4, until: At("29s"), sites: ["here"],
        services: {"model": (at: "here", time: Tokens(each_out: "1us"))},
        agents: {"client": (
            count: Stream(), at: "here",
            start: Trace(data: "mooncake-conversation", column: "timestamp_ms", unit: "1ms"),
            program: [Call(service: "model", tokens: (
                tokens_in: OfArrival(data: "mooncake-conversation", column: "input_length"),
                tokens_out: OfArrival(data: "mooncake-conversation", column: "output_length"),
            ))],
        )},
    )"#);
    let packed = include_bytes!("../data/mooncake-fast25/conversation.csv.gz");
    let bytes = quorate::random::decompressed(packed, 1 << 24).unwrap();
    let table = String::from_utf8(bytes.to_vec()).unwrap();
    let mut sums = [0.0; 3];
    for line in table.lines().skip(1) {
        let row: Vec<f64> = line.split(',').map(|of| of.parse().unwrap()).collect();
        if row[0] < 29_000.0 {
            sums = [sums[0] + 1.0, sums[1] + row[1], sums[2] + row[2]];
        }
    }
    let of = |name: &str| cell.sheet.numbers[name];
    assert_eq!(
        [of("calls.intended"), of("calls.tokens_in"), of("calls.tokens_out")],
        sums
    );
    assert!(sums[0] > 50.0);
}

#[test]
fn recorded_outages_come_in_their_order_or_by_chance() {
    // A minute of the record is about a millisecond.
    let outages = |law: &str| {
        let law = |column: &str| format!(r#"{law}(data: "netflix-outages", column: "{column}", unit: "16ns")"#);
        let (gap, lasts) = (law("failure_interval_ms"), law("failure_duration_ms"));
        run(&format!(
            r#"(
                quorate: 1, name: "outages", seed: 4, until: At("10s"), sites: ["here"],
                services: {{"door": (at: "here", time: "1ms")}},
                agents: {{"client": (count: 1, at: "here", program: [Repeat(times: 200, steps: [Call(service: "door")])])}},
                faults: {{"outage": Stall(services: "door", when: Drawn(to_failure: {gap}, to_repair: {lasts}))}},
            )"#
        ))
    };
    let spans = |cell: &Cell| -> Vec<(u64, u64)> {
        cell.sheet
            .faults
            .iter()
            .map(|span| (span.start.as_nanos(), span.end.as_nanos()))
            .collect()
    };
    let packed = include_bytes!("../data/service-outages/netflix.csv.gz");
    let bytes = quorate::random::decompressed(packed, 1 << 24).unwrap();
    let table = String::from_utf8(bytes.to_vec()).unwrap();
    let replayed = spans(&outages("Replay"));
    assert!(replayed.len() > 20);
    let mut time = 0.0;
    for (line, (begin, end)) in table.lines().skip(1).zip(&replayed).take(replayed.len() - 1) {
        let row: Vec<f64> = line
            .split(',')
            .take(2)
            .map(|of| of.parse::<f64>().unwrap() * 16.0)
            .collect();
        assert!(
            (*begin as f64 - (time + row[0])).abs() < 50.0,
            "{begin} for {}",
            time + row[0]
        );
        time += row[0] + row[1];
        assert!((*end as f64 - time).abs() < 50.0, "{end} for {time}");
    }
    assert_ne!(spans(&outages("Empirical")), replayed);
}

#[test]
fn a_restart_can_be_cold() {
    // Down for ten seconds, and at a quarter of the speed for the ten after.
    let cell = run(r#"(
        quorate: 1, name: "cold", seed: 4, until: At("60s"), sites: ["here"],
        services: {"door": (at: "here", servers: 1, time: "100ms")},
        agents: {"client": (count: 1, at: "here", program: [Repeat(times: 1000, steps: [Call(service: "door")])])},
        faults: {
            "restart": Crash(who: "door", at: "20s", for: "10s"),
            "cold": Stall(services: "door", speed: 0.25, at: "30s", for: "10s"),
        },
    )"#);
    let answered = &cell.sheet.series["calls.goodput"].values;
    let sum = |from: usize, to: usize| answered[from..to].iter().sum::<f64>();
    assert_eq!(sum(20, 30), 0.0);
    assert!((24.0..=26.0).contains(&sum(30, 40)), "{}", sum(30, 40));
    assert!((sum(45, 55) - 100.0).abs() <= 1.0);
}

#[test]
fn a_message_that_wakes_everybody_makes_a_herd() {
    let cell = run(r#"(
        quorate: 1, name: "wakes", seed: 4, until: At("20s"), sites: ["here"],
        network: (local: (one_way: "1ms")),
        services: {"door": (at: "here", servers: 1, time: "10ms")},
        agents: {
            "announcer": (count: 1, at: "here", start: AtOnce(at: "10s"), program: [Send(to: All("subscriber"), topic: "news")]),
            "subscriber": (count: 300, at: "here", program: [], on: {"news": [Call(service: "door")]}),
        },
    )"#);
    let arrivals = &cell.sheet.series["calls.arrivals.rate"].values;
    assert_eq!((arrivals[10], arrivals.iter().sum::<f64>()), (300.0, 300.0));
    assert_eq!(cell.sheet.numbers["service.door.queue.peak"], 299.0);
    assert_eq!(cell.sheet.numbers["group.subscriber.fairness.jain"], 1.0);
}

#[test]
fn a_lock_that_comes_free_lets_one_in_after_another() {
    let cell = run(r#"(
        quorate: 1, name: "release", seed: 4, until: AllDone(within: "60s"), sites: ["here"],
        services: {"guard": (at: "here", lock: (lease: "30s")), "door": (at: "here", time: "10ms")},
        agents: {
            "holder": (count: 1, at: "here", program: [WithLock(lock: "guard", steps: [Think("10s")])]),
            "waiter": (count: 50, at: "here", start: AtOnce(at: "1s"), program: [
                WithLock(lock: "guard", steps: [Call(service: "door")]),
            ]),
        },
    )"#);
    // Nobody gets through before ten seconds, and then all do, 10 ms each.
    assert!(cell.sheet.numbers["service.door.first_answer"] >= 10.0);
    assert!((10.4..10.8).contains(&cell.now.as_secs_f64()), "{}", cell.now);
    assert_eq!(cell.sheet.numbers["service.door.queue.peak"], 0.0);
}

#[test]
fn a_heal_lets_go_all_that_was_held_at_once() {
    let cell = run(r#"(
        quorate: 1, name: "heal", seed: 4, until: At("60s"), sites: ["near", "far"],
        network: (default: (one_way: "10ms")),
        services: {"door": (at: "far", servers: 1, time: "1ms")},
        agents: {"client": (count: Stream(), at: "near", start: Poisson(rate: "20/s"), program: [Call(service: "door")])},
        faults: {"cut": Partition(groups: [["near"], ["far"]], at: "20s", for: "20s", in_flight: Held, sent: Held)},
    )"#);
    let arrivals = &cell.sheet.series["calls.arrivals.rate"].values;
    assert_eq!(arrivals[21..40].iter().sum::<f64>(), 0.0);
    let held: f64 = offered(&cell)[20..40].iter().sum();
    assert!(
        (arrivals[40] - held).abs() < 45.0 && held > 300.0,
        "{} of {held}",
        arrivals[40]
    );
    assert_eq!(cell.sheet.numbers["herd.recovers"], 1.0);
}
