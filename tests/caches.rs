//! Caches in front of stores: what they answer, how stale that is, and what makes them give it up.

mod common;

use common::{measured, read};
use std::collections::BTreeMap;

/// A writer writes every second at one site; a reader at another one looks every 100 ms, and keeps what it has read.
const WATCHED: &str = r#"(
    quorate: 1, name: "watched", seed: 2, until: At("30s"),
    sites: ["x", "y"], network: (default: (one_way: "10ms")),
    state: {"m": (at: ["x", "y"], keys: {"k": Register(), "other": Register(count: 4)}, model: {model})},
    agents: {
        "writer": (count: 1, at: "x", program: [Think("50ms"), Repeat(times: 28, steps: [Write(key: "k"), Think("1s")])]),
        "reader": (count: 1, at: "y", {caches} program: [Repeat(times: 280, steps: [Read(key: "k"), {more} Think("100ms")])]),
    },
    faults: {{faults}},
)"#;

fn watched(caches: &str, faults: &str, more: &str) -> BTreeMap<String, f64> {
    let text = WATCHED
        .replace("{caches}", caches)
        .replace("{faults}", faults)
        .replace("{more}", more);
    measured(&read(&text.replace("{model}", "LastWriteWins()")), 0, 0)
        .sheet
        .numbers
}

#[test]
fn a_read_from_the_cache_sends_nothing_and_is_as_stale_as_its_time_to_live() {
    let without = watched("", "", "");
    assert!(!without.contains_key("cache.reads"));
    let with = watched(r#"caches: {"m": (ttl: "950ms")},"#, "", "");
    assert_eq!(with["cache.reads"], 280.0);
    let promised = quorate::measures::infos().into_iter().map(|info| info.name);
    for name in promised.filter(|name| name.starts_with("cache.") && !name.ends_with("p99")) {
        assert!(with.contains_key(name), "{name}");
    }
    // Ten looks in a second, of which the first asks.
    assert_eq!((with["cache.hits"], with["cache.misses.expired"]), (252.0, 27.0));
    let asked = 280.0 - 252.0;
    assert_eq!(
        without["messages.request.sent"] - with["messages.request.sent"],
        280.0 - asked
    );
    assert_eq!(with["state.reads"], 280.0);
    assert_eq!(without["state.stale_reads"], 0.0, "{without:?}");
    assert!(with["state.stale_reads"] > 60.0, "{with:?}");
    assert!(
        with["state.stale_age.max"] <= 0.95 && with["state.stale_age.max"] > 0.5,
        "{with:?}"
    );
    assert!((with["cache.age.max"] - 0.9).abs() < 1e-9, "{}", with["cache.age.max"]);
    assert_eq!(with["state.monotonic_reads"], 0.0);
}

#[test]
fn an_invalidation_ends_an_entry_and_where_it_is_lost_the_time_to_live_does() {
    let told = watched(r#"caches: {"m": (ttl: "20s", invalidation: true)},"#, "", "");
    assert_eq!(told["cache.invalidations"], 28.0, "{told:?}");
    assert_eq!(
        (told["cache.invalidations.unneeded"], told["cache.misses.expired"]),
        (0.0, 0.0)
    );
    assert_eq!(told["state.stale_reads"], 0.0, "{told:?}");
    // For five seconds nothing comes from the store; what was read just before is used until its time is over, at 16.1 s. The
    // first invalidation is lost, and of the five writes that follow until then nobody is told.
    let cut = r#""cut": Partition(from: "m", to: "reader", at: "10.2s", for: "5s")"#;
    let lossy = watched(r#"caches: {"m": (ttl: "6s", invalidation: true)},"#, cut, "");
    assert_eq!(
        (lossy["cache.invalidations"], lossy["cache.misses.expired"]),
        (22.0, 1.0),
        "{lossy:?}"
    );
    assert!(
        lossy["state.stale_age.max"] > 4.0 && lossy["state.stale_age.max"] < 6.0,
        "{lossy:?}"
    );
    let untold = watched(r#"caches: {"m": (ttl: "20s")},"#, "", "");
    assert_eq!(untold["cache.misses.expired"], 1.0);
    assert!(untold["state.stale_age.max"] > 15.0, "{untold:?}");
}

#[test]
fn a_small_cache_drops_what_was_used_longest_ago() {
    let more = r#"Read(key: "other"),"#;
    let of = |size: u32| watched(&format!(r#"caches: {{"m": (ttl: "20s", size: {size})}},"#), "", more);
    let (small, large) = (of(2), of(5));
    assert!(small["cache.evictions"] > 50.0 && large["cache.evictions"] == 0.0);
    assert!(small["cache.hits.share"] < large["cache.hits.share"]);
}

/// Two agents that each read a counter-like note, think for long, and write.
const EDITORS: &str = r#"(
    quorate: 1, name: "editors", seed: 3, replicates: 8, until: AllDone(within: "10min"),
    sites: ["x"], network: (default: (one_way: "5ms")),
    state: {"m": (at: "x", keys: {"k": Register()}, model: VersionVectors(register: Max, blind: Sibling))},
    agents: {"editor": (count: 4, at: "x", start: Spread(over: "1s"), caches: {"m": (ttl: "30s", refresh: {refresh})}, program: [
        Repeat(times: 10, steps: [Read(key: "k"), Think(Exponential(mean: "400ms")), Update(key: "k", think: "500ms", op: Write)]),
    ])},
)"#;

#[test]
fn who_reads_anew_before_he_acts_overwrites_less_that_he_has_not_seen() {
    let of = |refresh: &str| {
        let scenario = read(&EDITORS.replace("{refresh}", refresh));
        let runs = (0..8).map(|replicate| measured(&scenario, 0, replicate).sheet.numbers);
        let sum = |sum: (f64, f64, f64), of: BTreeMap<String, f64>| {
            let refreshes = of.get("cache.refreshes").copied().unwrap_or_default();
            (
                sum.0 + of["state.conflicts"],
                sum.1 + refreshes,
                sum.2 + of["cache.hits"],
            )
        };
        runs.fold((0.0, 0.0, 0.0), sum)
    };
    let (late, fresh) = (of("OnExpiry"), of("BeforeAct"));
    assert_eq!(late.1, 0.0);
    // Every update was made on what the cache had shown: the read before it, some hundred milliseconds old.
    assert_eq!(fresh.1, 8.0 * 4.0 * 10.0, "{fresh:?}");
    assert!(fresh.0 < late.0 / 4.0, "{fresh:?} {late:?}");
    assert!(fresh.2 >= 8.0 * 4.0 * 10.0);
}
